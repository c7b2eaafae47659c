"""What was computed from an array is kept for the same content, and for nothing else."""

import numpy as np

from skal._core.reuse import ContentCache, content_key


def test_keys_follow_the_content(rng):
    X = rng.normal(size=(50, 4))
    assert content_key(X) == content_key(X.copy()) == content_key(np.asfortranarray(X))
    assert content_key(X) != content_key(X.reshape(4, 50))
    assert content_key(X.view(np.int64)) != content_key(X)
    changed = X.copy()
    changed[7, 3] = np.nextafter(changed[7, 3], 9)
    assert content_key(X) != content_key(changed)


def test_the_least_recently_used_makes_room():
    cache, made = ContentCache(), []

    def get(name):
        return cache.get(name, lambda: made.append(name) or name, lambda value: 10, max_bytes=25)

    assert [get(name) for name in "aab"] == ["a", "a", "b"]
    assert made == ["a", "b"]
    get("a"), get("c"), get("a"), get("b")
    assert made == ["a", "b", "c", "b"]


def test_what_is_too_large_is_not_kept():
    cache, made = ContentCache(), []
    for _ in range(2):
        assert cache.get("a", lambda: made.append("a") or 1, lambda value: 30, max_bytes=25) == 1
    assert made == ["a", "a"]
