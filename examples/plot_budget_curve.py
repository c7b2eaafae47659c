"""
How many labels does a good choice save?
========================================

Accuracy over budget, for labels chosen at random, evenly over the classes, and by K-means. The
bands are one standard deviation over ten seeds. Follow a horizontal line from one curve to the
next: what lies between is saved.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal.classifiers import CosineKNNClassifier
from skal.evaluation import budget_curve
from skal.plotting import BudgetCurveDisplay
from skal.samplers import KMeansSampler, RandomSampler, UniformSampler

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=600, stratify=y, random_state=0)

# %%
# Pick, look up the labels, train, test
# -------------------------------------
#
# For each sampler, budget and seed. "Uniform" cheats: it reads all labels, to draw equally many of
# each class, which nobody can do before labelling. The other two see no label, and none sees the
# 600 test images.

samplers = {"Random": RandomSampler(), "Uniform": UniformSampler(), "K-means": KMeansSampler()}
classifiers = {"1-NN": CosineKNNClassifier()}
budgets = [10, 20, 50, 100, 200]
curve = budget_curve(samplers, classifiers, X, y, X_test, y_test, budgets, n_seeds=10)
display = BudgetCurveDisplay.from_curve(curve, "1-NN")

# %%
# K-means is above "Uniform" too: to have every class is not enough, the picks must also stand for
# the rest of it.
#
# Is the difference more than luck?
# ---------------------------------
#
# A seed gives each sampler the same start, so the samplers are compared seed by seed. The interval
# is one of 95 %:

for row in curve.paired_differences("Random"):
    if (row["sampler"], row["metric"]) == ("K-means", "accuracy"):
        print(
            f"{row['budget']:4d} labels: K-means {100 * row['mean']:+.1f} points over random, "
            f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        )

# %%
# In labels
# ---------

by_kmeans, by_chance = np.array(
    [[curve.scores(name, n, "1-NN").mean() for n in budgets] for name in ("K-means", "Random")]
)
for budget, reached in zip(budgets, by_kmeans, strict=True):
    enough = np.flatnonzero(by_chance >= reached)
    needs = budgets[enough[0]] if len(enough) else f"more than {budgets[-1]}"
    print(f"{budget:4d} labels by K-means give {reached:.1%}; at random that takes {needs}")

# %%
# The smaller the budget, the more the choice is worth.
