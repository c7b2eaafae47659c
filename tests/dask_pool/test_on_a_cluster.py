"""The same picks from workers, however many there are and whenever they die."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import nullcontext

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin

from skal._dask import _cluster
from skal._dask._cluster import OnCluster
from skal._dask._tasks import KernelCall
from skal.samplers import KMeansSampler, _kmeans_checkpoint
from tests.dask_pool.conftest import TILE_ELEMENTS
from tests.dask_pool.fits import FITS, METHODS, in_chunks, outcome
from tests.killed_fit import BUDGET

pytestmark = pytest.mark.slow


# The others send workers the same kernels.
@pytest.mark.parametrize(
    "name",
    sorted({*FITS} - {"lloyd_euclidean", "restricted_euclidean", "later_round", "core_set_random", "entropy"}),
)
def test_two_workers_find_what_one_process_finds(name, X, y, client, expected):
    picks, inertia, labels = outcome(name, in_chunks(X, 4096), y)
    np.testing.assert_array_equal(picks, expected(name)[0])
    assert inertia == expected(name)[1]
    np.testing.assert_array_equal(labels, expected(name)[2])


def test_workers_predict_the_same(client, X, y):
    pool = in_chunks(X, 4096)
    for kind, method in METHODS.values():
        fitted = kind().fit(X[:300], y[:300])
        np.testing.assert_array_equal(getattr(fitted, method)(pool).compute(), getattr(fitted, method)(X))


@pytest.mark.parametrize("n_workers", [1, 3])
def test_any_number_of_workers(n_workers, X, y, cluster, client, expected):
    try:
        cluster.scale(n_workers)
        client.wait_for_workers(n_workers, timeout=60)
        while len(client.nthreads()) != n_workers:
            time.sleep(0.1)
        for name in ("lloyd", "restricted"):
            picks, inertia, _ = outcome(name, in_chunks(X, 4096), y)
            np.testing.assert_array_equal(picks, expected(name)[0])
            assert inertia == expected(name)[1]
    finally:
        cluster.scale(2)
        while len(client.nthreads()) != 2:
            time.sleep(0.1)


@pytest.mark.parametrize("sizes", [1500, (8192, 2048, 2048, 2712)], ids=str)
def test_other_chunks_and_random_delays(sizes, X, y, client, expected):
    def late(chunk):
        time.sleep(random.uniform(0, 0.02))  # noqa: S311
        return chunk

    pool = in_chunks(X, sizes).map_blocks(late, dtype=X.dtype, meta=X[:0])
    with pytest.warns(UserWarning, match="at multiples of 2048") if sizes == 1500 else nullcontext():
        picks, inertia, _ = outcome("restricted", pool, y)
    np.testing.assert_array_equal(picks, expected("restricted")[0])
    assert inertia == expected("restricted")[1]


def test_a_persisted_array(X, y, client, expected):
    pool = in_chunks(X, 2048).persist()
    picks, inertia, _ = outcome("restricted", pool, y)
    np.testing.assert_array_equal(picks, expected("restricted")[0])
    assert inertia == expected("restricted")[1]


def test_a_stored_pool_that_stays_is_dealt_out_evenly(tmp_path, X, y, cluster, client, expected):
    np.save(tmp_path / "pool.npy", X)
    path = str(tmp_path / "pool.npy")

    def read(block_info=None):
        (start, stop), _ = block_info[None]["array-location"]
        return np.load(path, mmap_mode="r")[start:stop]

    executions = Executions(cluster.scheduler)
    cluster.scheduler.add_plugin(executions, name="executions", idempotent=False)
    try:
        pool = da.map_blocks(read, chunks=in_chunks(X, 2048).chunks, dtype=X.dtype, meta=X[:0])
        picks, inertia, _ = outcome("restricted", pool, y)
    finally:
        cluster.scheduler.remove_plugin("executions")
    np.testing.assert_array_equal(picks, expected("restricted")[0])
    assert inertia == expected("restricted")[1]
    assert sorted(executions.made_by.values()) == [2, 2]


@pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "in_memory"])
def test_chunks_that_are_not_kept_are_made_again_in_each_pass(is_stored, monkeypatch, tmp_path, X, y, client, expected):
    np.save(tmp_path / "pool.npy", X)
    path = str(tmp_path / "pool.npy")

    def read(block_info=None):
        (start, stop), _ = block_info[None]["array-location"]
        return np.load(path, mmap_mode="r")[start:stop]

    pool = in_chunks(X, 2048)
    if is_stored:
        pool = da.map_blocks(read, chunks=pool.chunks, dtype=X.dtype, meta=X[:0])
    monkeypatch.setattr(OnCluster, "memory_limit", lambda executor: 0)
    picks, inertia, _ = outcome("restricted", pool, y)
    np.testing.assert_array_equal(picks, expected("restricted")[0])
    assert inertia == expected("restricted")[1]


@pytest.mark.parametrize("told", [None, False])
def test_results_come_straight_from_workers_unless_the_client_is_told_otherwise(
    told, monkeypatch, X, y, cluster, client, expected
):
    asked, plain = [], cluster.scheduler.handlers["gather"]

    async def gather(**message):
        asked.extend(key for key in message["keys"] if str(key).startswith("skal-"))
        return await plain(**message)

    monkeypatch.setitem(cluster.scheduler.handlers, "gather", gather)
    client.direct_to_workers = told
    np.testing.assert_array_equal(outcome("lloyd", in_chunks(X, 4096), y)[0], expected("lloyd")[0])
    assert bool(asked) is (told is False)
    assert client.direct_to_workers is told


def test_nothing_is_left_in_the_cluster(X, y, cluster, client):
    outcome("restricted", in_chunks(X, 2048), y)
    deadline = time.monotonic() + 10
    while cluster.scheduler.tasks and time.monotonic() < deadline:
        time.sleep(0.1)
    left = {str(key): [str(who) for who in task.who_wants or ()] for key, task in cluster.scheduler.tasks.items()}
    assert left == {}


def test_a_bad_row_is_named_and_what_is_out_is_called_off(X, y, cluster, client):
    bad = X.copy()
    bad[[4500, 12_500], 3] = np.nan
    with pytest.raises(ValueError, match="NaN: row 4500 is the first"):
        outcome("restricted", in_chunks(bad, 2048), y)


class Executions(SchedulerPlugin):
    """Counts how often each task of ours was executed, and what may be lost with a worker and has to be made again."""

    def __init__(self, scheduler):
        self.scheduler, self.times, self.n_lost = scheduler, {}, 0
        self.made_by = Counter()

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory" and str(key).startswith("chunk-"):
            self.made_by[kwargs["worker"]] += 1
        if start == "processing" and finish == "memory" and str(key).startswith("skal-"):
            self.times[key] = self.times.get(key, 0) + 1

    def note_what_is_lost(self, address):
        worker = self.scheduler.workers[address]
        for task in {*worker.has_what, *worker.processing}:
            self.n_lost += str(task.key).startswith("skal-") * (1 + len(task.dependencies) * ("join-rows" in task.key))


class Killer:
    """Kills workers when a pass of a certain kernel gets to a certain point."""

    def __init__(self, monkeypatch, cluster, client, kernel, moment, n_deaths=1, holds_what_is_shared=False):
        self.client, self.kernel, self.moment, self.n_left = client, kernel, moment, n_deaths
        self.holds_what_is_shared = holds_what_is_shared
        self.executions = Executions(cluster.scheduler)
        self.n_blocks = 0
        cluster.scheduler.add_plugin(self.executions, name="executions", idempotent=False)
        plain_map, killer = OnCluster.map, self

        def watched_map(executor, function, chunks, common, own, positions=None):
            killer.n_blocks += len(chunks) if positions is None else len(positions)
            is_its_turn = isinstance(common, KernelCall) and common.kernel.__name__ == kernel
            if is_its_turn and moment == "before":
                killer.kill()
            for n_back, result in enumerate(plain_map(executor, function, chunks, common, own, positions)):
                if is_its_turn and moment == "during" and n_back == 1:
                    killer.kill()
                yield result

        monkeypatch.setattr(OnCluster, "map", watched_map)
        plain_scatter = _cluster._Tasks._scatter

        def watched_scatter(tasks, value):
            future = plain_scatter(tasks, value)
            killer.shared = future
            return future

        monkeypatch.setattr(_cluster._Tasks, "_scatter", watched_scatter)

    def kill(self):
        if not self.n_left:
            return
        self.n_left -= 1
        address = sorted(self.client.nthreads())[0]
        if self.holds_what_is_shared:
            (holders,) = self.client.who_has([self.shared]).values()
            assert len(holders) >= 1
            (address, *_) = holders
        pids = self.client.run(os.getpid)
        self.executions.note_what_is_lost(address)
        os.kill(pids[address], signal.SIGKILL)
        while address in self.client.nthreads():
            time.sleep(0.02)


MOMENTS = {
    "seeding": ("lloyd", "lower_to_nearest_block", "during", 1, 4096),
    "projecting": ("restricted", "assign_by_groups", "before", 1, 2048),
    "first_round": ("restricted", "best_moves", "during", 1, 2048),
    "second_round": ("restricted", "sum_moves", "during", 1, 4096),
    "between_rounds": ("restricted", "sum_moves", "before", 1, 4096),
    "measuring": ("restricted", "measure", "during", 1, 4096),
    "two_in_a_row": ("restricted", "best_moves", "during", 2, 4096),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_a_worker_is_killed(name, monkeypatch, X, y, cluster, client, expected):
    sampler, kernel, moment, n_deaths, rows_of_chunk = MOMENTS[name]
    killer = Killer(monkeypatch, cluster, client, kernel, moment, n_deaths)
    try:
        picks, inertia, labels = outcome(sampler, in_chunks(X, rows_of_chunk), y)
    finally:
        cluster.scheduler.remove_plugin("executions")
    assert killer.n_left == 0
    np.testing.assert_array_equal(picks, expected(sampler)[0])
    assert inertia == expected(sampler)[1]
    np.testing.assert_array_equal(labels, expected(sampler)[2])


def test_the_worker_that_holds_what_is_shared_is_killed(monkeypatch, X, y, cluster, client, expected):
    monkeypatch.setattr(_cluster, "_SCATTERED_FROM_BYTES", 2**10)
    killer = Killer(monkeypatch, cluster, client, "best_moves", "during", holds_what_is_shared=True)
    try:
        picks, inertia, _ = outcome("restricted", in_chunks(X, 2048), y)
    finally:
        cluster.scheduler.remove_plugin("executions")
    assert killer.n_left == 0
    np.testing.assert_array_equal(picks, expected("restricted")[0])
    assert inertia == expected("restricted")[1]


def test_only_what_was_lost_is_computed_again(monkeypatch, X, y, cluster, client):
    killer = Killer(monkeypatch, cluster, client, "best_moves", "during")
    try:
        outcome("restricted", in_chunks(X, 2048), y)
    finally:
        cluster.scheduler.remove_plugin("executions")
    n_kept = len(range(0, len(X), 4096))  # principal coordinates, which `map` does not make, of chunks joined by two
    n_again = sum(killer.executions.times.values()) - killer.n_blocks - n_kept
    assert 0 < n_again <= killer.executions.n_lost


def test_the_driver_is_killed(monkeypatch, tmp_path, X, cluster, client, expected, warm_python):
    np.save(tmp_path / "pool.npy", X)
    arguments = [warm_python, "-m", "tests.killed_fit", tmp_path / "pool.npy", tmp_path / "made"]
    driver = subprocess.run([*arguments, "4", cluster.scheduler_address, str(TILE_ELEMENTS)], check=False)
    assert driver.returncode == -signal.SIGKILL
    monkeypatch.setattr(_kmeans_checkpoint, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    sampler = KMeansSampler(BUDGET, random_state=0, checkpoint_folder=tmp_path / "made").fit(in_chunks(X, 4096))
    np.testing.assert_array_equal(sampler.selected_indices_, expected("restricted")[0])
    assert sampler.inertia_ == expected("restricted")[1]
    assert list((tmp_path / "made").iterdir()) == []


def test_no_worker_left_is_an_error_in_bounded_time(monkeypatch, forked_workers, X, y):
    with (
        dask.config.set({"skal.workers-timeout": "3s"}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        sampler = KMeansSampler(150, random_state=0)
        plain_map = OnCluster.map

        def map_until_none_is_left(executor, function, chunks, common, own, positions=None):
            for result in plain_map(executor, function, chunks, common, own, positions):
                yield result
                if isinstance(common, KernelCall) and common.kernel.__name__ == "best_moves" and client.nthreads():
                    cluster.scale(0)
                    while client.nthreads():
                        time.sleep(0.05)

        monkeypatch.setattr(OnCluster, "map", map_until_none_is_left)
        started = time.monotonic()
        with pytest.raises(RuntimeError, match=r"has had no worker for 3 seconds.*start workers, and fit again"):
            sampler.fit(in_chunks(X, 2048))
        assert time.monotonic() - started < 60
        assert not hasattr(sampler, "selected_indices_")
        assert not hasattr(sampler, "labels_")


def test_rows_that_kill_every_worker_are_named(X, cluster, client):
    def deadly(chunk, block_info=None):
        if block_info[0]["array-location"][0][0] == 4096:
            os.kill(os.getpid(), signal.SIGKILL)
        return chunk

    pool = in_chunks(X, 2048).map_blocks(deadly, dtype=X.dtype, meta=X[:0])
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(RuntimeError, match=r"Rows 4096 to 8191 of X end every worker.*Give workers more memory"),
    ):
        KMeansSampler(12, random_state=0).fit(pool)
    client.wait_for_workers(2, timeout=60)
