"""Chunks of rows that begin at multiples of a tile: those of a dask array, or what a pass made of them."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Container
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skal._dask._packing import pack
from skal._warnings import warn_user

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["ArrayChunks", "Chunks", "Recipe", "regroup"]

_LARGEST_RECIPE = 2**16


class Visits(NamedTuple):
    chunks: list[int]  # to be visited, ascending
    places: list[npt.NDArray[np.int64]]  # of each: where its rows stand among those that are wanted
    wanted: Callable[[int], npt.NDArray[np.int64]]  # of a chunk's position: which of its rows


class Recipe:
    """The part of a dask graph that makes a chunk, for the task that needs it, so that no other holds it."""

    def __init__(self, graph: dict[Any, Any], key: Any) -> None:
        self._packed = pack((graph, key))

    @property
    def is_small(self) -> bool:
        """Whether it says where the chunk is; one of an array in memory holds the chunk itself."""
        return self._packed.n_bytes < _LARGEST_RECIPE

    def make(self) -> npt.NDArray[Any]:
        import dask

        chunk: npt.NDArray[Any] = np.asarray(dask.get(*self._packed.load()))
        return chunk


class Chunks(ABC):
    """Rows in chunks, of which chunk i holds ``bounds[i] : bounds[i + 1]``."""

    def __init__(self, bounds: list[int], n_features: int) -> None:
        self.bounds = bounds
        self.n_features = n_features

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def n_rows(self) -> int:
        return self.bounds[-1]

    def visits(self, row_idx: npt.NDArray[np.int64]) -> Visits:
        """Plan how some rows are fetched, each chunk that holds any being visited once."""
        chunk_of_row = np.searchsorted(np.asarray(self.bounds), row_idx, side="right") - 1
        order = np.argsort(chunk_of_row, kind="stable")
        visited, first = np.unique(chunk_of_row[order], return_index=True)
        places = np.split(order, first[1:]) if len(order) else []
        chunks: list[int] = visited.tolist()
        wanted = {i: row_idx[where] - self.bounds[i] for i, where in zip(chunks, places, strict=True)}
        return Visits(chunks, places, wanted.__getitem__)

    @abstractmethod
    def here(self, position: int) -> npt.NDArray[Any]:
        """Bring a chunk into this process."""

    @abstractmethod
    def for_task(self, position: int, client: Client) -> Future[Any] | Recipe:
        """Return what a task takes as its chunk: one that is in the cluster or is being made there, or how to."""


class ArrayChunks(Chunks):
    """The chunks of a dask array, each with the part of the graph that makes it.

    Parameters
    ----------
    array : dask array of shape (n, d)
        In one chunk of columns.
    """

    def __init__(self, array: Any) -> None:
        import dask
        from dask.core import flatten
        from dask.optimization import cull

        super().__init__([0, *accumulate(array.chunks[0])], int(array.shape[1]))
        # Of an array that was persisted: they have to live, and optimisation leaves them out of the graph.
        self._futures: dict[Any, Future[Any]] = _futures_in(array)
        (array,) = dask.optimize(array)
        graph = {**array.__dask_graph__(), **self._futures}
        self._keys = list(flatten(array.__dask_keys__()))
        self._graphs = [_without(self._futures, cull(graph, [key])[0]) for key in self._keys]
        self._recipes: dict[int, Recipe] = {}
        self._kept: dict[int, Future[Any]] | None = None

    def keep(self) -> None:
        """Let chunks stay in the cluster, once they are there, for as long as this object is used."""
        self._kept = {}

    def here(self, position: int) -> npt.NDArray[Any]:
        import dask

        chunk: npt.NDArray[Any] = np.asarray(dask.get(self._graphs[position], self._keys[position]))
        return chunk

    def for_task(self, position: int, client: Client) -> Future[Any] | Recipe:
        if self._keys[position] in self._futures:
            return self._futures[self._keys[position]]
        if self._kept is None:
            if not self._futures and self._recipe(position).is_small:
                return self._recipe(position)
            return self._future(position, client)
        if position not in self._kept or self._kept[position].status not in ("pending", "finished"):
            self._kept[position] = self._future(position, client)
        return self._kept[position]

    def _future(self, position: int, client: Client) -> Future[Any]:
        future: Future[Any] = client.get(self._graphs[position], [self._keys[position]], sync=False)[0]
        return future

    def _recipe(self, position: int) -> Recipe:
        if position not in self._recipes:
            self._recipes[position] = Recipe(self._graphs[position], self._keys[position])
        return self._recipes[position]


def _futures_in(array: Any) -> dict[Any, Any]:
    if "distributed" not in sys.modules:
        return {}
    from distributed import futures_of

    return {future.key: future for future in futures_of(array)}


def _without(left_out: Container[Any], graph: dict[Any, Any]) -> dict[Any, Any]:
    return {key: task for key, task in graph.items() if key not in left_out}


def regroup(array: Any, tile_rows: int) -> Any:
    """Return the same dask array in chunks that begin at multiples of `tile_rows`.

    Results are the same for any chunks because passes see whole tiles.

    Warns
    -----
    UserWarning
        If chunks have to be joined or divided.
    """
    sizes = [size for size in array.chunks[0] if size]
    starts = [0, *accumulate(sizes)][:-1]
    if all(start % tile_rows == 0 for start in starts):
        return array if len(sizes) == len(array.chunks[0]) else array.rechunk({0: tuple(sizes)})
    n_rows = int(array.shape[0])
    rows = tile_rows * max(1, round(max(sizes) / tile_rows))
    warn_user(
        f"The chunks of X do not begin at multiples of {tile_rows} rows, the tile that results are the same for; the "
        f"{len(sizes)} chunks are read as {-(-n_rows // rows)} of {min(rows, n_rows)} rows, which joins them at each "
        f"pass. Store the pool in chunks of a multiple of {tile_rows} rows, or pass X.rechunk(({rows}, -1)).persist() "
        "where it fits the memory of the workers."
    )
    return array.rechunk({0: rows})
