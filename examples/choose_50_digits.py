"""Which 50 of 1,197 unlabelled digits should a person label? Then train on just those."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import category_coverage
from skal.samplers import KMeansSampler, RandomSampler

X, y = load_digits(return_X_y=True)
X_pool, X_test, y_pool, y_test = train_test_split(X, y, test_size=600, stratify=y, random_state=0)

for sampler in (RandomSampler(budget=50, random_state=0), KMeansSampler(budget=50, random_state=0)):
    picks = sampler.fit(X_pool).selected_indices_  # no labels needed: these are the rows to send to a person
    X_labeled, y_labeled = X_pool[picks], y_pool[picks]  # ... who gives these labels

    probe = LinearProbe(random_state=0).fit(X_labeled, y_labeled, X_pool=X_pool)
    nearest = CosineKNNClassifier().fit(X_labeled, y_labeled)
    print(
        f"{type(sampler).__name__}: {category_coverage(y_pool, picks):.0%} of the classes, "
        f"linear probe {probe.score(X_test, y_test):.1%}, nearest neighbour {nearest.score(X_test, y_test):.1%}"
    )
