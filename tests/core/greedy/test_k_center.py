"""k-center as an objective: both optimisers, and what its candidates keep."""

import numpy as np
import pytest
import torch

from skal._core.blocks import Blocks
from skal._core.greedy import ExactRows, KCenter, LazyGreedy, _k_center, plain_greedy, row_nearest_mean
from skal._core.greedy._sq_dist import Float32Bounds

CPU = torch.device("cpu")


def k_center(X, center_idx, n_more, **options):
    raw = Blocks(X, CPU, dtype=torch.float64)
    return KCenter(Blocks(X, CPU, **options), ExactRows(raw, normalize=False), np.array(center_idx), n_more)


def tight_groups(rng):
    return rng.normal(size=(4, 6))[rng.integers(4, size=120)] + 1e-7 * rng.normal(size=(120, 6))


def test_gains_are_exact_distances(rng):
    X = tight_groups(rng)
    objective = k_center(X, [0, 5], 40)
    centers = [0, 5]
    for row in rng.permutation(np.arange(6, 120))[:40].tolist():
        asked = rng.permutation(120)[:30]
        expected = np.square(X[asked, None] - X[centers]).sum(axis=2).min(axis=1)
        np.testing.assert_array_equal(objective.gains(asked), expected)
        assert (objective.upper_bounds(asked) >= expected).all()
        objective.add(row)
        centers.append(row)


@pytest.mark.parametrize("n_candidates", [1, 3, 1024])
def test_the_lazy_greedy_is_the_plain_one(n_candidates, rng, monkeypatch):
    monkeypatch.setattr(_k_center, "_N_CANDIDATES", n_candidates)
    X = tight_groups(rng)
    center_idx = np.array([3, 77])
    plain = plain_greedy(k_center(X, center_idx, 118), 118, excluded=center_idx)
    lazy = LazyGreedy(k_center(X, center_idx, 118, tile_rows=16), excluded=center_idx).pick(118)
    np.testing.assert_array_equal(lazy, plain)


def test_no_pair_of_row_and_center_is_compared_twice(rng, monkeypatch):
    seen = []
    real = _k_center.sq_dist_of_pairs

    def note(rows, centers, row_pos, center_pos):
        seen.extend(zip(map(bytes, rows[row_pos]), map(bytes, centers[center_pos]), strict=True))
        return real(rows, centers, row_pos, center_pos)

    monkeypatch.setattr(_k_center, "sq_dist_of_pairs", note)
    X = tight_groups(rng)
    LazyGreedy(k_center(X, [0], 119), excluded=np.array([0])).pick(119)
    assert 0 < len(seen) == len(set(seen)) < 120 * 119 / 2


def test_rows_that_are_far_apart_need_few_differences(rng, monkeypatch):
    n_pairs = []
    real = _k_center.sq_dist_of_pairs
    monkeypatch.setattr(_k_center, "sq_dist_of_pairs", lambda *args: n_pairs.append(len(args[2])) or real(*args))
    X = rng.normal(size=(3000, 64)).astype(np.float32)
    LazyGreedy(k_center(X, [0], 300), excluded=np.array([0])).pick(300)
    assert sum(n_pairs) < 3 * 300


def test_overflow_of_float32_leaves_it_to_float64(rng):
    X = rng.normal(size=(40, 3)) * np.logspace(-30, 30, 40)[:, None]
    objective = k_center(X, [39], 20)
    assert not np.isfinite(objective.upper_bounds(np.arange(38, 39))).all()
    np.testing.assert_array_equal(objective.gains(np.arange(40)), np.square(X - X[39]).sum(axis=1))


@pytest.mark.parametrize("shift", [None, torch.tensor([1e6, 0.0], dtype=torch.float64)])
def test_the_row_nearest_the_mean(shift, rng):
    X = rng.integers(-40, 40, size=(5000, 2)) + np.array([1e6, 0])
    exact_rows = ExactRows(Blocks(X, CPU, dtype=torch.float64), normalize=False)
    expected = np.square(len(X) * X - X.sum(axis=0)).sum(axis=1).argmin()
    origin_norm = 0.0 if shift is None else 1e6
    assert row_nearest_mean(Blocks(X, CPU, shift=shift), exact_rows, origin_norm=origin_norm) == expected


@pytest.mark.parametrize("spread", [1.0, 1e-4, 1e-9])
def test_the_row_nearest_the_mean_of_a_cone(spread, rng):
    X = 1 + spread * rng.normal(size=(3000, 5))
    exact_rows = ExactRows(Blocks(X, CPU, dtype=torch.float64), normalize=False)
    total = np.cumsum(X, axis=0)[-1]
    expected = np.square(len(X) * X - total).sum(axis=1).argmin()
    assert row_nearest_mean(Blocks(X, CPU), exact_rows) == expected


def test_the_sum_of_rows_far_from_zero_rounds_as_defined():
    """The definition's own sum is off by more than float32 is, once the offset is taken away."""
    X = 1e9 + 1e-5 * np.random.default_rng(1).normal(size=(3000, 2))
    exact_rows = ExactRows(Blocks(X, CPU, dtype=torch.float64), normalize=False)
    expected = np.square(len(X) * X - np.cumsum(X, axis=0)[-1]).sum(axis=1).argmin()
    assert expected != np.square(X - 1e9 - (X - 1e9).mean(axis=0)).sum(axis=1).argmin()
    shift = torch.full((2,), 1e9, dtype=torch.float64)
    assert row_nearest_mean(Blocks(X, CPU, shift=shift), exact_rows, origin_norm=2**0.5 * 1e9) == expected


def test_copies_of_the_row_nearest_the_mean_need_no_third_pass(rng, monkeypatch):
    X = np.repeat(rng.normal(size=(20, 4)), 9, axis=0)
    exact_rows = ExactRows(Blocks(X, CPU, dtype=torch.float64), normalize=False)
    expected = np.square(X - X.mean(axis=0)).sum(axis=1).round(9).argmin()
    monkeypatch.setattr(ExactRows, "tiles", lambda self: pytest.fail("a third pass"))
    assert row_nearest_mean(Blocks(X, CPU), exact_rows) == expected


def test_bounds_that_are_too_narrow_would_be_seen(rng, monkeypatch):
    """Or else the exactness of the others would test nothing."""
    X = tight_groups(rng)
    expected = plain_greedy(k_center(X, [0], 60), 60, excluded=np.array([0]))
    monkeypatch.setattr(Float32Bounds, "width", lambda self, sq_norms, center_sq_norms: 0.0 * sq_norms)
    picks = LazyGreedy(k_center(X, [0], 60), excluded=np.array([0])).pick(60)
    assert picks.tolist() != expected.tolist()
