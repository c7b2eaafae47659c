"""Who applies a function to all chunks: this process, one chunk at a time, or the workers of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
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
        bounds: list[int],
    ) -> Chunks:
        """Leave what a function makes of each chunk, a vector a row, where it is made.

        Parameters
        ----------
        function, chunks, common, own
            As for `map`.
        bounds : list of int
            Of the chunks that the vectors are kept in: some of those of `chunks`, the first and the last among them.
        """
        ...

    def few_parts(self, bounds: list[int], bytes_a_row: int) -> list[int]:
        """Choose some of the bounds of chunks: as few as keep everybody busy, where memory allows."""
        ...

    def memory_limit(self) -> int:
        """Bytes that chunks may take where they are; 0 where there should never be two of them."""
        ...

    def memory_a_task(self) -> int:
        """Bytes that may be used while a function is applied to one chunk; 0 where nobody says."""
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
        bounds: list[int],
    ) -> Chunks:
        """Keep it in memory; see `Executor`."""
        parts = self.map(function, chunks, common, own)
        first = next(parts)
        kept = np.empty((chunks.n_rows, first.shape[1]), dtype=first.dtype)
        for start, part in zip(chunks.bounds, chain([first], parts), strict=False):
            kept[start : start + len(part)] = part
        return _ChunksHere(bounds, kept)

    def few_parts(self, bounds: list[int], bytes_a_row: int) -> list[int]:
        return bounds

    def memory_limit(self) -> int:
        return 0

    def memory_a_task(self) -> int:
        return 0


class _ChunksHere(Chunks):
    def __init__(self, bounds: list[int], rows: npt.NDArray[Any]) -> None:
        super().__init__(bounds, int(rows.shape[1]))
        self._rows = rows

    def here(self, position: int) -> npt.NDArray[Any]:
        start, stop = self.bounds[position : position + 2]
        return self._rows[start:stop]

    def for_task(self, position: int, client: Any) -> Any:
        return client.scatter(self.here(position), hash=False)


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
