"""How rows are prepared: near zero, near one, and back."""

import numpy as np
import pytest
import torch

from skal.pool import Frame, Pool
from skal.pool._frame import find_cone, find_frame

CPU = torch.device("cpu")


@pytest.mark.parametrize("exponent", [-1000, -500, -83, 0, 19, 83, 500])
def test_prepared_rows_spread_near_one_and_come_back(exponent, rng):
    X = (rng.normal(size=(500, 4)) + 7) * 2.0**exponent
    frame = find_frame(X, "euclidean", CPU)
    rows = frame.blocks(X, CPU).whole()
    assert 2.0**-21 < float(rows.std()) < 2.0**21
    assert float(rows.mean().abs()) < float(rows.std())
    np.testing.assert_allclose(frame.original(rows.numpy()), X, rtol=1e-5)
    np.testing.assert_allclose(frame.points(X), rows, rtol=1e-5, atol=1e-6)


def test_integers_stay_integers_at_an_offset(rng):
    X = rng.integers(0, 50, size=(300, 4)) + 10**9
    rows = find_frame(X, "euclidean", CPU).blocks(X, CPU).whole().numpy()
    np.testing.assert_array_equal(rows, np.rint(rows))
    np.testing.assert_array_equal(rows - rows[0], X - X[0])


@pytest.mark.parametrize("value", [0.1, 1e-30, 3e25, 1e200])
def test_copies_of_one_row_are_equal_after_it(value):
    X = np.full((400, 3), value)
    rows = find_frame(X, "euclidean", CPU).blocks(X, CPU).whole()
    assert torch.equal(rows, rows[:1].expand(400, 3))
    assert bool(torch.isfinite(rows).all())


def test_cosine_moves_nothing(rng):
    X = rng.normal(size=(30, 3)) * 1e30
    frame = find_frame(X, "cosine", CPU)
    assert frame == Frame("cosine", frame.origin)
    assert not frame.origin.any()
    np.testing.assert_allclose(frame.blocks(X, CPU).whole().norm(dim=1), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_cone_keeps_the_differences_of_its_rows(dtype, rng):
    X = (1 + 1e-4 * rng.normal(size=(300, 8))).astype(dtype)
    X[::40] = 0  # hides no cone, and stays zero
    frame = find_cone(X, CPU)
    unit = X.astype(np.float64)
    unit[unit.any(axis=1)] /= np.linalg.norm(unit[unit.any(axis=1)], axis=1, keepdims=True)
    rows = frame.blocks(X, CPU).whole().numpy()
    np.testing.assert_allclose(rows, unit - frame.origin, rtol=1e-6, atol=1e-11)
    np.testing.assert_allclose(frame.original(rows), unit, atol=1e-7)


@pytest.mark.parametrize("kind", ["all around", "positive", "two cones", "zeros"])
def test_rows_that_point_different_ways_are_no_cone(kind, rng):
    X = rng.normal(size=(300, 8))
    if kind == "positive":
        X = np.abs(X)
    elif kind == "two cones":
        X = 1e-4 * X + np.repeat(np.eye(2, 8), 150, axis=0)
    elif kind == "zeros":
        X[:] = 0
    assert find_cone(X, CPU) is None


def test_a_cone_is_looked_for_only_where_distances_are_wanted(rng):
    pool = Pool(1 + 1e-4 * rng.normal(size=(300, 8)), device="cpu")
    unit_rows = pool.view()
    assert unit_rows is pool.view("cosine") is not pool.view(for_distances=True)
    np.testing.assert_allclose(unit_rows.blocks.whole().norm(dim=1), 1, rtol=1e-6)
    assert pool.view(for_distances=True) is pool.view(for_distances=True)
    ordinary = Pool(rng.normal(size=(300, 8)), device="cpu")
    assert ordinary.view(for_distances=True) is ordinary.view()
    assert ordinary.view("euclidean", for_distances=True) is ordinary.view("euclidean")
