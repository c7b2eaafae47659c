"""Leading eigenvectors of a graph, its diffusion map, and clusterings of it."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skal._core.blocks import Blocks
from skal._core.graph import affinity, clusterings_of, count_parts, exact_neighbors, normalized_affinity
from skal._core.graph._diffusion import diffusion_kernel
from skal._core.graph._eigenvectors import diffusion_map, leading_eigenvectors


@pytest.fixture
def neighbors(rng):
    """Of 500 rows in eight groups, two of which are so far away that the graph falls apart."""
    centers = np.concatenate([4 * rng.normal(size=(6, 5)), [[300.0] * 5, [-300.0] * 5]])
    X = centers[np.arange(500) % 8] + rng.normal(size=(500, 5))
    return exact_neighbors(Blocks(torch.from_numpy(X.astype(np.float32)), torch.device("cpu")), 10)


@pytest.fixture
def normalized(neighbors):
    return normalized_affinity(affinity(neighbors))[0]


def test_parts_are_counted(neighbors, normalized):
    n_parts = int((np.linalg.eigvalsh(normalized.toarray()) > 1 - 1e-9).sum())
    assert count_parts(neighbors) == n_parts > 3


def test_alpha_next_to_1_gives_numbers(normalized):
    points = diffusion_map(*leading_eigenvectors(normalized, 5), np.nextafter(1, 0))
    assert np.isfinite(points).all()


def test_eigenvectors_are_those_of_the_dense_matrix(normalized):
    values, vectors = leading_eigenvectors(normalized, 12)
    expected = np.linalg.eigvalsh(normalized.toarray())[::-1]
    assert (expected[:3] > 1 - 1e-9).all()  # of the three parts of the graph
    np.testing.assert_allclose(values, expected[:12], atol=1e-5)
    np.testing.assert_allclose(normalized @ vectors, vectors * values, atol=2e-3)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-9)


def test_as_many_eigenvectors_as_rows(rng):
    half = rng.random(size=(7, 7))
    normalized, _ = normalized_affinity(sparse.csr_array(half + half.T))
    values, vectors = leading_eigenvectors(normalized, 7)
    np.testing.assert_allclose(vectors * values @ vectors.T, normalized.toarray(), atol=1e-9)


def test_all_of_the_diffusion_map_is_the_diffusion_kernel(rng):
    half = rng.random(size=(9, 9))
    normalized, _ = normalized_affinity(sparse.csr_array(half + half.T))
    points = diffusion_map(*leading_eigenvectors(normalized, 9), 0.9)
    np.testing.assert_allclose(points @ points.T, diffusion_kernel(normalized, 0.9), atol=1e-5)


def test_a_row_without_neighbours_stays_at_zero():
    normalized, _ = normalized_affinity(sparse.csr_array(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=float)))
    values, vectors = leading_eigenvectors(normalized, 1)
    points = diffusion_map(values, vectors, 0.9)
    np.testing.assert_allclose(np.abs(points), [[1], [1], [0]], atol=1e-6)


def test_clusterings_have_their_numbers_of_clusters_and_differ(neighbors):
    found = clusterings_of(neighbors, 0.95, [3, 8, 8, 20], np.random.default_rng(0))
    assert found.dtype == torch.uint8
    assert [len(clusters.unique()) for clusters in found] == [3, 8, 8, 20]
    groups = np.arange(500) % 8
    together = [(found[0][groups == group].unique()).numel() == 1 for group in (6, 7)]
    assert all(together)  # no part of the graph is cut while there are as many clusters as parts
    assert not torch.equal(found[1], found[2])
    again = clusterings_of(neighbors, 0.95, [3, 8, 8, 20], np.random.default_rng(0))
    assert torch.equal(found, again)
    many = clusterings_of(neighbors, 0.95, [300], np.random.default_rng(0))
    assert many.dtype == torch.int16
    assert int(many.max()) > 255
