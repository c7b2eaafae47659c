"""The same picks for any number of threads."""

import numpy as np
import pytest
import torch

from skal.classifiers import CosineKNNClassifier
from skal.pool import clear_cache
from skal.samplers import (
    BADGESampler,
    BAITSampler,
    CoreSetSampler,
    KMeansSampler,
    MarginSampler,
    MaxEntropySampler,
    UniformKMeansSampler,
)

N_THREADS = (1, 2, 4)


def make_pool(kind, rng):
    if kind == "groups":
        return (rng.normal(size=(100, 64))[rng.integers(0, 100, 3000)] + rng.normal(size=(3000, 64))).astype(np.float32)
    if kind == "copies":
        return np.repeat(rng.normal(size=(200, 20)), 10, axis=0)
    if kind == "integers":
        return rng.integers(0, 5, size=(3000, 16))
    if kind == "wide":
        return rng.normal(size=(1200, 1100)).astype(np.float32)
    if kind == "cone":
        return rng.normal(size=48) + 3e-4 * rng.normal(size=(3000, 48))
    return rng.normal(size=(3001, 33)).astype(np.float16)


POOLS = ["groups", "copies", "integers", "wide", "cone", "odd"]
SAMPLERS = [
    KMeansSampler(100, random_state=0),
    KMeansSampler(100, algorithm="restricted", random_state=0),
    KMeansSampler(37, metric="euclidean", algorithm="restricted", random_state=0),
    KMeansSampler(37, metric="euclidean", algorithm="lloyd", n_init=2, random_state=0),
    UniformKMeansSampler(60, n_clusters=20, random_state=0),
    CoreSetSampler(60),
    MarginSampler(60, random_state=0),
    MaxEntropySampler(60, classifier=CosineKNNClassifier(3), random_state=0),
    BADGESampler(60, random_state=0),
    BAITSampler(20, random_state=0),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_the_same_picks_for_any_number_of_threads(sampler, kind, rng):
    X, y = make_pool(kind, rng), None
    y = rng.integers(0, 5, len(X))
    labeled_idx = rng.choice(len(X), size=40, replace=False)
    results = []
    before = torch.get_num_threads()
    for n_threads in N_THREADS:
        torch.set_num_threads(n_threads)
        clear_cache()
        fitted = sampler.fit(X, y, labeled_indices=labeled_idx)
        results.append((fitted.selected_indices_.tolist(), getattr(fitted, "inertia_", None)))
    torch.set_num_threads(before)
    assert results == results[:1] * len(N_THREADS)
