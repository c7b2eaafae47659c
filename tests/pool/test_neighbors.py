"""The nearest rows of each row, exactly and by cells."""

import numpy as np
import pytest
from sklearn import config_context

import skal
from skal._core import graph
from skal._core.graph import _cells, _exact
from skal._core.greedy import _near_pairs
from skal.pool import _search, _view


def brute_force(X, k, metric):
    rows = X.astype(np.float64)
    if metric == "cosine":
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(norms > 0, norms, 1)
    sq_dist = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    np.fill_diagonal(sq_dist, np.inf)
    indices = np.argsort(sq_dist, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(sq_dist, indices, axis=1)


@pytest.mark.parametrize("algorithm", ["exact", "cells"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_against_brute_force(algorithm, metric, rng):
    X = rng.normal(size=(700, 12)).astype(np.float32)
    found = skal.Pool(X, metric=metric).neighbors(7, algorithm=algorithm)
    indices, sq_dist = brute_force(X, 7, metric)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.sq_dist, sq_dist, rtol=1e-5)
    assert (found.indices.dtype, found.sq_dist.dtype, found.recall) == (np.int32, np.float32, 1.0)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_copies_and_zero_rows_are_ranked_by_row(metric, rng):
    distinct = np.vstack([rng.normal(size=(4, 5)), np.zeros((2, 5))]).astype(np.float32)
    X = distinct[rng.integers(6, size=150)]
    found = skal.Pool(X, metric=metric).neighbors(40)
    indices, sq_dist = brute_force(X, 40, metric)
    np.testing.assert_allclose(found.sq_dist, sq_dist, atol=1e-6)
    assert (found.sq_dist[sq_dist == 0] == 0).all()
    for row in range(150):
        ties = sq_dist[row] == 0
        np.testing.assert_array_equal(found.indices[row, ties], indices[row, ties])
        assert row not in found.indices[row]


@pytest.mark.parametrize("is_rounded", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_what_is_near_is_all_that_is_compared(metric, is_rounded, rng, monkeypatch):
    X = (rng.normal(size=(1500, 150)) * 0.95 ** np.arange(150)).astype(np.float32)
    X[700:740], X[1480:], X[3], X[4] = X[:40], X[41], 0, 50 * X[4]
    expected = skal.Pool(X, metric=metric).neighbors(10, algorithm="exact")
    monkeypatch.setattr(_exact, "_PROPOSED_FROM_ROWS", 1000)
    monkeypatch.setattr(_exact, "_PROPOSED_NEIGHBORS", 0.01)
    monkeypatch.setattr(_near_pairs, "_LEAST_NUMBERS_TO_PREPARE", 0)
    monkeypatch.setattr(_near_pairs, "bfloat16_pays", lambda: is_rounded)
    proposed = []
    find = _exact._near_rows
    monkeypatch.setattr(_exact, "_near_rows", lambda *pool_and_k: proposed.append(find(*pool_and_k)) or proposed[-1])
    found = skal.Pool(X, metric=metric).neighbors(10, algorithm="exact")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.sq_dist, expected.sq_dist)
    assert 11 * 1500 <= len(proposed[0].row_idx) < (80 if is_rounded else 40) * 1500


@pytest.mark.parametrize("algorithm", ["exact", "cells"])
def test_a_tight_cone_keeps_its_neighbours(algorithm, rng):
    X = np.ones(6) + 1e-6 * rng.normal(size=(300, 6))
    found = skal.Pool(X).neighbors(5, algorithm=algorithm)
    indices, sq_dist = brute_force(X, 5, "cosine")
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.sq_dist, sq_dist, rtol=1e-4)


def test_units_are_those_of_the_rows(rng):
    X = rng.normal(size=(50, 4))
    far = skal.Pool(X * 2.0**30 + 2.0**34, metric="euclidean").neighbors(3)
    near = skal.Pool(X, metric="euclidean").neighbors(3)
    np.testing.assert_allclose(far.sq_dist / 2.0**60, near.sq_dist, rtol=1e-3)


@pytest.mark.parametrize("algorithm", ["exact", "cells"])
def test_the_same_for_any_memory(algorithm, rng):
    X = rng.normal(size=(3000, 8)).astype(np.float16)
    expected = skal.Pool(X).neighbors(5, algorithm=algorithm)
    with config_context(working_memory=0.01):
        found = skal.Pool(X).neighbors(5, algorithm=algorithm)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.sq_dist, expected.sq_dist)


def test_the_recall_of_cells_is_what_a_full_comparison_finds(rng, monkeypatch):
    monkeypatch.setattr(_cells, "_ROWS_A_CELL", 40)
    monkeypatch.setattr(_search, "_MIN_RECALL", 0.8)
    X = rng.normal(size=(4000, 6)).astype(np.float32)
    pool = skal.Pool(X)
    found, exact = pool.neighbors(10, algorithm="cells"), pool.neighbors(10, algorithm="exact")
    true_recall = np.mean([np.isin(a, b).mean() for a, b in zip(found.indices, exact.indices, strict=True)])
    assert 0.7 < true_recall < 0.99
    assert abs(found.recall - true_recall) < 0.05
    monkeypatch.setattr(_search, "_MIN_RECALL", 0.999)
    assert skal.Pool(X).neighbors(10, algorithm="cells").recall > 0.99


@pytest.mark.slow
def test_neighbours_without_any_structure_are_found_in_many_cells(rng, monkeypatch):
    monkeypatch.setattr(_cells, "_ROWS_A_CELL", 40)
    X = rng.normal(size=(5000, 32)).astype(np.float32)
    assert skal.Pool(X).neighbors(10, algorithm="cells").recall > 0.95


def test_they_are_found_once(rng, monkeypatch):
    asked, find = [], graph.exact_neighbors
    monkeypatch.setattr(_view, "exact_neighbors", lambda *given: asked.append(given) or find(*given))
    pool = skal.Pool(rng.normal(size=(60, 3)))
    ten = pool.neighbors(10)
    np.testing.assert_array_equal(pool.neighbors(4).indices, ten.indices[:, :4])
    assert len(asked) == 1
    pool.neighbors(11)
    pool.neighbors(10, metric="euclidean")
    assert len(asked) == 3


def test_no_more_neighbours_than_other_rows(rng):
    X = rng.normal(size=(4, 3))
    assert skal.Pool(X).neighbors(10).indices.shape == (4, 3)
    assert skal.Pool(X[:1]).neighbors(10).indices.shape == (1, 0)
    assert skal.Pool(X).neighbors(10, algorithm="cells").indices.shape == (4, 3)


def test_they_are_kept_beside_the_file_of_a_pool(rng, tmp_path, monkeypatch):
    X, path = rng.normal(size=(80, 4)), tmp_path / "pool_neighbors.npz"
    found = skal.Pool(X).neighbors(6, path=path)
    skal.Pool(X).neighbors(9, path=path)  # more than the file holds
    monkeypatch.setattr(_view, "exact_neighbors", None)
    again = skal.Pool(X)
    np.testing.assert_array_equal(again.neighbors(6, path=path).indices, found.indices)
    np.testing.assert_array_equal(again.neighbors(6, path=path).sq_dist, found.sq_dist)
    assert again.neighbors(9).indices.shape == (80, 9)  # kept with the pool, too
    others = [skal.Pool(X + 1), skal.Pool(X, metric="euclidean")]
    for other in others:
        with pytest.raises(ValueError, match=r"pool_neighbors.npz holds neighbours of other rows"):
            other.neighbors(6, path=path)
    with pytest.raises(ValueError, match="holds neighbours of other rows"):
        skal.Pool(X).neighbors(6, algorithm="cells", path=path)
    for content in (b"", b"something else", path.read_bytes()[:500]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no file of neighbours, or is damaged"):
            skal.Pool(X).neighbors(6, path=path)


def test_what_is_refused(rng):
    pool = skal.Pool(rng.normal(size=(9, 3)))
    for k in (0, -1, 2.5, True, None):
        with pytest.raises(ValueError, match="k must be an int"):
            pool.neighbors(k)
    with pytest.raises(ValueError, match="algorithm='hnsw' is not known; use one of auto, exact, cells"):
        pool.neighbors(3, algorithm="hnsw")
    bad = rng.normal(size=(9, 3))
    bad[4, 1] = np.nan
    for X in (bad, bad[4:5]):
        with pytest.raises(ValueError, match="NaN: row"):
            skal.Pool(X).neighbors(3)
