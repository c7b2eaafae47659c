"""Workers: threads beside each other, each of which takes whole steps of the work with single-threaded kernels.

Threads that share a small product wait for each other at its end, for a time slice where somebody else has one of the
cores. So none is shared here: a worker takes a tile, or a group of centroids, through all that is to be done with it,
and results are put together in the order of the items. A kernel on one thread has one order of summation, so that
no result depends on the number of workers.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

import joblib
import torch
from threadpoolctl import ThreadpoolController

from skal._core.device import at_most_threads
from skal._core.quota import cpu_quota

__all__ = [
    "count_workers",
    "map_on",
    "n_workers_here",
    "on_workers",
    "one_thread",
    "parallel_accumulate",
    "parallel_map",
    "parallel_reduce",
]

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Here(threading.local):
    """What the calling thread has been told."""

    n_workers = 0  # 0: nothing yet
    is_limited = False


_here = _Here()


def count_workers() -> int:
    """Decide how many workers a call may have: the least of what anybody allows it.

    That is the number of threads of torch (``OMP_NUM_THREADS``, `torch.set_num_threads`) and of BLAS (`threadpoolctl`),
    the CPUs that the process may run on, ``LOKY_MAX_CPU_COUNT``, and the CPU quota of its container, rounded up. Inside
    a job of joblib it is 1: the jobs are side by side already.
    """
    backend, _ = joblib.parallel.get_active_backend()
    if getattr(backend, "nesting_level", 0):
        return 1
    of_blas: list[int] = [library.num_threads for library in _libraries("blas")]
    of_cpus: list[int] = [joblib.cpu_count(), math.ceil(min(cpu_quota(), sys.maxsize))]
    return max(1, min([torch.get_num_threads(), *of_blas, *of_cpus]))


@contextmanager
def on_workers(n_workers: int | None = None) -> Iterator[None]:
    """Decide once how many workers there are for all that is done inside, and do it with single-threaded kernels.

    Around a public function, or inside another such block, where it changes nothing. No other thread of the process is
    affected, and the calling thread is as it was afterwards.

    Parameters
    ----------
    n_workers : int, default=None
        None lets `count_workers` decide.
    """
    if _here.n_workers:
        yield
        return
    _here.n_workers = n_workers or count_workers()
    try:
        with one_thread():
            yield
    finally:
        _here.n_workers = 0


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply `work` to each item on the workers, the calling thread among them; return the results in order.

    `work` must not depend on when or where the items before are done. In a worker, all is done in that worker.

    Raises
    ------
    BaseException
        What `work` raises for the first item for which it does. No item is in work any more then.
    """
    results: list[Result] = []
    parallel_reduce(work, items, results.append)
    return results


def map_on(device: torch.device, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do as `parallel_map` for what is computed on a CPU; elsewhere one item after the other, by the calling thread."""
    return parallel_map(work, items) if device.type == "cpu" else [work(item) for item in items]


def n_workers_here() -> int:
    """Say how many workers there are inside of the innermost `on_workers`; 1 in a worker."""
    with on_workers():
        return _here.n_workers


def parallel_reduce(work: Callable[[Item], Result], items: Iterable[Item], merge: Callable[[Result], object]) -> None:
    """Apply `work` to each item as `parallel_map` does, and `merge` to each result, one at a time in order.

    Whoever is free merges what comes next, so a merge should take less time than its item.
    """
    items = list(items)
    with on_workers():
        n_helpers = min(_here.n_workers, len(items)) - 1
        if n_helpers > 0:
            _Run(work, items, merge).finish(n_helpers, _helpers_beside(_here.n_workers))
            return
        for item in items:
            merge(work(item))


def parallel_accumulate(
    make: Callable[[], Result], add: Callable[[Result, Item], object], items: Iterable[Item]
) -> list[Result]:
    """Let each worker `make` something of its own and `add` items to it as it comes to them; return what they made.

    For what is the same whoever adds which items, in whatever order, such as exact sums.
    """
    waiting, lock = iter(list(items)), threading.Lock()

    def take() -> list[Item]:
        with lock:
            return list(itertools.islice(waiting, 1))

    def accumulate(_: int) -> list[Result]:
        own: list[Result] = []
        while item := take():
            own = own or [make()]
            add(own[0], *item)
        return own

    with on_workers():
        return [result for own in parallel_map(accumulate, range(_here.n_workers)) for result in own]


class _Run(Generic[Item, Result]):
    """Items that are done by whoever is free, one after the other."""

    def __init__(
        self, work: Callable[[Item], Result], items: Sequence[Item], merge: Callable[[Result], object]
    ) -> None:
        self._work, self._items, self._merge = work, items, merge
        self._change = threading.Condition()
        self._n_begun = self._n_in_helpers = self._n_merged = 0
        self._waiting: dict[int, Result] = {}
        self._is_merging = False
        self._errors: dict[int, BaseException] = {}

    def finish(self, n_helpers: int, helpers: ThreadPoolExecutor) -> None:
        with suppress(RuntimeError):  # the interpreter is about to end and gives out no threads any more
            for _ in range(n_helpers):
                helpers.submit(self._help)
        try:
            while (place := self._begin()) is not None:
                self._do(place)
        finally:  # also where the calling thread is interrupted
            with self._change:
                self._n_begun = len(self._items)
                self._change.wait_for(lambda: self._n_in_helpers == 0)
        if self._errors:
            raise self._errors[min(self._errors)]

    def _help(self) -> None:
        _here.n_workers = 1
        with one_thread():
            while (place := self._begin(n_in_helpers=1)) is not None:
                self._do(place)
                with self._change:
                    self._n_in_helpers -= 1
                    self._change.notify()

    def _begin(self, n_in_helpers: int = 0) -> int | None:
        with self._change:
            if self._n_begun >= len(self._items) or self._errors:
                return None
            self._n_begun += 1
            self._n_in_helpers += n_in_helpers
            return self._n_begun - 1

    def _do(self, place: int) -> None:
        try:
            result = self._work(self._items[place])
            with self._change:
                self._waiting[place] = result
            while (result_and_place := self._next_to_merge()) is not None:
                result, place = result_and_place
                self._merge(result)
                with self._change:
                    self._is_merging = False
                    self._n_merged += 1
        except BaseException as error:  # raised in the calling thread, in the order of the items
            self._errors[place] = error

    def _next_to_merge(self) -> tuple[Result, int] | None:
        with self._change:
            if self._is_merging or self._n_merged not in self._waiting:
                return None
            self._is_merging = True
            return self._waiting.pop(self._n_merged), self._n_merged


_pools: dict[int, ThreadPoolExecutor] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # threads are not forked


def _helpers_beside(n_workers: int) -> ThreadPoolExecutor:
    """All calls with so many workers share helpers, so that many calls at once do not multiply them."""
    pool = _pools.get(n_workers)
    return pool or _pools.setdefault(n_workers, ThreadPoolExecutor(n_workers - 1, thread_name_prefix="skal-worker"))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let what the calling thread computes by torch, its BLAS and OpenMP take one thread, and leave others alone."""
    if _here.is_limited:
        yield
        return
    torch.get_num_threads()  # what torch sets when a thread first asks it for something, it sets now
    libraries = _libraries("openmp")
    before = [library.num_threads for library in libraries]
    mkl_before = _set_threads_of_mkl(1)
    for library in libraries:
        library.set_num_threads(1)
    _here.is_limited = True
    try:
        with at_most_threads(1):  # where no such library was found
            yield
    finally:
        _here.is_limited = False
        for library, n_threads in zip(libraries, before, strict=True):
            library.set_num_threads(n_threads)
        _set_threads_of_mkl(mkl_before)


def _libraries(user_api: str) -> Sequence[Any]:
    """Libraries that are loaded; OpenMP has a number for each thread, a BLAS one for the process."""
    return _find_libraries(user_api, "faiss" in sys.modules)


@functools.lru_cache
def _find_libraries(user_api: str, has_faiss: bool) -> Sequence[Any]:
    found: Sequence[Any] = ThreadpoolController().select(user_api=user_api).lib_controllers
    return found


def _set_threads_of_mkl(n_threads: int) -> int:
    """Set the calling thread's number for the MKL inside of torch, if there is one; return what it was, 0 for unset."""
    return 0 if _mkl_setter is None else int(_mkl_setter(n_threads))


def _find_mkl_setter() -> Any:
    for name in ("libtorch_cpu.so", "torch_cpu.dll", "libtorch_cpu.dylib"):
        with suppress(OSError, AttributeError):
            path = os.path.join(os.path.dirname(torch.__file__), "lib", name)
            return ctypes.CDLL(path).MKL_Set_Num_Threads_Local
    return None


_mkl_setter = _find_mkl_setter()
