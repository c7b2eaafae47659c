"""A dask array without a cluster: one chunk at a time, and the picks of the array in memory."""

import weakref

import dask.array as da
import numpy as np
import pytest
import torch

import skal
from skal import registry
from skal._dask._chunks import Tiles, few_parts
from skal._dask._executors import InProcess
from skal._dask._rows import DaskRows
from skal.classifiers import LinearProbe
from skal.rounds import IterativeSampler, MultiKMeansSampler
from skal.samplers import CoreSetSampler, KMeansSampler, MarginSampler, RandomSampler, UniformSampler
from tests.dask_pool.fits import FITS, fitted, in_chunks, outcome


@pytest.mark.parametrize("name", FITS)
def test_the_picks_are_those_of_the_array(name, X, y, expected):
    picks, inertia, labels = outcome(name, in_chunks(X, 2048), y)
    np.testing.assert_array_equal(picks, expected(name)[0])
    assert inertia == expected(name)[1]
    np.testing.assert_array_equal(labels, expected(name)[2])


@pytest.mark.parametrize("sizes", [4096, (8192, 2048, 2048, 2712)], ids=["other", "unequal"])
def test_chunks_of_other_sizes_change_nothing(sizes, X, y, expected):
    picks, inertia, _ = outcome("restricted", in_chunks(X, sizes), y)
    np.testing.assert_array_equal(picks, expected("restricted")[0])
    assert inertia == expected("restricted")[1]


@pytest.mark.parametrize("sizes", [500, 2500, (1, 14_999), (10_000, 5_000), (6144, 8856)], ids=str)
def test_misaligned_chunks_are_joined_with_a_warning(sizes, X, y, expected):
    with pytest.warns(UserWarning, match=r"do not begin at multiples of 4096 rows, nor at all .* multiples of 2048"):
        picks, inertia, _ = outcome("restricted", in_chunks(X, sizes), y)
    np.testing.assert_array_equal(picks, expected("restricted")[0])
    assert inertia == expected("restricted")[1]


def test_chunks_too_large_for_a_worker_are_divided_with_a_warning(monkeypatch, X, y, expected):
    monkeypatch.setattr(InProcess, "memory_a_task", lambda executor: 8 * X[:3000].nbytes)
    with pytest.warns(UserWarning, match=r"hold up to 8192 rows, .* as 8 of 2048 rows.*X\.rechunk\(\(2048, -1\)\)"):
        picks, inertia, _ = outcome("restricted", in_chunks(X, 8192), y)
    np.testing.assert_array_equal(picks, expected("restricted")[0])
    assert inertia == expected("restricted")[1]


def test_a_chunk_of_one_tile_is_left_to_the_smallest_worker(monkeypatch, X):
    monkeypatch.setattr(InProcess, "memory_a_task", lambda executor: 1)
    assert len(DaskRows(in_chunks(X, 2048)).chunks) == 8


@pytest.mark.parametrize(
    ("narrow", "wide", "starts", "fit"),
    [
        (4, 4, [0, 4, 8], True),
        (4, 4, [0, 4, 9], False),
        (4, 8, [0, 4, 8, 12, 16], True),
        (4, 8, [0, 8, 12, 16], True),
        (4, 8, [0, 8, 12], False),
        (4, 8, [0, 16], True),
        (4, 8, [0, 12], False),
        (4, 8, [0, 4], False),
        (4, 8, [0, 6, 8], False),
    ],
)
def test_which_chunks_hold_whole_tiles(narrow, wide, starts, fit):
    assert Tiles(narrow, wide).fit(starts, 20) is fit


@pytest.mark.parametrize(
    ("n_threads", "most_rows", "left"),
    [
        (1, 99, [0, 16, 32]),
        (1, 12, [0, 12, 20, 32]),
        (1, 8, [0, 8, 16, 24, 32]),
        (1, 1, [*range(0, 33, 4)]),
        (2, 99, [0, 8, 16, 24, 32]),
        (2, 7, [*range(0, 33, 4)]),
        (3, 99, [*range(0, 33, 4)]),
        (4, 99, [*range(0, 33, 4)]),
    ],
)
def test_few_parts(n_threads, most_rows, left):
    assert few_parts([*range(0, 33, 4)], n_threads, most_rows) == left
    assert few_parts([0, 32], n_threads, most_rows) == [0, 32]


@pytest.mark.parametrize("n_threads", [1, 2, 3, 7, 64])
def test_parts_taken_in_turn_are_as_even_as_the_chunks(n_threads, rng):
    for _ in range(20):
        bounds = [0, *np.cumsum(rng.integers(1, 9, size=rng.integers(1, 60))).tolist()]
        sizes, as_they_were = np.diff(few_parts(bounds, n_threads, 99)), np.diff(bounds)
        assert sizes.sum() == bounds[-1]
        most = [max(each[thread::n_threads].sum() for thread in range(n_threads)) for each in (sizes, as_they_were)]
        assert most[0] <= 1.05 * most[1]


@pytest.mark.parametrize(("most", "rows"), [(1, 4), (4, 4), (11, 8), (15, 8), (16, 16), (40, 32)])
def test_rows_of_a_chunk(most, rows):
    assert Tiles(4, 16).rows_up_to(most) == rows


def test_a_memmap_gives_the_same(tmp_path, X, y, expected):
    np.save(tmp_path / "pool.npy", X)
    on_disk = np.load(tmp_path / "pool.npy", mmap_mode="r")
    for pool in (on_disk, in_chunks(on_disk, 4096)):
        picks, inertia, _ = outcome("restricted", pool, y)
        np.testing.assert_array_equal(picks, expected("restricted")[0])
        assert inertia == expected("restricted")[1]


class CountedChunks:
    """Makes chunks, and notes which were asked for and how many were there already."""

    def __init__(self, X, rows):
        self.X, self.rows, self.made, self.most_there, self._chunks = X, rows, [], 0, []

    def array(self):
        def make(block_info=None):
            (start, stop), _ = block_info[None]["array-location"]
            self.made.append(start)
            self.most_there = max(self.most_there, sum(chunk() is not None for chunk in self._chunks))
            chunk = self.X[start:stop].copy()
            self._chunks.append(weakref.ref(chunk))
            return chunk

        sizes = [min(self.rows, len(self.X) - start) for start in range(0, len(self.X), self.rows)]
        return da.map_blocks(make, chunks=(tuple(sizes), (self.X.shape[1],)), dtype=self.X.dtype, meta=self.X[:0])


def test_opening_reads_nothing_and_a_few_rows_read_their_chunks(X):
    counted = CountedChunks(X, 2048)
    pool = skal.Pool(counted.array())
    assert pool.shape == X.shape
    assert counted.made == []
    taken = pool.raw_blocks(torch.device("cpu")).take([5, 4097, 4])
    np.testing.assert_array_equal(taken, X[[5, 4097, 4]].astype(np.float32))
    assert sorted(counted.made) == [0, 4096]


def test_a_look_in_a_notebook_reads_no_chunk(X):
    counted = CountedChunks(X, 2048)
    pool = skal.Pool(counted.array())
    assert "dask array of 8 chunks" in pool._repr_html_()
    sampler = KMeansSampler(budget=5, algorithm="lloyd", max_iter=1).fit(pool)
    n_made = len(counted.made)
    assert n_made > 0
    assert "5 of 15,000 rows" in sampler._repr_html_()
    assert "lloyd" in sampler._repr_html_()
    assert pool._repr_html_()
    assert len(counted.made) == n_made


@pytest.mark.parametrize("name", ["core_set", "lloyd", "restricted", "margin"])
def test_there_are_never_two_chunks_at_once(name, X, y):
    counted = CountedChunks(X, 2048)
    fitted(name, counted.array(), y)
    assert len(counted.made) > 8
    assert counted.most_there == 0


def test_nor_where_all_rows_are_added_in_this_process(X):
    around_zero = np.concatenate([X[:8192], -X[:8192]])  # float32 cannot tell which row is nearest the mean
    counted = CountedChunks(around_zero, 2048)
    picks = CoreSetSampler(5).fit_select(counted.array())
    assert counted.most_there == 0
    np.testing.assert_array_equal(picks, CoreSetSampler(5).fit_select(around_zero))


@pytest.mark.parametrize("entry", registry.samplers(), ids=lambda entry: entry.name)
def test_a_sampler_that_cannot_says_so_before_it_reads(entry, X):
    counted = CountedChunks(X, 2048)
    if entry.takes_chunks:
        return
    for pool in (counted.array(), skal.Pool(counted.array())):
        with pytest.raises(TypeError, match=rf"{entry.name} needs its rows in memory, and X is in chunks"):
            entry.make().fit(pool, np.zeros(len(X)))
    assert counted.made == []


def test_rounds_of_a_sampler_that_cannot_are_refused_before_the_first(X, y):
    counted = CountedChunks(X, 2048)
    for rounds in (IterativeSampler(UniformSampler()), IterativeSampler(RandomSampler(), initial=UniformSampler())):
        with pytest.raises(TypeError, match="UniformSampler needs its rows in memory"):
            rounds.fit(counted.array(), y)
    assert counted.made == []


def test_a_classifier_is_fitted_on_rows_in_memory(X, y):
    with pytest.raises(TypeError, match="LinearProbe needs its rows in memory"):
        LinearProbe().fit(in_chunks(X, 2048), y)


def test_what_is_no_pool_in_chunks_is_refused(X):
    sampler, pool = RandomSampler(), in_chunks(X, 2048)
    with pytest.raises(ValueError, match=r"unknown sizes, so its rows have no numbers: pass X.compute_chunk_sizes"):
        sampler.fit(pool[pool[:, 0] > 0])
    with pytest.raises(ValueError, match=r"2 chunks of columns, and a row must lie in one chunk: pass X.rechunk"):
        sampler.fit(pool.rechunk((2048, 16)))
    with pytest.raises(ValueError, match="Expected 2D array, got a dask array of 1 dimensions"):
        sampler.fit(pool[:, 0])
    with pytest.raises(ValueError, match="a dask array of complex64"):
        sampler.fit(pool.astype("complex64"))
    with pytest.raises(TypeError, match=r"dask Delayed.*of a dask DataFrame"):
        sampler.fit(pool.to_delayed()[0, 0])
    with pytest.raises(ValueError, match="passes over a dask array are computed on the CPUs"):
        skal.Pool(pool).raw_blocks(torch.device("cuda"))


@pytest.mark.parametrize("name", ["random", "lloyd", "restricted", "core_set"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_first_bad_row_of_the_pool_is_named(name, value, X, y):
    bad = X.copy()
    bad[[4500, 12_500], 3] = value
    with pytest.raises(ValueError, match=rf"{'NaN' if np.isnan(value) else 'infinity'}: row 4500 is the first"):
        fitted(name, in_chunks(bad, 2048), y)


def test_labels_come_back_in_the_chunks_of_the_rows(X, y):
    pool = in_chunks(X, (8192, 2048, 2048, 2712))
    labels = fitted("lloyd", pool, y).labels_
    assert isinstance(labels, da.Array)
    assert labels.chunks == (pool.chunks[0],)


def test_an_opened_pool_is_shared_by_fits_and_never_brought_into_memory(X, y, expected):
    pool = skal.Pool(in_chunks(X, 2048))
    assert repr(pool) == "Pool(15000 × 32 float16, metric='cosine')"
    for name in ("lloyd", "core_set"):
        np.testing.assert_array_equal(outcome(name, pool, y)[0], expected(name)[0])
    with pytest.raises(TypeError, match="is in chunks and is not brought into memory unasked"):
        np.asarray(pool)


def test_fingerprints_are_of_the_content_and_not_of_the_chunks(X):
    one, other = (skal.Pool(in_chunks(X, rows)).fingerprint() for rows in (2048, 4096))
    changed = X.copy()
    changed[10_000, 1] += 1
    assert one == other != skal.Pool(in_chunks(changed, 2048)).fingerprint()


def test_what_was_learned_carries_over_between_kinds_of_pools(X, y, expected):
    sampler = fitted("lloyd", X, y)
    np.testing.assert_array_equal(sampler.select(in_chunks(X, 2048)), sampler.select(X))
    labels, distances = sampler.assign(in_chunks(X, 2048))
    for of_chunks, of_array in zip((labels, distances), sampler.assign(X), strict=True):
        np.testing.assert_array_equal(of_chunks, of_array)


@pytest.mark.slow
def test_rounds(X, y):
    for rounds in (
        MultiKMeansSampler(budgets=(10, 30), random_state=0),
        IterativeSampler(MarginSampler(), (10, 30), initial=RandomSampler(), random_state=0),
    ):
        picks = [rounds.fit(pool, lambda rows: y[rows]).selected_indices_ for pool in (X, in_chunks(X, 4096))]
        np.testing.assert_array_equal(*picks)


def test_a_record_on_file_knows_its_pool(tmp_path, X, y):
    rounds = IterativeSampler(RandomSampler(), (10, 20), random_state=0)
    rounds.fit(in_chunks(X, 4096), y, ledger=tmp_path / "labels.jsonl")
    rounds.set_params(budgets=(10, 20, 30)).fit(in_chunks(X, 2048), y, ledger=tmp_path / "labels.jsonl")
    assert [len(rows) for rows in rounds.rounds_] == [10, 10, 10]
    with pytest.raises(ValueError, match=r"another pool|other rows|fingerprint"):
        rounds.fit(in_chunks(X + 1, 2048), y, ledger=tmp_path / "labels.jsonl")


def test_a_record_on_file_goes_on_where_rows_were_added(tmp_path, X, y):
    rounds = IterativeSampler(RandomSampler(), (10,), random_state=0)
    rounds.fit(in_chunks(X[:-100], 4096), y[:-100], ledger=tmp_path / "labels.jsonl")
    rounds.set_params(budgets=(10, 20)).fit(in_chunks(X, 2048), y, ledger=tmp_path / "labels.jsonl")
    assert [len(rows) for rows in rounds.rounds_] == [10, 10]
    assert rounds.ledger_.n_samples == len(X)


def test_fit_resample_gives_arrays(X, y):
    rows, labels = RandomSampler(5, random_state=0).fit_resample(in_chunks(X, 4096), y)
    picks = RandomSampler(5, random_state=0).fit(X).selected_indices_
    assert isinstance(rows, np.ndarray)
    np.testing.assert_array_equal(rows, X[picks])
    np.testing.assert_array_equal(labels, y[picks])
