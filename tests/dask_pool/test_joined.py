"""Chunks that are read as one."""

import pickle
import sys

import numpy as np
import pytest

from skal._dask._joined import JoinedRows

SIZES = (5, 1, 7, 4)


@pytest.fixture
def parts(rng):
    return [rng.normal(size=(size, 3)).astype(np.float16) for size in SIZES]


def test_any_rows_are_those_of_the_parts_put_together(parts, rng):
    joined, whole = JoinedRows(parts), np.concatenate(parts)
    assert (joined.shape, joined.dtype, len(joined)) == (whole.shape, whole.dtype, len(whole))
    np.testing.assert_array_equal(np.asarray(joined), whole)
    for start in range(len(whole) + 1):
        for stop in range(start, len(whole) + 3):
            np.testing.assert_array_equal(joined[start:stop], whole[start:stop])
    for n_taken in (0, 1, 30):
        positions = rng.integers(len(whole), size=n_taken)
        np.testing.assert_array_equal(joined[positions], whole[positions])


def test_a_slice_of_one_part_is_no_copy_and_the_size_is_that_of_the_parts(parts):
    joined = JoinedRows(parts)
    assert np.shares_memory(joined[6:13], parts[2])
    assert sys.getsizeof(joined) == pytest.approx(sum(part.nbytes for part in parts), abs=100)
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(joined))), np.asarray(joined))
