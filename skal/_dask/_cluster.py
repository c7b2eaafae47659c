"""Tasks on the workers of a cluster; what is lost with a worker is asked for again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

import numpy.typing as npt
import sklearn
from distributed import Client, Future, KilledWorker

from skal._dask._chunks import CHUNK_TO_MEMORY, Chunks, few_parts
from skal._dask._packing import Packed, pack
from skal._dask._tasks import join_rows, run_in_worker, width_of
from skal._dask._watch import Watch, results_straight_from_workers

__all__ = ["OnCluster"]

# Larger values go to a worker directly, as the scheduler keeps every task's arguments: what is the same for all tasks
# once, what is of one task only if it is so large that the way to any worker and on to the right one is shorter.
_SCATTERED_FROM_BYTES = 2**18
_OWN_SCATTERED_FROM_BYTES = 2**22
_TASKS_A_THREAD = 2  # one that runs, one whose chunk is being made
_SECONDS_BETWEEN_LOOKS = 1.0
_MOST_TIMES_KILLED = 2  # each is as many deaths as distributed.scheduler.allowed-failures says, and one
_MOST_TIMES_LOST = 50  # with what it needed, through no fault of its own


class OnCluster:
    """Plain tasks, one a chunk, on the workers of a `distributed.Client`.

    The driver owns all that a pass needs beside the chunks, so a worker that dies takes nothing along that cannot be
    sent again. A pass is either finished or has changed nothing.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def map(
        self,
        function: Callable[[Any, Any, Any], Any],
        chunks: Chunks,
        common: Any,
        own: Callable[[int], Any],
        positions: Sequence[int] | None = None,
    ) -> Iterator[Any]:
        """Yield what a function makes of each chunk, in order; see `Executor`.

        Raises
        ------
        RuntimeError
            If there is no worker left for as long as dask's configuration ``skal.workers-timeout`` says ("60s"), or a
            chunk is what its workers die of.
        """
        wanted = range(len(chunks)) if positions is None else positions
        tasks = _Tasks(self.client, function, chunks, common, own, keep=False)
        try:
            with results_straight_from_workers(self.client):
                for result in tasks.in_order(wanted):
                    yield result.load()
        finally:
            tasks.cancel()

    def keep(
        self,
        function: Callable[[Any, Any, Any], Any],
        chunks: Chunks,
        common: Any,
        own: Callable[[int], Any],
        bounds: list[int],
    ) -> Chunks:
        """Leave what a function makes of each chunk, a vector a row, in the cluster; see `Executor`."""
        tasks = _Tasks(self.client, function, chunks, common, own, keep=True)
        bounds = self.few_parts(bounds, 4 * chunks.n_features)
        if bounds != chunks.bounds:
            tasks = _Tasks(self.client, join_rows, _JoinedChunks(bounds, tasks), None, lambda position: None, keep=True)
        try:
            futures = list(tasks.in_order(range(len(bounds) - 1)))
        finally:
            tasks.cancel()
        kept = _KeptChunks(bounds, tasks, futures)
        (kept.n_features,) = self.map(width_of, kept, None, lambda position: None, [0])
        return kept

    def few_parts(self, bounds: list[int], bytes_a_row: int) -> list[int]:
        """Choose some bounds; see `Executor`."""
        n_threads = max(1, sum(self.client.nthreads().values()))
        memory = self.memory_a_task()
        most_rows = memory // CHUNK_TO_MEMORY // bytes_a_row if memory else bounds[-1]
        return few_parts(bounds, n_threads, most_rows)

    def memory_limit(self) -> int:
        """Bytes that all workers may use together."""
        return sum(int(worker["memory_limit"] or 0) for worker in self._workers())

    def memory_a_task(self) -> int:
        """Bytes for each thread of the smallest worker that has a limit."""
        limits = [int(worker["memory_limit"] or 0) // worker["nthreads"] for worker in self._workers()]
        return min(filter(None, limits), default=0)

    def _workers(self) -> Iterable[dict[str, Any]]:
        workers: dict[str, dict[str, Any]] = self.client.scheduler_info(n_workers=-1)["workers"]
        return workers.values()


def _in_letters(function: Callable[..., Any]) -> str:
    """Name a kind of task as the scheduler tells kinds apart, whose times it expects of the next of its kind."""
    return function.__name__.strip("_").replace("_", "-")


class _JoinedChunks(Chunks):
    """Several consecutive results at a time of tasks that are sent when they are joined, and kept no longer."""

    def __init__(self, bounds: list[int], parts: _Tasks) -> None:
        super().__init__(bounds, parts.chunks.n_features)
        self._parts = parts
        self._starts = [parts.chunks.bounds.index(start) for start in bounds]

    def here(self, position: int) -> npt.NDArray[Any]:
        return join_rows([future.result() for future in self.for_task(position, self._parts.client)])

    def for_task(self, position: int, client: Client) -> list[Future[Any]]:
        return [self._parts.submit(part) for part in range(*self._starts[position : position + 2])]


class _KeptChunks(Chunks):
    """What a pass left in the cluster: futures, and how to have each made again."""

    def __init__(self, bounds: list[int], tasks: _Tasks, futures: list[Future[Any]]) -> None:
        super().__init__(bounds, 0)
        self._tasks = tasks
        self._futures = futures

    def here(self, position: int) -> npt.NDArray[Any]:
        chunk: npt.NDArray[Any] = self.for_task(position, self._tasks.client).result()
        return chunk

    def for_task(self, position: int, client: Client) -> Future[Any]:
        if self._futures[position].status not in ("pending", "finished", "lost"):
            (self._futures[position],) = self._tasks.in_order([position])
        return self._futures[position]


class _Tasks:
    """The tasks of a pass: what is sent, what is back, and what has to be sent again."""

    def __init__(
        self,
        client: Client,
        function: Callable[[Any, Any, Any], Any],
        chunks: Chunks,
        common: Any,
        own: Callable[[int], Any],
        keep: bool,
    ) -> None:
        self.client = client
        self._function = function
        self.chunks = chunks
        self._common = pack(common)
        self._scattered: Future[Any] | None = None
        self._own = own
        self._keep = keep
        self._name = f"skal-{_in_letters(getattr(common, 'kernel', function))}-{uuid4().hex[:12]}"
        self._n_sent: Counter[int] = Counter()
        self._n_killed: Counter[int] = Counter()
        self._out: dict[int, Future[Any]] = {}
        self._back: dict[int, Any] = {}
        self._news: SimpleQueue[None] = SimpleQueue()  # of whatever happened to a future
        self._watch = Watch(client)

    def in_order(self, positions: Sequence[int]) -> Iterator[Any]:
        """Yield results (futures of them, where they are kept), never many more at once than there are threads."""
        n_at_once = max(2, _TASKS_A_THREAD * self._watch.n_threads())
        n_sent = 0
        for n_done, position in enumerate(positions):
            while position not in self._back:
                while n_sent < min(len(positions), n_done + n_at_once):
                    self._send(positions[n_sent])
                    n_sent += 1
                self._collect()
            result = self._back.pop(position)
            if isinstance(result, BaseException):
                raise result
            yield result

    def cancel(self) -> None:
        """Call off what is still out, and forget what was sent along."""
        if self._out and self.client.status == "running":
            self.client.cancel(list(self._out.values()))
        self._out.clear()
        self._scattered = None

    def _send(self, position: int) -> None:
        future = self.submit(position)
        future.add_done_callback(lambda _: self._news.put(None))
        self._out[position] = future

    def submit(self, position: int) -> Future[Any]:
        """Send the task of a chunk, and leave it to the caller what becomes of it."""
        self._n_sent[position] += 1
        own = pack(self._own(position))
        future: Future[Any] = self.client.submit(
            run_in_worker,
            self._function,
            self.chunks.for_task(position, self.client),
            self._common_where_it_is(),
            self._scatter(own) if own.n_bytes >= _OWN_SCATTERED_FROM_BYTES else own,
            sklearn.get_config()["working_memory"],
            self._keep,
            key=f"{self._name}-{position}-{self._n_sent[position]}",
        )
        return future

    def _common_where_it_is(self) -> Packed | Future[Any]:
        # What a kept result was made from must outlive every worker, or it could not be made again by itself.
        if self._keep or self._common.n_bytes < _SCATTERED_FROM_BYTES:
            return self._common
        if self._scattered is None or self._scattered.status != "finished":
            self._scattered = self._scatter(self._common)
        return self._scattered

    def _scatter(self, value: Packed) -> Future[Any]:
        # Without a hash: a key that was lost once stays lost.
        try:
            scattered: Future[Any] = self.client.scatter(value, hash=False, timeout=self._watch.patience)
        except TimeoutError as error:
            raise self._watch.no_worker_left() from error
        return scattered

    def _collect(self) -> None:
        """Wait until something happens, and take note of it."""
        try:
            self._news.get(timeout=_SECONDS_BETWEEN_LOOKS)
        except Empty:
            self._watch.look()
        for position, future in list(self._out.items()):
            if future.status not in ("pending", "lost"):
                del self._out[position]
                self._take_note(position, future)

    def _take_note(self, position: int, future: Future[Any]) -> None:
        if future.status == "cancelled":
            self._send_again(position)
        elif future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                self._count_a_killer(position, error)
                self._send_again(position)
            else:
                self._back[position] = error
        elif self._keep:
            self._back[position] = future
        else:
            try:
                self._back[position] = future.result(timeout=self._watch.patience)
            except CancelledError:  # its worker died after it had said that it was done
                self._send_again(position)
            except TimeoutError:
                self._watch.look()
                self._out[position] = future

    def _send_again(self, position: int) -> None:
        if self._n_sent[position] > _MOST_TIMES_LOST:
            raise RuntimeError(
                f"{self._rows(position)} were sent to the cluster {self._n_sent[position]} times and lost each time: "
                "its workers do not live long enough for one block. The logs of the workers say why."
            )
        self._send(position)

    def _count_a_killer(self, position: int, error: KilledWorker) -> None:
        self._n_killed[position] += 1
        if self._n_killed[position] >= _MOST_TIMES_KILLED:
            raise RuntimeError(
                f"{self._rows(position)} end every worker that works on them, most likely for want of memory. Give "
                "workers more memory or fewer threads (1 GiB for each is enough, where it is eight times a chunk), or "
                "store the pool in smaller chunks."
            ) from error

    def _rows(self, position: int) -> str:
        return f"Rows {self.chunks.bounds[position]} to {self.chunks.bounds[position + 1] - 1} of X"
