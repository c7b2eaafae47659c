"""The same picks for any number of workers, and of threads that torch has."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from skal._core.blocks import TILE_ROWS
from skal._core.workers import count_workers, on_workers
from skal.classifiers import CosineKNNClassifier
from skal.pool import clear_cache
from skal.samplers import (
    BADGESampler,
    BAITSampler,
    ConsensusCoverageSampler,
    CoreSetSampler,
    KMeansSampler,
    MarginSampler,
    MaxEntropySampler,
    UniformKMeansSampler,
)

N_WORKERS = (1, 4)  # most passes here have two items, which two of any number of workers take


def make_pool(kind, rng):
    if kind == "groups":
        return (rng.normal(size=(100, 64))[rng.integers(0, 100, 700)] + rng.normal(size=(700, 64))).astype(np.float32)
    if kind == "copies":
        return np.repeat(rng.normal(size=(70, 20)), 10, axis=0)
    if kind == "integers":
        return rng.integers(0, 5, size=(700, 16))
    if kind == "wide":
        return rng.normal(size=(1100, 1030)).astype(np.float32)
    if kind == "cone":
        return rng.normal(size=48) + 3e-4 * rng.normal(size=(700, 48))
    return rng.normal(size=(701, 33)).astype(np.float16)


POOLS = ["groups", "copies", "integers", "wide", "cone", "odd"]
SAMPLERS = [
    KMeansSampler(20, n_init=3, max_iter=4, random_state=0),
    KMeansSampler(60, algorithm="restricted", random_state=0),
    KMeansSampler(37, metric="euclidean", algorithm="restricted", random_state=0),
    KMeansSampler(17, metric="euclidean", algorithm="lloyd", n_init=2, max_iter=10, random_state=0),
    UniformKMeansSampler(10, n_clusters=4, random_state=0),
    CoreSetSampler(60),
    MarginSampler(60, random_state=0),
    MaxEntropySampler(60, classifier=CosineKNNClassifier(3), random_state=0),
    BADGESampler(60, random_state=0),
    BAITSampler(6, random_state=0),
    ConsensusCoverageSampler(20, n_clusterings=6, max_rounds=1, random_state=0),
]


def fitted(sampler, X, y, labeled_idx):
    clear_cache()
    sampler.fit(X, y, labeled_indices=labeled_idx)
    return sampler.selected_indices_.tolist(), getattr(sampler, "inertia_", None)


@pytest.mark.slow
@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_the_same_picks_for_any_number_of_workers(sampler, kind, rng, monkeypatch):
    monkeypatch.setattr("skal._core.blocks._LEAST_FOR_WORKERS", 0)
    monkeypatch.setitem(TILE_ROWS, "cpu", 512)  # so that few rows are more than a tile
    X = make_pool(kind, rng)
    y = rng.integers(0, 5, len(X))
    labeled_idx = rng.choice(len(X), size=40, replace=False)
    results = []
    for n_workers in N_WORKERS:
        with on_workers(n_workers):
            results.append(fitted(sampler, X, y, labeled_idx))
    assert results == results[:1] * len(N_WORKERS)


@pytest.mark.parametrize(
    "sampler", [KMeansSampler(40, algorithm="restricted", random_state=0), CoreSetSampler(40)], ids=str
)
def test_the_number_of_torchs_threads_decides_how_many_workers_not_what_they_pick(sampler, rng, monkeypatch):
    monkeypatch.setitem(TILE_ROWS, "cpu", 512)
    X = make_pool("groups", rng)
    labeled_idx = rng.choice(len(X), size=40, replace=False)
    monkeypatch.setattr("skal._core.blocks._LEAST_FOR_WORKERS", 0)
    before, results, counts = torch.get_num_threads(), [], []
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.setattr("skal._core.workers.cpu_quota", lambda: 8.0)
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            with threadpool_limits(8, user_api="blas"):
                counts.append(count_workers())
            results.append(fitted(sampler, X, None, labeled_idx))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert counts == [1, 3]
    assert results[0] == results[1]
