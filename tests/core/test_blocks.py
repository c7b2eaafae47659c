"""The one loop over a pool."""

import pickle

import numpy as np
import pytest
import torch

from skal._core.blocks import Blocks, SomeRows
from skal._core.memory import empty_rows
from skal._core.rows import unit_rows
from skal._core.workers import on_workers

CPU = torch.device("cpu")


def all_rows(pool):
    return torch.cat([tile.rows for tile in pool.tiles()])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int64, bool])
@pytest.mark.parametrize("normalize", [False, True])
def test_tiles_are_the_rows_in_order(dtype, normalize, rng):
    X = rng.integers(0, 2, size=(5000, 6)).astype(dtype)
    X[:, 0] = 1
    pool = Blocks(X, CPU, normalize=normalize)
    expected = X.astype(np.float64)
    if normalize:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert [tile.start for tile in pool.tiles()] == [0, 2048, 4096]
    np.testing.assert_allclose(all_rows(pool), expected, rtol=1e-6)
    assert all_rows(pool).dtype == torch.float32


@pytest.mark.parametrize("rows_that_fit", [0, 1, 2048, 4097, 5000, 10**6])
def test_a_memory_budget_changes_neither_borders_nor_values(rows_that_fit, rng):
    X = rng.normal(size=(5000, 6)).astype(np.float16)
    reference = Blocks(X, CPU, normalize=True)
    pool = Blocks(X, CPU, normalize=True, resident_bytes=rows_that_fit * 6 * 4)
    some = [4999, 0, 2047, 2048]
    for _ in range(2):
        for tile, expected in zip(pool.tiles(), reference.tiles(), strict=True):
            assert tile.start == expected.start
            assert torch.equal(tile.rows, expected.rows)
        assert torch.equal(pool.take(some), all_rows(reference)[some])


def test_a_pool_that_fits_is_read_once(rng):
    class Counting(np.ndarray):
        n_reads = 0

        def __getitem__(self, where):
            if isinstance(where, slice):
                Counting.n_reads += 1
            return super().__getitem__(where)

    X = rng.normal(size=(5000, 6)).astype(np.float16).view(Counting)
    pool = Blocks(X, CPU, resident_bytes=5000 * 6 * 4)
    for _ in range(3):
        all_rows(pool)
    assert Counting.n_reads == 5  # pieces of 1024 rows, not passes


def test_float32_memory_is_borrowed_and_never_written(rng):
    X = rng.normal(size=(3000, 6)).astype(np.float32)
    before = X.copy()
    pool = Blocks(X, CPU)
    assert next(pool.tiles()).rows.data_ptr() == X.__array_interface__["data"][0]
    np.testing.assert_array_equal(all_rows(pool), before)


def test_rows_of_a_strided_tensor_are_those_of_its_tiles(rng):
    X = torch.from_numpy(rng.normal(size=(300, 5000))).T
    pool = Blocks(X, CPU, normalize=True)
    idx = rng.permutation(5000)
    assert torch.equal(pool.take(idx), all_rows(Blocks(X, CPU, normalize=True))[torch.from_numpy(idx)])


def test_a_shift_is_subtracted_before_rounding():
    X = np.array([[1e8], [1e8 + 1]])
    pool = Blocks(X, CPU, shift=torch.tensor([1e8], dtype=torch.float64))
    np.testing.assert_array_equal(all_rows(pool), [[0], [1]])


def test_unit_rows_of_extreme_norms_and_of_zero():
    rows = torch.tensor([[3e30, 4e30], [3e-30, 4e-30], [3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit_rows(rows), [[0.6, 0.8]] * 3 + [[0, 0]], rtol=1e-6)


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (1e300, "too large for float32")])
def test_bad_values_are_named(value, name):
    X = np.zeros((3000, 2))
    X[2500, 1] = value
    with pytest.raises(ValueError, match=f"{name}.*row 2500 is the first"):
        all_rows(Blocks(X, CPU))


def test_large_finite_values_whose_sum_overflows_are_not_refused():
    X = np.full((2048, 2), 3e38, dtype=np.float32)
    np.testing.assert_array_equal(all_rows(Blocks(X, CPU)), X)


@pytest.mark.gpu
def test_tiles_on_a_gpu_are_those_on_the_cpu(rng):
    X = rng.normal(size=(5000, 6)).astype(np.float16)
    on_gpu = Blocks(X, torch.device("cuda"), normalize=True)
    np.testing.assert_allclose(all_rows(on_gpu).cpu(), all_rows(Blocks(X, CPU, normalize=True)), rtol=1e-6)


@pytest.mark.parametrize("rows_that_fit", [0, 4999, 5000])
def test_rows_are_kept_beside_other_work_where_all_of_them_fit(rows_that_fit, rng):
    X = rng.normal(size=(5000, 6)).astype(np.float16)
    pool = Blocks(X, CPU, normalize=True, resident_bytes=rows_that_fit * 6 * 4)
    with on_workers(3):
        assert pool.keep_beside(lambda: "done", lambda: "too") == ["done", "too"]
    assert pool._rows.are_all_checked == (rows_that_fit == 5000)
    assert torch.equal(all_rows(pool), all_rows(Blocks(X, CPU, normalize=True)))


def test_the_first_bad_row_is_named_where_the_other_work_finds_a_later_one(rng):
    X = rng.normal(size=(5000, 6)).astype(np.float16)
    X[[2000, 4000]] = np.nan
    pool = Blocks(X, CPU, normalize=True, resident_bytes=5000 * 6 * 4)
    with on_workers(2), pytest.raises(ValueError, match="row 2000 is the first"):
        pool.keep_beside(lambda: pool.take([4000]))


def test_large_memory_is_like_any_other():
    rows = empty_rows((3000, 1000), torch.float32, CPU)
    rows.fill_(2.0)
    assert rows.shape == (3000, 1000)
    assert rows.is_contiguous()
    assert float(rows.sum()) == 6e6


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_some_rows_of_a_slice(share, rng):
    is_one = rng.random(500) < share
    row_idx = torch.from_numpy(np.flatnonzero(is_one))
    some = SomeRows(row_idx, (2 * row_idx, row_idx.float()), 500)
    for start, stop in ((0, 500), (100, 300), (100, 100), (450, 500)):
        part = some[start:stop]
        expected = np.flatnonzero(is_one[start:stop])
        np.testing.assert_array_equal(part.row_idx, expected)
        np.testing.assert_array_equal(part.values[0], 2 * (expected + start))
        np.testing.assert_array_equal(part.values[1], expected + start)
        assert (len(part), part.n_rows) == (len(expected), stop - start)


def test_some_rows_are_sent_to_other_processes_as_they_are(rng):
    row_idx = torch.from_numpy(np.flatnonzero(rng.random(5000) < 0.3))
    some = SomeRows(row_idx, (row_idx % 7,), 5000)
    sent = pickle.loads(pickle.dumps(some))
    assert torch.equal(sent.row_idx, some.row_idx)
    assert torch.equal(sent.values[0], some.values[0])
    assert sent.n_rows == 5000
