"""
Ten labels: which classifier makes the most of them?
====================================================

The same ten labelled digits, five classifiers. Some learn from the labels alone; the graph
classifier looks at the whole unlabelled pool as well, which costs no label.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import skal
from skal.classifiers import CosineKNNClassifier, GraphClassifier, LinearProbe, RidgeProbe
from skal.evaluation import budget_curve
from skal.samplers import KMeansSampler

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=600, stratify=y, random_state=0)

# %%
# One selection, five classifiers
# -------------------------------
#
# Twelve seeds, each with ten picks of its own by K-means. Any scikit-learn classifier may stand
# beside those of skal. Those whose ``fit`` takes ``X_pool`` are given the pool without its labels.

classifiers = {
    "Graph": GraphClassifier(),
    "Nearest neighbour": CosineKNNClassifier(),
    "Ridge probe": RidgeProbe(),
    "Linear probe": LinearProbe(),
    "Logistic regression": LogisticRegression(max_iter=1000),
}
samplers = {"K-means": KMeansSampler()}
curve = budget_curve(samplers, classifiers, skal.Pool(X), y, X_test, y_test, [10], n_seeds=12)

# %%
# A line joins what the classifiers made of the same labels:

accuracy = 100 * np.array([curve.scores("K-means", 10, name) for name in classifiers])
_, ax = plt.subplots(layout="constrained")
ax.plot(accuracy, range(len(classifiers)), color="0.8", linewidth=1, zorder=1)
for place, values in enumerate(accuracy):
    ax.plot(values, [place] * len(values), "o", color="#0072B2", alpha=0.6)
    ax.plot(values.mean(), place, "|", color="black", markersize=22, markeredgewidth=3)
ax.set_yticks(range(len(classifiers)), classifiers)
ax.set(xlabel="Test accuracy, 10 labels (%)", title="A dot a seed, a bar the mean")
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)

# %%
# What the labels are worth, seed by seed
# ---------------------------------------

for name, values in zip(classifiers, accuracy, strict=True):
    n_best = int((values == accuracy.max(axis=0)).sum())
    print(f"{name:<20} {values.mean():.1f} % on average, best in {n_best} of {len(values)} seeds")

# %%
# A better classifier costs no label. Try the graph first, and a probe where new images must be told
# apart without the pool at hand.
