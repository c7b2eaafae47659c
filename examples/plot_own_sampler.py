"""
A sampler of your own, checked
==============================

A sampler is one function: it is given a pool and a budget, and returns rows. Everything else comes
with the base class: shares as budgets, masks, later rounds, searches. Here Ward's hierarchical
clustering from scikit-learn becomes one, and ``check_sampler`` finds what was forgotten.
"""

import numpy as np
from sklearn.cluster import AgglomerativeClustering
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import normalize

import skal
from skal.classifiers import CosineKNNClassifier
from skal.evaluation import budget_curve
from skal.plotting import BudgetCurveDisplay
from skal.samplers import KMeansSampler, RandomSampler
from skal.testing import check_sampler

# %%
# A first attempt
# ---------------
#
# As many clusters as there is budget, and of each the row nearest its mean.


def nearest_to_mean(rows, members):
    """Return which of the members is nearest their mean."""
    sq_dist = np.square(rows[members] - rows[members].mean(axis=0)).sum(axis=1)
    return members[sq_dist.argmin()]


class FirstAttempt(skal.BaseSampler):
    """Pick the middle of each of Ward's clusters."""

    def _select_rows(self, request):
        rows = normalize(np.asarray(request.pool, dtype=float))
        clusters = AgglomerativeClustering(request.budget).fit_predict(rows)
        numbers = range(request.budget)
        return [nearest_to_mean(rows, np.flatnonzero(clusters == number)) for number in numbers]


X, y = load_digits(return_X_y=True)
print(FirstAttempt(budget=5).fit_select(X))

# %%
# It picks. Does it keep the contract?

try:
    check_sampler(FirstAttempt())
except Exception as error:  # whatever it finds
    print(f"{type(error).__name__}: {error}\n{error.__notes__[0]}")

# %%
# The second round was forgotten: some rows are labelled already, and would be paid for twice.
#
# With the labelled rows in mind
# ------------------------------
#
# Make as many clusters as there are labels and budget together. So at least ``budget`` of them hold
# no labelled row; the largest of these are picked from. A pool of a single row is no case for Ward.


class WardSampler(skal.BaseSampler):
    """Pick the middle of the largest of Ward's clusters that have no label yet."""

    def _select_rows(self, request):
        if len(request.candidate_idx) == request.budget:
            return request.candidate_idx
        rows = normalize(np.asarray(request.pool, dtype=float))
        n_clusters = request.budget + len(request.labeled_idx)
        clusters = AgglomerativeClustering(n_clusters).fit_predict(rows)
        is_free = np.isin(np.arange(n_clusters), clusters[request.labeled_idx], invert=True)
        sizes = np.where(is_free, np.bincount(clusters), 0)
        largest = np.argsort(-sizes, kind="stable")[: request.budget]
        return [nearest_to_mean(rows, np.flatnonzero(clusters == number)) for number in largest]


check_sampler(WardSampler())
print("WardSampler keeps the contract")

# %%
# Is it any good?
# ---------------
#
# It goes wherever the others go. Ward's clustering is not random, so that it has no band.

X, X_test, y, y_test = train_test_split(X, y, test_size=600, stratify=y, random_state=0)
samplers = {"Random": RandomSampler(), "K-means": KMeansSampler(), "Ward": WardSampler()}
classifiers = {"1-NN": CosineKNNClassifier()}
budgets = [10, 20, 50, 100]
curve = budget_curve(samplers, classifiers, X, y, X_test, y_test, budgets, n_seeds=5)
display = BudgetCurveDisplay.from_curve(curve, "1-NN")

# %%
for row in curve.paired_differences("K-means"):
    if (row["sampler"], row["metric"]) == ("Ward", "accuracy"):
        print(f"{row['budget']:4d} labels: Ward {100 * row['mean']:+.1f} points against K-means")

# %%
# Ward's clustering needs all distances at once, and so a pool of thousands rather than millions of
# rows.
