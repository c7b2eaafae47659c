"""Who applies a function to all chunks: this process, one chunk at a time, or the workers of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy.typing as npt

from skal._dask._chunks import Chunks

__all__ = ["Executor", "InProcess", "current_client", "current_executor"]


class Executor(Protocol):
    """Applies ``function(chunk, common, own)`` to chunks."""

    def map(
        self,
        function: Callable[[Any, Any, Any], Any],
        chunks: Chunks,
        common: Any,
        own: Callable[[int], Any],
        positions: Sequence[int] | None = None,
    ) -> Iterator[Any]:
        """Yield what a function makes of each chunk, in order.

        Parameters
        ----------
        function : module-level callable of (chunk, common, own)
        chunks : Chunks
        common : object
            The same for all chunks.
        own : callable of a chunk's position
            What is only for that chunk; asked for when its turn comes.
        positions : sequence of int, default=None
            Which chunks. None means all.
        """
        ...

    def keep(
        self,
        function: Callable[[Any, Any, Any], Any],
        chunks: Chunks,
        common: Any,
        own: Callable[[int], Any],
    ) -> Chunks:
        """Leave what a function makes of each chunk, an array of as many rows, where it is made."""
        ...

    def memory_limit(self) -> int:
        """Bytes that chunks may take where they are; 0 where there should never be two of them."""
        ...


class InProcess:
    """One chunk after the other, never two at a time."""

    def map(
        self,
        function: Callable[[Any, Any, Any], Any],
        chunks: Chunks,
        common: Any,
        own: Callable[[int], Any],
        positions: Sequence[int] | None = None,
    ) -> Iterator[Any]:
        for position in range(len(chunks)) if positions is None else positions:
            yield function(chunks.here(position), common, own(position))

    def keep(
        self,
        function: Callable[[Any, Any, Any], Any],
        chunks: Chunks,
        common: Any,
        own: Callable[[int], Any],
    ) -> Chunks:
        """Keep it in memory; see `Executor`."""
        return _ChunksHere(chunks.bounds, list(self.map(function, chunks, common, own)))

    def memory_limit(self) -> int:
        return 0


class _ChunksHere(Chunks):
    def __init__(self, bounds: list[int], arrays: list[npt.NDArray[Any]]) -> None:
        super().__init__(bounds, int(arrays[0].shape[1]))
        self._arrays = arrays

    def here(self, position: int) -> npt.NDArray[Any]:
        return self._arrays[position]

    def for_task(self, position: int, client: Any) -> Any:
        return client.scatter(self._arrays[position], hash=False)


def current_client() -> Any:
    """Return the current `distributed.Client`, or None."""
    if "distributed" not in sys.modules:
        return None
    from distributed import Client

    try:
        return Client.current()
    except ValueError:
        return None


def current_executor() -> Executor:
    """Return the cluster of the current client where there is one, else this process."""
    client = current_client()
    if client is None:
        return InProcess()
    from skal._dask._cluster import OnCluster

    return OnCluster(client)
