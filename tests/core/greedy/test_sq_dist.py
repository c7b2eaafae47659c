"""Bounds that hold whatever the rows are, and differences that are numpy's to the last bit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal._core.blocks import Blocks
from skal._core.distances import half_sq_norms
from skal._core.greedy._exact_rows import ExactRows, unit_rows_in_float64
from skal._core.greedy._sq_dist import Float32Bounds, sq_dist_of_pairs

CPU = torch.device("cpu")


def structured_rows(kind, n_features, rng):
    """Twelve rows whose products round in one direction, cancel, or differ in the last digits only."""
    rows = rng.normal(size=(12, n_features))
    if kind == "one value":
        rows = np.repeat(rng.random((12, 1)), n_features, axis=1)
    elif kind == "positive":
        rows = rng.random(size=(12, n_features))
    elif kind == "nearly copies":
        rows = rows[:1] * (1 + 1e-7 * rng.normal(size=rows.shape))
    elif kind == "lengths far apart":
        rows = rows * np.logspace(-8, 8, 12)[:, None]
    elif kind == "overflow and underflow":
        rows = rows * np.logspace(-35, 35, 12)[:, None]
    else:
        assert kind == "normal"
    return rows


KINDS = ["normal", "one value", "positive", "nearly copies", "lengths far apart", "overflow and underflow"]


@pytest.mark.slow
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@given(n_features=st.sampled_from([1, 3, 30, 512, 3000]), seed=st.integers(0, 2**32 - 1))
def test_squared_distances_lie_within_their_bounds(kind, normalize, n_features, seed):
    X = structured_rows(kind, n_features, np.random.default_rng(seed))
    blocks = Blocks(X, CPU, normalize=normalize)
    rows, half_norms = blocks.whole(), blocks.half_sq_norms()
    exact = ExactRows(Blocks(X, CPU, dtype=torch.float64), normalize=normalize).take(np.arange(12))
    sq_dist = np.square(exact[:, None] - exact).sum(axis=2)

    bounds = Float32Bounds(n_features)
    upper = bounds.upper_of_each(rows, half_norms, rows, half_sq_norms(rows)).double().numpy()
    assert (sq_dist <= upper).all()
    sq_norms = 2.0 * half_norms.double().numpy()
    with np.errstate(invalid="ignore"):
        lower = np.fmax(upper - bounds.width(sq_norms, sq_norms[:, None]), 0.0)
    assert (lower <= sq_dist).all()

    others = np.where(np.eye(12, dtype=bool), np.inf, sq_dist).min(axis=1)
    for row in range(12):
        rest = np.delete(np.arange(12), row)
        score = bounds.least_score(rows[[row]], rows[rest], half_sq_norms(rows[rest]))
        assert others[row] <= float(bounds.complete(score, half_norms[[row]]))
    is_near = np.zeros((12, 12), dtype=bool)
    is_near[bounds.could_be_within(torch.from_numpy(others), rows, half_norms, rows, half_sq_norms(rows))] = True
    assert is_near[sq_dist <= others[:, None]].all()


def test_the_bounds_are_not_far_off(rng):
    """Or else they would hold and decide nothing."""
    X = rng.normal(size=(50, 512))
    blocks = Blocks(X, CPU, normalize=True)
    rows, half_norms = blocks.whole(), blocks.half_sq_norms()
    bounds = Float32Bounds(512)
    upper = bounds.upper_of_each(rows, half_norms, rows, half_norms).double().numpy()
    sq_dist = np.square(unit_rows_in_float64(X)[:, None] - unit_rows_in_float64(X)).sum(axis=2)
    assert (upper - sq_dist).max() < 3e-4
    assert bounds.width(np.ones(1), 1.0)[0] < 3e-4


@pytest.mark.parametrize("n_features", [1, 7, 128, 129, 1000])
def test_differences_are_those_of_numpy(n_features, rng):
    rows, centers = rng.normal(size=(40, n_features)), rng.normal(size=(30, n_features))
    row_pos, center_pos = rng.integers(40, size=500), rng.integers(30, size=500)
    expected = [((rows[i] - centers[j]) ** 2).sum() for i, j in zip(row_pos, center_pos, strict=True)]
    np.testing.assert_array_equal(sq_dist_of_pairs(rows, centers, row_pos, center_pos), expected)


def test_unit_rows_in_float64(rng):
    rows = rng.normal(size=(20, 6))
    rows[3] = 0
    expected = rows / np.where(rows.any(axis=1), np.linalg.norm(rows, axis=1), 1.0)[:, None]
    np.testing.assert_array_equal(unit_rows_in_float64(rows), expected)
    for exponent in (-1000, -500, 500, 1000):
        np.testing.assert_array_equal(unit_rows_in_float64(np.ldexp(rows, exponent)), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, ">f4", bool])
def test_exact_rows_are_the_rows_as_given(dtype, rng):
    X = (4 * rng.normal(size=(3000, 3))).astype(dtype)
    raw = Blocks(X, CPU, dtype=torch.float64)
    np.testing.assert_array_equal(ExactRows(raw, normalize=False).take(np.array([2, 2999])), X[[2, 2999]].astype(float))
    scaled = ExactRows(raw, normalize=False, factor=0.25)
    np.testing.assert_array_equal(np.concatenate(list(scaled.tiles())), 0.25 * X.astype(float))
