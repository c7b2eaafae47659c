"""Label 30 digits, look at the result, then pay for 30 more: nothing labelled is asked for twice."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal.classifiers import LinearProbe
from skal.samplers import KMeansSampler

X, y_truth = load_digits(return_X_y=True)
X_pool, X_test, y_truth, y_test = train_test_split(X, y_truth, test_size=600, stratify=y_truth, random_state=0)

y = np.full(len(X_pool), -1)  # -1 where nobody has labelled yet; a sampler never looks there
labeled = np.empty(0, dtype=np.int64)
sampler = KMeansSampler(budget=30, random_state=0)

for _ in range(2):
    picks = sampler.fit(X_pool, y, labeled_indices=labeled).selected_indices_
    y[picks] = y_truth[picks]  # the person's answers
    labeled = np.concatenate([labeled, picks])
    probe = LinearProbe(random_state=0).fit(X_pool[labeled], y[labeled], X_pool=X_pool)
    print(f"{len(labeled)} labels: LIN {probe.score(X_test, y_test):.1%}")
