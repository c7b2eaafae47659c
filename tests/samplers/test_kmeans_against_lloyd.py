"""The default K-means beside Lloyd's from k-means++, on pools that mislead what compares rows with few centroids."""

import numpy as np
import pytest

from skal.samplers import KMeansSampler

pytestmark = pytest.mark.slow


def modes_of(centers, sizes, noise, rng):
    y = np.repeat(np.arange(len(centers)), sizes)
    return (centers[y] + noise * rng.normal(size=(len(y), centers.shape[1]))).astype(np.float32), y


def long_tailed(n_modes, n_rows, rng):
    share = 1 / np.arange(1, n_modes + 1)
    return rng.multinomial(n_rows - n_modes, share / share.sum()) + 1


def make_pool(kind, rng):
    if kind == "one-hot copies":
        y = rng.integers(0, 300, size=9000)
        return np.eye(300, dtype=np.float32)[y], y
    if kind == "isotropic":
        return modes_of(rng.normal(size=(400, 256)), 20, 1.0, rng)
    if kind == "isotropic, tight":
        return modes_of(rng.normal(size=(300, 64)), 30, 0.3, rng)
    if kind == "long-tailed":
        return modes_of(rng.normal(size=(300, 128)), long_tailed(300, 9000, rng), 0.5, rng)
    assert kind == "near copies"
    return modes_of(rng.normal(size=(1000, 64)), 6, 1e-3, rng)


POOLS = ["one-hot copies", "isotropic", "isotropic, tight", "long-tailed", "near copies"]


@pytest.mark.parametrize("k_over_modes", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("kind", POOLS)
def test_never_above_the_better_of_lloyds_and_no_fewer_modes(kind, k_over_modes, rng):
    X, y = make_pool(kind, rng)
    k = int(k_over_modes * len(np.unique(y)))
    ours = KMeansSampler(k, random_state=0).fit(X)
    assert ours._resolve_algorithm(*X.shape, k) == "restricted"
    lloyds = [KMeansSampler(k, algorithm="lloyd", random_state=seed).fit(X) for seed in range(2)]
    best = min(lloyds, key=lambda sampler: sampler.inertia_)
    assert ours.inertia_ <= 1.01 * best.inertia_ + 1e-6
    assert len(np.unique(y[ours.selected_indices_])) >= len(np.unique(y[best.selected_indices_]))


def test_separate_modes_are_found_where_k_means_plus_plus_misses_some(rng):
    X, y = make_pool("isotropic, tight", rng)
    assert len(np.unique(y[KMeansSampler(300, random_state=0).fit_select(X)])) >= 298
    assert len(np.unique(y[KMeansSampler(300, algorithm="lloyd", random_state=0).fit_select(X)])) < 290


@pytest.mark.parametrize("d", [1030, 1500])  # fewer than the rows, and more
def test_wide_rows_need_no_square_matrix(d, rng, monkeypatch):
    import torch

    def refuse(*args, **kwargs):
        raise AssertionError("a d × d eigendecomposition")

    monkeypatch.setattr(torch.linalg, "eigh", refuse)
    X = rng.normal(size=(1100, d)).astype(np.float32)
    ours = KMeansSampler(250, algorithm="restricted", random_state=0).fit(X)
    lloyds = KMeansSampler(250, algorithm="lloyd", random_state=0).fit(X)
    assert ours.inertia_ <= 1.01 * lloyds.inertia_
