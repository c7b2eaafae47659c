"""
Which budget, which sampler? Ask GridSearchCV
=============================================

Choosing rows, looking up their labels and training are one scikit-learn classifier. So
scikit-learn's own search compares budgets and samplers, together with whatever comes before them in
a pipeline.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skal import LowBudgetClassifier
from skal.classifiers import RidgeProbe
from skal.samplers import KMeansSampler, RandomSampler

X, y = load_digits(return_X_y=True)

# %%
# One grid over all of it
# -----------------------
#
# In each fold, the sampler sees the training rows without labels, the labels of its picks are
# looked up and no others, and the score is that of the fold left out.

model = Pipeline(
    [
        ("pca", PCA(random_state=0)),
        ("learn", LowBudgetClassifier(classifier=RidgeProbe(), random_state=0)),
    ]
)
grid = {
    "pca__n_components": [10, 40],
    "learn__sampler": [RandomSampler(), KMeansSampler()],
    "learn__sampler__budget": [10, 20, 50, 100, 200],
}
search = GridSearchCV(model, grid, cv=5).fit(X, y)

# %%
# The whole grid at a glance
# --------------------------
#
# Bars are one standard deviation over the five folds.

parameters = search.cv_results_["params"]
mean, spread = (100 * search.cv_results_[f"{which}_test_score"] for which in ("mean", "std"))
samplers = np.array([type(each["learn__sampler"]).__name__ for each in parameters])
budgets = np.array([each["learn__sampler__budget"] for each in parameters])
n_components = np.array([each["pca__n_components"] for each in parameters])

names = []
_, ax = plt.subplots(layout="constrained")
for name, color in (("RandomSampler", "#0072B2"), ("KMeansSampler", "#D55E00")):
    for components, style in ((10, "o--"), (40, "s-")):
        line = (samplers == name) & (n_components == components)
        ax.errorbar(budgets[line], mean[line], spread[line], fmt=style, color=color, capsize=3)
        names.append(f"{name}, {components} components")
ax.set_xscale("log")
ax.set_xticks(np.unique(budgets), np.unique(budgets))
ax.minorticks_off()
ax.set(xlabel="Budget (labels)", ylabel="Accuracy, five folds (%)")
ax.grid(alpha=0.3)
ax.legend(names)

# %%
# What is enough?
# ---------------
#
# The most labels are hardly ever the worst choice, so ask what is enough rather than what is best.

for slack in (1, 3, 10):
    good = np.flatnonzero(mean >= mean.max() - slack)
    found = good[budgets[good].argmin()]
    print(
        f"within {slack:2d} points of the best: {budgets[found]:3d} labels by {samplers[found]}, "
        f"{n_components[found]} components"
    )

# %%
# More components are worth having where there are labels enough to learn from them.
