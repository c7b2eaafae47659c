"""Label in rounds through a service that breaks down once: nothing that was answered is asked again."""

import numpy as np
from sklearn.datasets import load_digits

from skal.samplers import IterativeSampler, MaxEntropySampler, RandomSampler

X, y_truth = load_digits(return_X_y=True)
n_asked = 0


def labelling_service(indices):
    """Yield one label after the other; each costs money."""
    global n_asked
    for row in indices:
        n_asked += 1
        if n_asked == 25:
            raise ConnectionError("the service is down")
        yield y_truth[row]


rounds = IterativeSampler(MaxEntropySampler(), budgets=(10, 20, 40), initial=RandomSampler(), random_state=0)
try:
    rounds.fit(X, labelling_service)
except ConnectionError as error:
    print(f"{error}; {len(rounds.labels_)} labels are safe")

rows, labels = rounds.selected_indices_, rounds.labels_
rounds.fit(X, labelling_service, labeled_indices=rows, labels=labels)
rows, labels = np.concatenate([rows, rounds.selected_indices_]), np.concatenate([labels, rounds.labels_])
print(f"{len(set(rows))} rows labelled, all correctly: {bool((labels == y_truth[rows]).all())}")
