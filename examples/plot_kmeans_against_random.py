"""
Twenty labels: where K-means puts them, and where chance does
=============================================================

Of 1,797 unlabelled digits, twenty are to be labelled. Chance takes some kinds of digit several
times and misses others; K-means takes the image nearest the centre of each of twenty clusters, and
so something of everything.
"""

# sphinx_gallery_thumbnail_number = 2

from sklearn.datasets import load_digits

from skal.classifiers import CosineKNNClassifier
from skal.plotting import EmbeddingDisplay
from skal.samplers import KMeansSampler, RandomSampler

X, y = load_digits(return_X_y=True)

# %%
# Chance
# ------
#
# Each point is an image, drawn near those that it resembles, and its colour says which digit it is.
# The sampler saw no colour. The black dots are its picks; the coverage is the share of the ten
# digits of which at least one was picked.

by_chance = RandomSampler(budget=20, random_state=0).fit(X)
first = EmbeddingDisplay.from_sampler(by_chance, X, y)

# %%
# K-means
# -------
#
# It needs no labels either: ``fit`` is given the pool, and ``selected_indices_`` are the rows to
# send to a person. The map is the same, and so is not made again.

by_kmeans = KMeansSampler(budget=20, random_state=0).fit(X)
second = EmbeddingDisplay.from_sampler(by_kmeans, X, y, coordinates=first.coordinates)

# %%
# What it buys
# ------------
#
# The labels of the twenty picks, and for each other image the class of the most similar one of
# them:

for sampler in (by_chance, by_kmeans):
    picks = sampler.selected_indices_
    n_kinds = len(set(y[picks].tolist()))
    accuracy = CosineKNNClassifier().fit(X[picks], y[picks]).score(X, y)
    print(f"{type(sampler).__name__}: {n_kinds} of 10 digits, accuracy {accuracy:.1%}")

# %%
# The labels cost the same; only the choice differs.
