"""
How good is the model, if all you have is labels?
=================================================

The rows that were picked are no random rows, so no number from them says how good a classifier is
on the rest. A hundred labels of rows drawn at random do, with an interval that says how far to
trust them.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import LeaveOneOut, cross_val_score

from skal.classifiers import CosineKNNClassifier
from skal.evaluation import draw_holdout, holdout_estimate
from skal.samplers import KMeansSampler

X, y = load_digits(return_X_y=True)
picks = KMeansSampler(budget=60, random_state=0).fit_select(X)
classifier = CosineKNNClassifier().fit(X[picks], y[picks])

# %%
# Two numbers that are wrong
# --------------------------
#
# The truth, which nobody has in practice, is the accuracy on all rows that were not picked. On the
# picks themselves a classifier is too good; in cross-validation over them, too bad, since each
# stands for a place that no other covers.

rest = np.setdiff1d(np.arange(len(X)), picks)
truth = classifier.score(X[rest], y[rest])
on_picks = classifier.score(X[picks], y[picks])
left_out = cross_val_score(CosineKNNClassifier(), X[picks], y[picks], cv=LeaveOneOut()).mean()
print(f"truth {truth:.1%}; on the picks {on_picks:.1%}; each pick left out in turn {left_out:.1%}")

# %%
# One that is right
# -----------------
#
# A hundred rows drawn at random from the others, labelled by the same person:

rows = draw_holdout(len(X), 100, labeled_indices=picks, random_state=0)
print(holdout_estimate(classifier, X, y, rows, labeled_indices=picks))

# %%
# Can the interval be trusted?
# ----------------------------
#
# Drawn anew forty times, an interval of 95 % should miss the truth about twice.

estimates = []
for seed in range(40):
    rows = draw_holdout(len(X), 100, labeled_indices=picks, random_state=seed)
    estimates.append(holdout_estimate(classifier, X, y, rows, labeled_indices=picks))
estimates.sort(key=lambda found: found.accuracy)
ends = [(found.low, found.accuracy, found.high) for found in estimates]
low, middle, high = 100 * np.transpose(ends)
misses = (low > 100 * truth) | (high < 100 * truth)

_, ax = plt.subplots(layout="constrained")
for is_miss, color, label in (
    (False, "#0072B2", "holds the truth"),
    (True, "#D55E00", "misses it"),
):
    which = np.flatnonzero(misses == is_miss)
    sides = np.stack([middle - low, high - middle])[:, which]
    label = f"{label}: {len(which)}"
    ax.errorbar(middle[which], which, xerr=sides, fmt="o", markersize=4, color=color, label=label)
ax.axvline(100 * truth, color="black", linestyle=":", label="truth")
ax.set(xlabel="Accuracy from 100 held-out labels (%)", ylabel="Draws, from low to high", yticks=[])
ax.grid(axis="x", alpha=0.3)
ax.legend(loc="upper left")

# %%
# How many labels for how narrow an interval?
# -------------------------------------------

for size in (50, 100, 200, 400):
    rows = draw_holdout(len(X), size, labeled_indices=picks, random_state=0)
    print(holdout_estimate(classifier, X, y, rows, labeled_indices=picks))

# %%
# Half as wide takes some four times as many labels. Spend them where a decision hangs on the
# number.
