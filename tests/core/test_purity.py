"""Distances to other clusters against all pairs."""

import numpy as np
import pytest
import torch

from skal._core import purity
from skal._core.blocks import Blocks
from skal._core.purity import distance_to_other_clusters


@pytest.mark.parametrize("rows_at_once", [3, 1024])
@pytest.mark.parametrize("n_clusters", [1, 2, 7])
def test_the_nearest_row_of_another_cluster(n_clusters, rows_at_once, rng, monkeypatch):
    monkeypatch.setattr(purity, "_ROWS_AT_ONCE", rows_at_once)
    X, labels = rng.normal(size=(90, 3)).astype(np.float32), rng.integers(0, n_clusters, size=90)
    row_idx = rng.permutation(90)[:40]
    blocks = Blocks(X, torch.device("cpu"), tile_rows=16)
    blocks.check_finite()
    found = distance_to_other_clusters(blocks, torch.from_numpy(labels), row_idx)
    distances = np.sqrt(np.square(X[row_idx, None].astype(float) - X).sum(axis=2))
    distances[labels[row_idx, None] == labels] = np.inf
    np.testing.assert_allclose(found, distances.min(axis=1), rtol=1e-6)
