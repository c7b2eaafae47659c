"""Chunks of rows that begin at multiples of a tile: those of a dask array, or what a pass made of them."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from skal._core.blocks import power_of_two_below
from skal._dask._joined import JoinedRows
from skal._dask._packing import pack
from skal._warnings import warn_user

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = [
    "CHUNK_TO_MEMORY",
    "ArrayChunks",
    "Chunks",
    "Recipe",
    "Tiles",
    "few_parts",
    "is_in_cluster",
    "regroup",
]

_LARGEST_RECIPE = 2**16
_PARTS_A_THREAD = 2  # while the result of one is on its way, the other is computed
_EVEN_ENOUGH = 1.05  # what a thread has to do, to what it would have at the best
CHUNK_TO_MEMORY = 8  # of a task, which has 0.3 GiB of code, a tile in float32, and what it found before


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

    def make(self) -> npt.NDArray[Any] | JoinedRows:
        import dask

        made: Any = dask.get(*self._packed.load())
        return made if isinstance(made, JoinedRows) else np.asarray(made)


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

    def bounds_at(self, tile_rows: int) -> list[int]:
        """Bounds that are multiples of `tile_rows`, and the last."""
        return [bound for bound in self.bounds[:-1] if bound % tile_rows == 0] + self.bounds[-1:]

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
    def for_task(self, position: int, client: Client) -> Future[Any] | Recipe | list[Future[Any]]:
        """Return what a task takes as its chunk: one that is in the cluster or is being made there, or how to."""


class ArrayChunks(Chunks):
    """The chunks of a dask array, or some at a time, each with the part of the graph that makes it.

    Parameters
    ----------
    array : dask array of shape (n, d)
        In one chunk of columns.
    bounds : list of int, default=None
        Some of the bounds of its chunks, the first and the last among them; the chunks between two are joined to one.
        None leaves them as they are.
    """

    def __init__(self, array: Any, bounds: list[int] | None = None) -> None:
        import dask
        from dask.core import flatten
        from dask.optimization import cull

        every_bound = [0, *accumulate(array.chunks[0])]
        super().__init__(bounds or every_bound, int(array.shape[1]))
        # Of an array that was persisted: they have to live, and optimisation leaves them out of the graph.
        self._futures: dict[Any, Future[Any]] = _futures_in(array)
        (array,) = dask.optimize(array)
        graph = {**array.__dask_graph__(), **self._futures}
        keys = list(flatten(array.__dask_keys__()))
        self._keys = []
        place = {bound: number for number, bound in enumerate(every_bound)}
        for start, stop in pairwise(self.bounds):
            of_part = keys[place[start] : place[stop]]
            self._keys.append(of_part[0] if len(of_part) == 1 else f"joined-{of_part[0][0]}-{start}-{stop}")
            if len(of_part) > 1:
                graph[self._keys[-1]] = (JoinedRows, of_part)
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
            # At first all at once, which the scheduler deals out evenly; one after the other, it may give most to one.
            self._kept.update(self._make([position] if self._kept else range(len(self)), client))
        return self._kept[position]

    def _make(self, positions: Sequence[int], client: Client) -> dict[int, Future[Any]]:
        if self._futures or not all(self._recipe(position).is_small for position in positions):
            return {position: self._future(position, client) for position in positions}
        recipes = [self._recipe(position) for position in positions]
        keys = [f"chunk-{uuid4().hex}" for _ in positions]
        return dict(zip(positions, client.map(Recipe.make, recipes, key=keys), strict=True))

    def _future(self, position: int, client: Client) -> Future[Any]:
        future: Future[Any] = client.get(self._graphs[position], [self._keys[position]], sync=False)[0]
        return future

    def _recipe(self, position: int) -> Recipe:
        if position not in self._recipes:
            self._recipes[position] = Recipe(self._graphs[position], self._keys[position])
        return self._recipes[position]


def is_in_cluster(array: Any) -> bool:
    """Say whether chunks of a dask array are in a cluster already, or are being made there."""
    return bool(_futures_in(array))


def _futures_in(array: Any) -> dict[Any, Any]:
    if "distributed" not in sys.modules:
        return {}
    from distributed import futures_of

    return {future.key: future for future in futures_of(array)}


def _without(left_out: Container[Any], graph: dict[Any, Any]) -> dict[Any, Any]:
    return {key: task for key, task in graph.items() if key not in left_out}


class Tiles(NamedTuple):
    """How many rows the tiles of passes have: those over a pool, and the widest of all, a multiple of these."""

    narrow: int
    wide: int

    def fit(self, starts: list[int], n_rows: int) -> bool:
        """Say whether chunks that begin there hold whole tiles, or whole narrow ones that make up wide ones."""
        if any(start % self.narrow for start in starts):
            return False
        first_of_wide = [i for i, start in enumerate(starts) if start % self.wide == 0] + [len(starts)]
        bounds = [*starts, n_rows]
        return all(
            last == first + 1 or bounds[last] - bounds[first] <= self.wide for first, last in pairwise(first_of_wide)
        )

    def rows_up_to(self, most: int) -> int:
        """Rows a chunk, `most` at the most but one tile at least, for chunks that fit."""
        if most >= self.wide:
            return most // self.wide * self.wide
        return self.narrow * power_of_two_below(most / self.narrow)


def regroup(array: Any, tiles: Tiles, memory_a_task: int = 0) -> Any:
    """Return the same dask array in chunks that fit tiles, and the memory that there is for one.

    Results are the same for any chunks because passes see whole tiles.

    Parameters
    ----------
    array : dask array of shape (n, d)
    tiles : Tiles
    memory_a_task : int, default=0
        Bytes, of which a chunk may take an eighth; 0 where nobody says.

    Warns
    -----
    UserWarning
        If chunks have to be joined or divided.
    """
    from dask.utils import format_bytes

    sizes = [size for size in array.chunks[0] if size]
    starts = [0, *accumulate(sizes)][:-1]
    n_rows, n_bytes_a_row = int(array.shape[0]), array.nbytes // array.shape[0]
    most = memory_a_task // CHUNK_TO_MEMORY // n_bytes_a_row if memory_a_task else n_rows
    are_tiled = tiles.fit(starts, n_rows)
    if are_tiled and max(sizes) <= max(most, tiles.narrow):
        return array if len(sizes) == len(array.chunks[0]) else array.rechunk({0: tuple(sizes)})
    rows = tiles.rows_up_to(min(max(sizes), most))
    read_as = (
        f"the {len(sizes)} chunks are read as {-(-n_rows // rows)} of {min(rows, n_rows)} rows. Store the pool in such "
        f"chunks, or pass X.rechunk(({rows}, -1))"
    )
    if are_tiled:
        warn_user(
            f"The chunks of X hold up to {max(sizes)} rows, {format_bytes(max(sizes) * n_bytes_a_row)}, and a task has "
            f"{format_bytes(memory_a_task)} for everything; {read_as}, where part of a chunk is read without the rest."
        )
    else:
        narrow, wide = tiles
        or_within = "" if narrow == wide else f", nor at all of these and within at multiples of {narrow}"
        warn_user(
            f"The chunks of X do not begin at multiples of {wide} rows{or_within}, the tiles that results are the same "
            f"for; {read_as}.persist() where it fits the memory of the workers: chunks are joined at each pass."
        )
    return array.rechunk({0: rows})


def few_parts(bounds: list[int], n_threads: int, most_rows: int) -> list[int]:
    """Leave out bounds so that few parts are left, which threads that take them in turn get as many rows of.

    Parts have `most_rows` at the most, or lie between two bounds as they were.
    """
    halfway = [(first + second) / 2 for first, second in pairwise(bounds)]
    choices = []
    for n_parts in range(_PARTS_A_THREAD * n_threads, len(bounds) - 1, n_threads):
        nearest = np.searchsorted(halfway, np.linspace(0, bounds[-1], n_parts + 1))
        choices.append([bounds[position] for position in np.unique(nearest).tolist()])
    choices = [choice for choice in choices if max(np.diff(choice)) <= most_rows] + [bounds]
    loads = [max(int(np.diff(choice)[thread::n_threads].sum()) for thread in range(n_threads)) for choice in choices]
    return next(choice for choice, load in zip(choices, loads, strict=True) if load <= _EVEN_ENOUGH * min(loads))
