"""One changed value anywhere changes the fingerprint."""

import numpy as np
import pandas as pd
import pytest
import torch

from skal._files import _fingerprint
from skal._files._fingerprint import fingerprint, joint_fingerprint

WRAPS = [np.asarray, torch.from_numpy, pd.DataFrame, np.ndarray.tolist, np.asfortranarray, lambda X: X.astype(object)]


@pytest.mark.parametrize("wrap", WRAPS)
def test_every_value_counts(wrap, monkeypatch, rng):
    monkeypatch.setattr(_fingerprint, "_TILE_BYTES", 1000)
    X = rng.normal(size=(1000, 3))
    before = fingerprint(wrap(X))
    assert fingerprint(wrap(X.copy())) == before
    for row in rng.integers(1000, size=5):
        changed = X.copy()
        changed[row, rng.integers(3)] += 1e-9
        assert fingerprint(wrap(changed)) != before


@pytest.mark.parametrize("n_bytes", [1, 100, 10**6])
@pytest.mark.parametrize("wrap", WRAPS)
def test_the_size_of_the_tiles_does_not_matter(n_bytes, wrap, monkeypatch, rng):
    X = rng.normal(size=(50, 3))
    expected = fingerprint(wrap(X))
    monkeypatch.setattr(_fingerprint, "_TILE_BYTES", n_bytes)
    assert fingerprint(wrap(X)) == expected


def test_what_holds_the_numbers_does_not_matter(tmp_path, rng):
    X = rng.normal(size=(50, 3))
    np.save(tmp_path / "X.npy", X)
    others = (np.load(tmp_path / "X.npy", mmap_mode="r"), X.tolist(), torch.from_numpy(X), np.asfortranarray(X))
    assert {fingerprint(other) for other in others} == {fingerprint(X)}


def test_shape_and_dtype_count():
    zeros = [
        np.zeros((2, 3)),
        np.zeros((3, 2)),
        np.zeros(6),
        np.zeros((2, 3), dtype=np.int64),
        np.zeros((0, 3)),
        np.zeros((0, 2)),
        np.float64(0),
        torch.zeros(6),
        torch.zeros(6, dtype=torch.bfloat16),
        np.zeros(6, dtype="M8[s]"),
        np.array(["0"] * 6),
        [None] * 6,
    ]
    assert len({fingerprint(each) for each in zeros}) == len(zeros)


def test_names_index_and_dtypes_of_a_frame_count():
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": [0.5, 1, np.nan]})
    others = [
        frame,
        frame.rename(columns={"a": "A"}),
        frame.set_axis([0, 2, 1]),
        frame.astype({"a": "int32"}),
        frame.astype({"a": "Int64"}),
        frame.assign(b=["x", "y", "z"]),
        frame[["b", "a", "c"]],
        frame["a"],
        frame["a"].set_axis([0, 2, 1]),
    ]
    assert len({fingerprint(each) for each in others}) == len(others)
    assert fingerprint(frame) == fingerprint(frame.copy())


def test_integers_beside_floats_in_a_frame_keep_every_digit():
    large = [2**60, 2**60 + 1]
    one, other = (pd.DataFrame({"a": [number], "b": [0.5]}) for number in large)
    assert fingerprint(one) != fingerprint(other)


def test_neighbouring_texts_are_kept_apart():
    assert fingerprint(np.array(["ab", "c"], dtype=object)) != fingerprint(np.array(["a", "bc"], dtype=object))


def test_each_part_counts_and_so_does_their_order(rng):
    X, y = rng.normal(size=(20, 3)), rng.integers(3, size=20)
    found = [joint_fingerprint(X, y), joint_fingerprint(y, X), joint_fingerprint(X), joint_fingerprint(X, y + 1)]
    assert len(set(found)) == 4
    assert joint_fingerprint(X, y) == joint_fingerprint(X.copy(), y.copy())


def test_memory_stays_that_of_a_tile(tmp_path):
    import tracemalloc

    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (20_000, 1024))
    tracemalloc.start()
    fingerprint(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * _fingerprint._TILE_BYTES < X.nbytes
