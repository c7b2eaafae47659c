"""
Twenty labels: where K-means puts them, and where chance does
=============================================================

Of 1,797 unlabelled digits, twenty are to be labelled. Chance takes some kinds of digit several times and misses others;
K-means takes the image nearest the centre of each of twenty clusters, and so something of everything.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skal.classifiers import CosineKNNClassifier
from skal.plotting import EmbeddingDisplay
from skal.samplers import KMeansSampler, RandomSampler

X, y = load_digits(return_X_y=True)

# %%
# Let both pick
# -------------
#
# A sampler needs no labels: `fit` is given the pool, and ``selected_indices_`` are the rows to send to a person.

samplers = [RandomSampler(budget=20, random_state=0), KMeansSampler(budget=20, random_state=0)]
for sampler in samplers:
    sampler.fit(X)

# %%
# Look at the picks on a map
# --------------------------
#
# Each point is an image, drawn near those that it resembles, and its colour says which digit it is. The samplers saw no
# colour. The black dots are their picks; the coverage is the share of the ten digits of which at least one was picked.
# The map is made once, and the second display is given it.

_, (above, below) = plt.subplots(2, 1, figsize=(6.4, 9), layout="constrained")
first = EmbeddingDisplay.from_sampler(samplers[0], X, y, ax=above)
second = EmbeddingDisplay.from_sampler(samplers[1], X, y, coordinates=first.coordinates, ax=below)

# %%
# What it buys
# ------------
#
# The labels of the twenty picks, and for each other image the class of the most similar one of them:

for sampler in samplers:
    picks = sampler.selected_indices_
    n_kinds = len(set(y[picks].tolist()))
    accuracy = CosineKNNClassifier().fit(X[picks], y[picks]).score(X, y)
    print(f"{type(sampler).__name__}: {n_kinds} of 10 digits among the picks, accuracy {accuracy:.1%}")

# %%
# The labels cost the same; only the choice differs.
