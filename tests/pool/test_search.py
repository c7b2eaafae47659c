"""The rows of a pool nearest to rows from elsewhere."""

import numpy as np
import pytest

import skal
from skal._core.graph import _cells
from skal.pool import _search, _view


def found_by(pool, X, k):
    parts = pool.view("euclidean", for_distances=True).search.nearest(X, k)
    return (np.concatenate(each) for each in zip(*parts, strict=True))


def brute_force(X, queries, k):
    sq_dist = ((queries[:, None].astype(np.float64) - X[None].astype(np.float64)) ** 2).sum(axis=2)
    indices = np.argsort(sq_dist, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(sq_dist, indices, axis=1)


@pytest.fixture
def by_cells(monkeypatch):
    """Cells of 40 rows in any pool, and queries that arrive in several groups."""
    monkeypatch.setattr(_view, "_EXACT_UP_TO_ROWS", 100)
    monkeypatch.setattr(_cells, "_ROWS_A_CELL", 40)


def test_all_rows_of_a_small_pool_are_compared(rng):
    X, queries = rng.normal(size=(500, 4)).astype(np.float32), rng.normal(size=(70, 4)).astype(np.float32)
    indices, sq_dist = found_by(skal.Pool(X), queries, 6)
    expected, expected_sq_dist = brute_force(X, queries, 6)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(sq_dist, expected_sq_dist, rtol=1e-4)


@pytest.mark.parametrize("numbers_at_once", [1, 1 << 26])
def test_cells_hold_the_neighbours_of_separate_parts(by_cells, rng, monkeypatch, numbers_at_once):
    monkeypatch.setattr(_search, "_NUMBERS_AT_ONCE", numbers_at_once)
    monkeypatch.setattr(_search, "_MOST_KEPT_NUMBERS", 0)
    centers = 40.0 * rng.normal(size=(20, 4))
    X = (np.repeat(centers, 40, axis=0) + rng.normal(size=(800, 4))).astype(np.float32)
    queries = (np.tile(centers, (150, 1)) + rng.normal(size=(3000, 4))).astype(np.float32)
    indices, sq_dist = found_by(skal.Pool(X), queries, 5)
    expected, expected_sq_dist = brute_force(X, queries, 5)
    assert (indices == expected).mean() > 0.99
    is_found = indices == expected
    np.testing.assert_allclose(sq_dist[is_found], expected_sq_dist[is_found], rtol=1e-3, atol=1e-3)


def test_a_row_of_the_pool_finds_itself(by_cells, rng):
    X = rng.normal(size=(2000, 6)).astype(np.float32)
    indices, sq_dist = found_by(skal.Pool(X), X[::7], 3)
    np.testing.assert_array_equal(indices[:, 0], np.arange(0, 2000, 7))
    assert (sq_dist[:, 0] == 0).all()


def test_the_same_rows_are_sought_once(rng, monkeypatch):
    asked, find = [], _search.nearest_in_pool
    monkeypatch.setattr(_search, "nearest_in_pool", lambda *given: asked.append(given) or find(*given))
    pool, queries = skal.Pool(rng.normal(size=(50, 3))), rng.normal(size=(9, 3))
    first, _ = found_by(pool, queries, 2)
    again, _ = found_by(pool, queries.copy(), 2)
    np.testing.assert_array_equal(again, first)
    assert len(asked) == 1
    before = queries.copy()
    queries += 1.0
    found_by(pool, queries, 2)
    assert len(asked) == 2
    for _ in range(5):
        found_by(pool, rng.normal(size=(1, 3)), 2)
        found_by(pool, queries, 2)
    assert len(asked) == 7
    found_by(pool, before, 2)
    assert len(asked) == 8  # what has not been asked for long is forgotten
