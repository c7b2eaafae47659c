"""
A pool larger than the memory it may take
=========================================

A pool on disk is read a piece at a time. scikit-learn's ``working_memory`` says how much of it may
be held at once; the picks are the same for any value, to the last one. Here the pool is every third
8 × 8 patch of two photos.
"""

# sphinx_gallery_thumbnail_number = 3

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from matplotlib.patches import Rectangle
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_sample_images

from skal.plotting import PickedImagesDisplay
from skal.samplers import KMeansSampler

# %%
# A pool on disk
# --------------
#
# In float16, as embeddings are often kept. What is opened is a memmap: nothing is read yet.

photos = load_sample_images().images
patches = [sliding_window_view(photo, (8, 8), axis=(0, 1))[::3, ::3] for photo in photos]
n_lines, n_columns = patches[0].shape[:2]
patches = np.moveaxis(np.concatenate([each.reshape(-1, 3, 8, 8) for each in patches]), 1, -1)

path = Path(tempfile.mkdtemp()) / "patches.npy"
np.save(path, (patches.reshape(len(patches), -1) / 255).astype(np.float16))
X = np.load(path, mmap_mode="r")
pool_size = X.nbytes / 2**20
print(f"{X.shape[0]:,} rows of {X.shape[1]} features, {pool_size:.0f} MiB")

# %%
# The same picks, from little memory and from much
# ------------------------------------------------

limits = [1, 4, 16, 64, 256]  # MiB
seconds, picks = [], []
for limit in limits:
    start = time.process_time()
    with sklearn.config_context(working_memory=limit):
        picks.append(KMeansSampler(budget=12, metric="euclidean", random_state=0).fit_select(X))
    seconds.append(time.process_time() - start)
    is_same = np.array_equal(picks[-1], picks[0])
    print(f"{limit:4d} MiB: {seconds[-1]:.1f} s, {'the same' if is_same else 'other'} picks")

# %%
# What little memory costs is time, as the pool is read again in each pass:

_, ax = plt.subplots(layout="constrained")
ax.plot(limits, seconds, "o-", color="#0072B2")
ax.axvline(pool_size, color="0.4", linestyle=":", label=f"Size of the pool, {pool_size:.0f} MiB")
ax.set_xscale("log", base=2)
ax.set_xticks(limits, limits)
ax.set(xlabel="Working memory (MiB)", ylabel="CPU time to pick (s)", ylim=(0, None))
ax.grid(alpha=0.3)
ax.legend(loc="lower right")

# %%
# The twelve patches that stand for the others
# --------------------------------------------
#
# The largest cluster first: twelve small pieces that say what the two photos are made of.

rows = np.arange(len(patches))
picked = PickedImagesDisplay.from_indices(patches, picks[0], titles=rows, n_columns=6)

# %%
# And where they lie:

_, axes = plt.subplots(2, 1, figsize=(6.4, 8.8), layout="constrained")
for number, (photo, ax) in enumerate(zip(photos, axes, strict=True)):
    ax.imshow(photo)
    ax.set_axis_off()
    for row in picks[0] - number * n_lines * n_columns:
        if 0 <= row < n_lines * n_columns:
            line, column = divmod(row, n_columns)
            corner = (3 * column - 6, 3 * line - 6)
            for color, width in (("white", 3), ("#D55E00", 1.5)):
                ax.add_patch(Rectangle(corner, 20, 20, fill=False, color=color, linewidth=width))

# %%
# Nothing here depends on the pool's size but the time: with a million rows the code is the same.
