"""Passes over chunks of rows, through the verbs of `Blocks`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skal._core.blocks import TILE_ROWS, Block, Blocks, SomeRows, Tile
from skal._dask._chunks import Chunks
from skal._dask._executors import Executor
from skal._dask._tasks import KernelCall, OfBlock, Preparation, keep_rows, run_kernel, take_rows

__all__ = ["DaskBlocks"]

Result = TypeVar("Result")

_CPU = torch.device("cpu")


class DaskBlocks(Blocks):
    """Rows that lie in chunks, one block a chunk.

    State of rows stays with the caller, on the CPU of this process; kernels get their slices of it and give back what
    they find. So a pass that fails has changed nothing.

    Parameters
    ----------
    chunks : Chunks of shape (n, d)
        They begin at multiples of every tile that is asked for.
    executor : Executor
    preparation : Preparation
    tile_rows : int or None
        As for `Blocks`.
    """

    def __init__(
        self, chunks: Chunks, executor: Executor, preparation: Preparation, tile_rows: int | None = None
    ) -> None:
        self._chunks = chunks
        self._executor = executor
        self._preparation = preparation
        self._known = _Known()
        self.n_rows, self.n_features = chunks.n_rows, chunks.n_features
        self.device, self.dtype = _CPU, preparation.dtype
        self._set_tile_rows(tile_rows or TILE_ROWS["cpu"])

    def _set_tile_rows(self, tile_rows: int) -> None:
        self.tile_rows = tile_rows
        self.block_rows = max(stop - start for start, stop in self._bounds())
        for start in self._chunks.bounds[:-1]:
            if start % tile_rows:
                raise ValueError(f"A chunk begins at row {start}, which is no multiple of a tile of {tile_rows} rows.")

    def in_tiles_of(self, tile_rows: int) -> DaskBlocks:
        other = DaskBlocks(self._chunks, self._executor, self._preparation, tile_rows)
        other._known = self._known
        return other

    def _map(
        self, kernel: Callable[[Block, tuple[Any, ...], Any], Result], shared: Any, per_row: Sequence[Tensor | SomeRows]
    ) -> Iterator[Result]:
        call = KernelCall(kernel, self._preparation, self.tile_rows, shared)
        read_all_rows = True
        for found in self._executor.map(run_kernel, self._chunks, call, lambda i: self._part_of(i, per_row)):
            read_all_rows &= found.read_all_rows
            yield found.value
        self._known.are_all_finite |= read_all_rows

    def _bounds(self) -> list[tuple[int, int]]:
        return list(zip(self._chunks.bounds, self._chunks.bounds[1:], strict=False))

    def _part_of(self, position: int, per_row: Sequence[Tensor | SomeRows]) -> OfBlock:
        start, stop = self._chunks.bounds[position : position + 2]
        return OfBlock(start, tuple(state[start:stop] for state in per_row))

    def cached(
        self,
        kernel: Callable[[Block, tuple[Any, ...], Any], tuple[Tensor, ...]],
        shared: Any,
        tile_rows: int | None = None,
    ) -> Blocks:
        """Keep the vectors where they are made, in chunks that begin at multiples of their own tiles."""
        call = KernelCall(kernel, self._preparation, self.tile_rows, shared)
        bounds = self._chunks.bounds_at(tile_rows or TILE_ROWS["cpu"])
        chunks = self._executor.keep(keep_rows, self._chunks, call, lambda i: self._part_of(i, ()), bounds)
        self._known.are_all_finite = True
        return DaskBlocks(chunks, self._executor, Preparation(uuid4().hex, False, None, 1.0, torch.float32), tile_rows)

    def take(self, row_idx: Any) -> Tensor:
        """Return some rows; each chunk that holds any is visited once."""
        row_idx = np.asarray(row_idx, dtype=np.int64)
        rows = torch.empty((len(row_idx), self.n_features), dtype=self.dtype)
        visits = self._chunks.visits(row_idx)

        def wanted_of(position: int) -> tuple[int, npt.NDArray[np.int64]]:
            return self._chunks.bounds[position], visits.wanted(position)

        found = self._executor.map(take_rows, self._chunks, self._preparation, wanted_of, visits.chunks)
        try:
            for places, taken in zip(visits.places, found, strict=True):
                rows[torch.from_numpy(places)] = taken
        except ValueError:
            self.check_finite()  # names the first bad row of the pool
            raise
        return rows

    def tiles(self) -> Iterator[Tile]:
        """Yield all rows in order: each chunk comes through this process, one at a time."""
        for position, (start, _) in enumerate(self._bounds()):
            rows = self._preparation.of(self._chunks.here(position), start)
            for tile in Block(rows, 0, rows.n_rows, self.tile_rows).tiles():
                yield tile._replace(start=start + tile.start)
            del rows, tile  # or this chunk would be there until the next is
        self._known.are_all_finite = True

    def half_sq_norms(self) -> Tensor:
        if self._known.half_sq_norms is None:
            (self._known.half_sq_norms,) = self.map_gather(_half_sq_norms)
        return self._known.half_sq_norms

    def check_finite(self) -> None:
        if not self._known.are_all_finite:
            self.half_sq_norms()

    def whole(self) -> Tensor:
        raise MemoryError(
            f"All {self.n_rows} rows of a pool in chunks were asked for at once; this is a fault of the caller."
        )


class _Known:
    """What passes have learned of the rows, whatever their tiles."""

    def __init__(self) -> None:
        self.are_all_finite = False
        self.half_sq_norms: Tensor | None = None


def _half_sq_norms(block: Block, per_row: tuple[Tensor, ...], shared: None) -> tuple[Tensor]:
    return (block.half_sq_norms(),)
