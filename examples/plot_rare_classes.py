"""
Who finds the rare classes?
===========================

Five kinds of digit are common in this pool, 120 images each; of the other five there are six each.
A label on a common digit is easy to get and soon adds nothing. Which sampler reaches the rare ones,
and what does it lose on the others?
"""

import numpy as np
from sklearn.datasets import load_digits

from skal.classifiers import CosineKNNClassifier
from skal.evaluation import budget_curve, category_counts
from skal.plotting import BudgetCurveDisplay, CategoryHistogramDisplay
from skal.rounds import IterativeSampler
from skal.samplers import CoreSetSampler, KMeansSampler, RandomSampler

X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
n_of_each = [120] * 5 + [6] * 5
pool_rows = np.concatenate(
    [rng.choice(np.flatnonzero(y == digit), n, replace=False) for digit, n in enumerate(n_of_each)]
)
is_test = np.isin(np.arange(len(y)), pool_rows, invert=True)
X_test, y_test = X[is_test], y[is_test]
X, y = X[pool_rows], y[pool_rows]

# %%
# Four ways to spend up to 80 labels
# ----------------------------------
#
# Core-set takes the row farthest from all others picked, so it goes for what is unusual from the
# first label on. The last way runs rounds: K-means picks the first ten labels, and Core-set goes on
# from them.

samplers = {
    "Random": RandomSampler(),
    "K-means": KMeansSampler(),
    "Core-set": CoreSetSampler(),
    "K-means, then Core-set": IterativeSampler(CoreSetSampler(), initial=KMeansSampler()),
}
classifiers = {"1-NN": CosineKNNClassifier()}
budgets = [10, 20, 40, 80]
curve = budget_curve(samplers, classifiers, X, y, X_test, y_test, budgets, n_seeds=10)
display = BudgetCurveDisplay.from_curve(curve)

# %%
# Of all classes, rare or not, this is the share with a label. At 20 labels, which classes are they?

histogram = CategoryHistogramDisplay.from_curve(curve, y, budget=20)
histogram.ax_.set_xlabel("Digit; 5 to 9 are rare")

# %%
# What it means for a classifier
# ------------------------------
#
# All classes count alike in this accuracy, on other images:

display = BudgetCurveDisplay.from_curve(curve, "1-NN", "balanced_accuracy")

# %%
# And in numbers:

for name in samplers:
    counts = [category_counts(y, curve.selections[name, 20, seed]) for seed in curve.seeds]
    n_found = np.count_nonzero(np.array(counts)[:, 5:], axis=1).mean()
    accuracy = curve.scores(name, 20, "1-NN", "balanced_accuracy").mean()
    print(f"{name:<23} 20 labels: {n_found:.1f} of 5 rare classes, accuracy {accuracy:.1%}")

# %%
# Begin with what is typical, and look for the unusual in the next rounds.
