"""
A second round among near copies: what is bought twice?
=======================================================

Photos come in bursts: six pictures of one scene tell no more than one of them. After a first round,
the next labels should go to scenes that have none. How many of them do?
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skal.plotting import PickedImagesDisplay
from skal.samplers import KMeansSampler, RandomSampler

# %%
# 250 scenes, six photos of each
# ------------------------------
#
# Each scene is a digit, and its photos differ by a little noise. The samplers are not told which is
# which.

rng = np.random.default_rng(0)
digits = load_digits()
scenes = rng.choice(len(digits.data), 250, replace=False)
scene_of = np.repeat(np.arange(250), 6)
X = digits.data[scenes][scene_of]
X = np.clip(X + rng.normal(0, 0.4, X.shape), 0, 16)

images = X.reshape(-1, 8, 8)
burst = PickedImagesDisplay.from_indices(images, range(12), titles=scene_of, n_columns=6)

# %%
# Two bursts; the number above is the scene.
#
# Two rounds of 60 labels
# -----------------------
#
# By default a labelled row covers its surroundings, copies included. ``labeled_rows="skip"`` is how
# the paper's tables were made: labelled rows are left out, and their copies stay in the middle of
# each cluster.

samplers = {
    "Random": RandomSampler(budget=60, random_state=0),
    'K-means,\nlabeled_rows="skip"': KMeansSampler(budget=60, labeled_rows="skip", random_state=0),
    "K-means": KMeansSampler(budget=60, random_state=0),
}
copies, seen_twice, new = [], [], []
for sampler in samplers.values():
    first = sampler.fit_select(X)
    second = sampler.fit_select(X, labeled_indices=first)
    is_copy = np.isin(scene_of[second], scene_of[first])
    copies.append(int(is_copy.sum()))
    new.append(len(np.unique(scene_of[second][~is_copy])))
    seen_twice.append(len(second) - copies[-1] - new[-1])

# %%
# Where the second 60 labels went
# -------------------------------

_, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
left = np.zeros(len(samplers))
for label, counts, color in (
    ("a new scene", new, "#0072B2"),
    ("twice the same new one", seen_twice, "#E69F00"),
    ("a scene labelled before", copies, "#D55E00"),
):
    ax.barh(list(samplers), counts, left=left, color=color, label=label)
    left += counts
ax.invert_yaxis()
ax.set(xlabel="Labels of the second round", xlim=(0, 60))
ax.legend(loc="lower center", bbox_to_anchor=(0.3, 1), ncols=1)

for name, n_new, n_copies in zip(samplers, new, copies, strict=True):
    name = name.replace("\n", " ")
    print(f"{name}: {n_new} of 60 labels on new scenes, {n_copies} on scenes with a label")

# %%
# Say what is labelled already, as ``labeled_indices=``, and nothing is paid for twice.
