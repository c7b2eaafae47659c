"""Distances to other clusters against all pairs."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from skal._core import purity
from skal._core.blocks import Blocks
from skal._core.purity import kth_distance_to_other_clusters


def nearest_of_others(X, labels, row_idx):
    distances = cdist(X[row_idx].astype(float), X.astype(float))  # of differences
    distances[labels[row_idx, None] == labels] = np.inf
    return distances.min(axis=1)


@pytest.mark.parametrize("at_once", [3, 2048])
@pytest.mark.parametrize("n_components", [1, 2, 64], ids="{} axes".format)
@pytest.mark.parametrize("n_clusters", [1, 2, 7])
def test_the_kth_distance_to_another_cluster(n_clusters, n_components, at_once, rng, monkeypatch):
    monkeypatch.setattr(purity, "_COMPONENTS", n_components)
    monkeypatch.setattr(purity, "_ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(purity, "_OTHERS_AT_ONCE", at_once)
    X, labels = rng.normal(size=(90, 3)).astype(np.float32), rng.integers(0, n_clusters, size=90)
    X[80:] = X[:10]  # some are copies of rows of other clusters
    row_idx = rng.permutation(90)[:40]
    blocks = Blocks(X, torch.device("cpu"), tile_rows=16)
    expected = np.sort(nearest_of_others(X, labels, row_idx))
    for k in (0, 1, 5, 20, 39):
        found = kth_distance_to_other_clusters(blocks, torch.from_numpy(labels), row_idx, k)
        assert found == pytest.approx(expected[k], rel=1e-12)


def test_most_rows_are_compared_on_the_axes_alone(rng, monkeypatch):
    X = (rng.normal(size=(2000, 200)) * 0.95 ** np.arange(200)).astype(np.float32)
    labels = (X[:, 0] > 0).astype(np.int64)
    compared = []
    distances = purity._Search.distances

    def count(search, positions, others):
        compared.append(len(positions))
        return distances(search, positions, others)

    monkeypatch.setattr(purity._Search, "distances", count)
    row_idx = np.arange(0, 2000, 2)
    found = kth_distance_to_other_clusters(Blocks(X, torch.device("cpu")), torch.from_numpy(labels), row_idx, 50)
    assert found == pytest.approx(np.sort(nearest_of_others(X, labels, row_idx))[50], rel=1e-12)
    assert sum(compared) < 2 * len(row_idx)


def test_where_the_axes_rule_nothing_out_products_do(rng, monkeypatch):
    monkeypatch.setattr(purity, "_COMPONENTS", 4)
    X = rng.normal(size=(600, 60)).astype(np.float32)  # all directions alike
    labels = rng.integers(0, 3, size=600)
    gathered = []
    of_pairs = purity.ComparedRows.lower_sq_dist_of_pairs

    def count(rows, others, row_pos, other_pos):
        gathered.append(len(row_pos))
        return of_pairs(rows, others, row_pos, other_pos)

    monkeypatch.setattr(purity.ComparedRows, "lower_sq_dist_of_pairs", count)
    row_idx = np.arange(0, 600, 3)
    expected = np.sort(nearest_of_others(X, labels, row_idx))
    for k in (0, 10, 199):
        blocks = Blocks(X, torch.device("cpu"))
        found = kth_distance_to_other_clusters(blocks, torch.from_numpy(labels), row_idx, k)
        assert found == pytest.approx(expected[k], rel=1e-12)
    assert sum(gathered) < 0.02 * 3 * len(row_idx) * len(X)
