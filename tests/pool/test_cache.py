"""What is kept between fits on plain arrays."""

import numpy as np
from sklearn import config_context

import skal
from skal.pool._cache import SketchCache, sketches
from skal.samplers import KMeansSampler


class Sized:
    def __init__(self, n_bytes):
        self.n_bytes = n_bytes


def get(cache, made, name, n_bytes=2**20):
    return cache.get("sketch", name, lambda: made.append(name) or Sized(n_bytes))


def test_the_least_recently_used_makes_room():
    cache, made = SketchCache(), []
    with config_context(working_memory=10):  # MiB, of which a quarter is two and a half
        for name in "aab":
            get(cache, made, name)
        assert made == ["a", "b"]
        for name in "acab":
            get(cache, made, name)
        assert made == ["a", "b", "c", "b"]
        assert cache.n_bytes == 2 * 2**20


def test_a_smaller_working_memory_frees_what_is_kept():
    cache, made = SketchCache(), []
    with config_context(working_memory=100):
        for name in "abc":
            get(cache, made, name)
    with config_context(working_memory=4):
        get(cache, made, "c")
    assert cache.n_bytes == 2**20


def test_what_is_too_large_is_not_kept():
    cache, made = SketchCache(), []
    with config_context(working_memory=4):
        for _ in range(2):
            get(cache, made, "a", 2**22)
    assert made == ["a", "a"]
    assert cache.n_bytes == 0


def test_the_users_cache_can_be_cleared(rng):
    skal.pool.clear_cache()
    KMeansSampler(70, algorithm="restricted").fit(rng.normal(size=(500, 20)))
    assert sketches.n_bytes == 500 * 20 * 4
    skal.pool.clear_cache()
    assert sketches.n_bytes == 0


def test_an_opened_pool_keeps_its_own(rng):
    X = rng.normal(size=(500, 20)).astype(np.float32)
    pool = skal.Pool(X)
    KMeansSampler(70, algorithm="restricted").fit(pool)
    first = pool.view().principal_coordinates()
    skal.pool.clear_cache()
    KMeansSampler(75, algorithm="restricted").fit(pool)
    assert pool.view().principal_coordinates() is first
