"""
Graph coverage or K-means, at one label a class?
================================================

K-means cuts a pool into round pieces. Graph coverage goes along the neighbours of each row, and so
follows groups of any shape. That matters most where no group can have more than one label.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_circles
from sklearn.model_selection import train_test_split

import skal
from skal.classifiers import CosineKNNClassifier, GraphClassifier
from skal.evaluation import Selections, score, select
from skal.plotting import EmbeddingDisplay
from skal.samplers import GraphCoverageSampler, KMeansSampler

# %%
# Two rings
# ---------
#
# A pool that can be seen, and money for two labels. The black dots are the picks; the coverage is
# the share of the two rings that were found.

X, y = make_circles(600, noise=0.03, factor=0.4, random_state=0)
by_kmeans = KMeansSampler(budget=2, metric="euclidean", random_state=0).fit(X)
display = EmbeddingDisplay.from_sampler(by_kmeans, X, y, coordinates=X)

# %%
# K-means cuts the plane in two halves, whose centres both lie within the inner ring. So it finds
# one ring, twice.

by_graph = GraphCoverageSampler(budget=2, metric="euclidean").fit(X)
display = EmbeddingDisplay.from_sampler(by_graph, X, y, coordinates=X)

# %%
# Along neighbours one ring cannot be reached from the other, and each has a pick.
#
# Ten digits
# ----------
#
# A label a class, if each class is found. K-means begins anew with every seed, twenty times;
# nothing in graph coverage is random, and once is enough. From the same picks two classifiers
# learn: the nearest neighbour, and one that lets the labels vote along the graph.

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=600, stratify=y, random_state=0)
pool = skal.Pool(X)  # its graph is found once

of_kmeans = select({"K-means": KMeansSampler()}, pool, y, budgets=[10], n_seeds=20)
of_graph = select({"Graph coverage": GraphCoverageSampler()}, pool, y, budgets=[10], n_seeds=1)
classifiers = {"Nearest neighbour": CosineKNNClassifier(), "Graph": GraphClassifier()}
selections = Selections({**of_kmeans, **of_graph}, y)
curve = score(selections, classifiers, pool, y, X_test, y_test, scoring="accuracy")

_, ax = plt.subplots(layout="constrained")
for place, name in enumerate(classifiers):
    kmeans, graph = (100 * curve.scores(sampler, 10, name) for sampler in curve.samplers)
    around = place + np.linspace(-0.2, 0.2, len(kmeans))
    (dots,) = ax.plot(around, kmeans, "o", color="#0072B2", alpha=0.7)
    (diamond,) = ax.plot(place, *graph, "D", color="#D55E00", markersize=10)
ax.set_xticks(range(len(classifiers)), classifiers)
ax.set(xlim=(-0.5, 1.5), xlabel="Classifier", ylabel="Test accuracy, 10 labels (%)")
ax.grid(axis="y", alpha=0.3)
names = ["K-means, a dot a seed", "Graph coverage"]
ax.legend([dots, diamond], names, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

# %%
# How often each class was among the ten, and what that gave on average:

for sampler in curve.samplers:
    coverage = curve.scores(sampler, 10).mean()
    means = [f"{name.lower()} {curve.scores(sampler, 10, name).mean():.1%}" for name in classifiers]
    print(f"{sampler}: {coverage:.0%} of the classes; {', '.join(means)}")

# %%
# With more labels a class the two samplers come close to each other; :doc:`/which_sampler` has the
# tables.
