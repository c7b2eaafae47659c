"""
Look at what you would label
============================

Before an hour of labelling, look at what was picked. Three samplers, the same twenty labels, the
pictures that a person would see.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skal.evaluation import category_counts
from skal.plotting import CategoryHistogramDisplay, PickedImagesDisplay
from skal.samplers import CoreSetSampler, KMeansSampler, RandomSampler

digits = load_digits()
X, y = digits.data, digits.target

# %%
# Twenty pictures each
# --------------------
#
# In the order of the picks; the number above each is the answer that a person would give. K-means
# begins with the centre of its largest cluster. Core-set takes the image farthest from those picked
# before, and so collects odd ones: look at the shapes, not at the numbers.

samplers = {
    "Random": RandomSampler(budget=20, random_state=0),
    "K-means": KMeansSampler(budget=20, random_state=0),
    "Core-set": CoreSetSampler(budget=20),
}
picks = {name: sampler.fit_select(X) for name, sampler in samplers.items()}

_, axes = plt.subplots(3, 1, figsize=(6.4, 6.6), layout="constrained")
for (name, rows), ax in zip(picks.items(), axes, strict=True):
    PickedImagesDisplay.from_indices(digits.images, rows, titles=y, ax=ax)
    ax.set_title(name)

# %%
# How evenly are the classes met?
# -------------------------------

display = CategoryHistogramDisplay.from_indices(y, picks)
display.ax_.set_xlabel("Digit")

# %%
for name, rows in picks.items():
    counts = category_counts(y, rows)
    print(f"{name:<8} {np.count_nonzero(counts)} of 10 digits, the commonest {counts.max()} times")

# %%
# Files work as well as arrays: pass the list of paths, and only the picked ones are opened.
