"""Workers: how many there are, what they give back, and what they leave alone."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import joblib
import pytest
import torch
from threadpoolctl import threadpool_limits

from skal._core.workers import (
    count_workers,
    on_workers,
    one_thread,
    parallel_accumulate,
    parallel_map,
    parallel_reduce,
)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def threads_of_a_new_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("n_workers", [1, 2, 5])
@pytest.mark.parametrize("n_items", [0, 1, 2, 40])
def test_results_and_merges_come_in_the_order_of_the_items(n_items, n_workers, rng):
    pauses = rng.uniform(0, 2e-3, n_items).tolist()
    merged, in_merge = [], []

    def work(place):
        time.sleep(pauses[place])
        return place

    def merge(place):
        in_merge.append(place)
        assert len(in_merge) == 1
        time.sleep(1e-4)
        in_merge.remove(place)
        merged.append(place)

    with on_workers(n_workers):
        assert parallel_map(work, range(n_items)) == list(range(n_items))
        parallel_reduce(work, range(n_items), merge)
    assert merged == list(range(n_items))


@pytest.mark.parametrize("n_workers", [1, 2, 5])
@pytest.mark.parametrize("n_items", [0, 1, 40])
def test_each_item_is_added_once_to_what_some_worker_made(n_items, n_workers):
    with on_workers(n_workers):
        made = parallel_accumulate(list, list.append, range(n_items))
    assert all(made)
    assert len(made) <= n_workers
    assert sorted(item for own in made for item in own) == list(range(n_items))


def test_workers_work_at_the_same_time_and_each_on_one_thread(three_threads):
    meeting = threading.Barrier(3, timeout=60)

    def work(item):
        meeting.wait()
        return threading.get_ident(), torch.get_num_threads(), parallel_map(lambda _: threading.get_ident(), range(3))

    with on_workers(3):
        found = parallel_map(work, range(3))
    threads, n_threads, inner = zip(*found, strict=True)
    assert len(set(threads)) == 3
    assert threading.get_ident() in threads
    assert set(n_threads) == {1}
    assert all(set(within) == {thread} for thread, within in zip(threads, inner, strict=True))


@pytest.mark.parametrize("n_workers", [1, 4])
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_the_first_error_is_raised_when_nobody_works_any_more(kind, n_workers, three_threads):
    in_work = set()

    def work(place):
        in_work.add(place)
        try:
            time.sleep(2e-3 if place == 4 else 1e-3)  # the second one is found first
            if place in (4, 5):
                raise kind(place)
        finally:
            in_work.remove(place)

    with on_workers(n_workers), pytest.raises(kind, match="4"):
        parallel_map(work, range(100))
    assert not in_work
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    with on_workers(n_workers):
        assert parallel_map(abs, [-1, -2]) == [1, 2]


def test_an_error_in_a_merge_is_raised():
    merged = []

    def merge(place):
        merged.append(place)
        if place == 3:
            raise ValueError("three")

    with on_workers(2), pytest.raises(ValueError, match="three"):
        parallel_reduce(abs, range(100), merge)
    assert merged == [0, 1, 2, 3]


def test_many_threads_that_call_at_once_have_their_own_threads_back(three_threads):
    started, found = threading.Barrier(6, timeout=60), []

    def call(n_threads):
        torch.get_num_threads()  # at the first call torch takes what another thread has set
        torch.set_num_threads(n_threads)
        started.wait()
        for _ in range(20):
            with on_workers(3):
                inside = parallel_map(lambda _: torch.get_num_threads(), range(10))
            found.append((set(inside), torch.get_num_threads() - n_threads))

    threads = [threading.Thread(target=call, args=(2 + number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.set_num_threads(3)
    assert found == [({1}, 0)] * 120


def test_no_other_thread_is_limited_in_the_meantime(three_threads):
    with on_workers(2):
        parallel_map(abs, range(10))
        assert torch.get_num_threads() == 1
        assert threads_of_a_new_thread() == 3
    assert torch.get_num_threads() == 3


def test_mkl_has_one_thread_within_and_what_it_had_after(three_threads):
    if not torch.backends.mkl.is_available():
        pytest.skip("this torch has no MKL")
    library = ctypes.CDLL(os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cpu.so"))
    assert library.MKL_Get_Max_Threads() == 3
    with one_thread(), one_thread():
        assert library.MKL_Get_Max_Threads() == 1
    assert library.MKL_Get_Max_Threads() == 3


def test_the_least_of_what_is_allowed_is_taken(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(64)
    monkeypatch.setattr("skal._core.workers.cpu_quota", lambda: float("inf"))
    monkeypatch.setattr("joblib.cpu_count", lambda: 7)
    try:
        with threadpool_limits(6, user_api="blas"):
            assert count_workers() == 6
            monkeypatch.setattr("skal._core.workers.cpu_quota", lambda: 4.2)
            assert count_workers() == 5
            monkeypatch.setattr("joblib.cpu_count", lambda: 4)
            assert count_workers() == 4
            with threadpool_limits(3):
                assert count_workers() == 3
            torch.set_num_threads(2)
            assert count_workers() == 2
            monkeypatch.setattr("skal._core.workers.cpu_quota", lambda: 0.5)
            assert count_workers() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_a_job_of_joblib_is_one_worker(backend, three_threads):
    with joblib.parallel_config(backend, n_jobs=2):
        assert joblib.Parallel()(joblib.delayed(count_workers)() for _ in range(2)) == [1, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_has_workers_of_its_own():
    code = (
        "import os, sys\n"
        "from skal._core.workers import on_workers, parallel_map\n"
        "def work():\n"
        "    with on_workers(3):\n"
        "        return parallel_map(abs, range(-5, 0))\n"
        "work()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if work() == [5, 4, 3, 2, 1] else 1)\n"
        "sys.exit(os.waitpid(child, 0)[1])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
