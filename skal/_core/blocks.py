"""The one loop over a pool: any array, read as float tiles on a device.

A pass over the pool goes through a verb of `Blocks`. A kernel is a module-level function of one block, the
slices of what is kept for its rows, and what all blocks share; its results are merged, or gathered, in the
order of the blocks. In this process the whole pool is one block unless `block_rows` says otherwise; another
executor may hold each block elsewhere.

Within a block, tiles have a fixed number of rows, a power of two, and start at absolute multiples of it. A
memory budget decides how many prepared tiles stay resident; it never moves their borders, so every result is
the same for every budget.

On a CPU, a kernel hands its tiles to workers (`Block.map_tiles`), and each computes on one thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from skal._core.exact_sums import steps_for
from skal._core.rows import PreparedRows
from skal._core.workers import on_workers, parallel_map, parallel_reduce

__all__ = ["TILE_ROWS", "Block", "Blocks", "ChunkedRows", "SomeRows", "Tile", "blocks_of", "power_of_two_below"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_LEAST_FOR_WORKERS = 1 << 18  # numbers; a pass over fewer takes less time than waking somebody up
TILE_ROWS = {"cpu": 2048, "cuda": 65536}


class Tile(NamedTuple):
    """Rows ``start : start + len(rows)`` of a block."""

    start: int
    rows: Tensor  # (m, d)
    half_sq_norms: Tensor  # (m,)

    @property
    def slice(self) -> slice:
        return slice(self.start, self.start + len(self.rows))


class SomeRows:
    """Some of `n_rows` rows, and tensors with an entry for each; state of a pass that looks at no others.

    Parameters
    ----------
    row_idx : int64 Tensor of shape (m,)
        Ascending.
    values : tuple of Tensor of shape (m, ...)
    n_rows : int
    """

    def __init__(self, row_idx: Tensor, values: tuple[Tensor, ...], n_rows: int) -> None:
        self.row_idx = row_idx
        self.values = values
        self.n_rows = n_rows

    def __len__(self) -> int:
        return len(self.row_idx)

    def __getitem__(self, where: slice) -> SomeRows:
        """Return those among the rows ``where.start : where.stop``, which are counted from the first of these."""
        bounds = torch.tensor([where.start, where.stop], device=self.row_idx.device)
        first, last = torch.searchsorted(self.row_idx, bounds).tolist()
        values = tuple(each[first:last] for each in self.values)
        return SomeRows(self.row_idx[first:last] - where.start, values, where.stop - where.start)

    def __getstate__(self) -> dict[str, Any]:
        """Send one bit for each row in place of numbers."""
        is_one = torch.zeros(self.n_rows, dtype=torch.bool).index_fill_(0, self.row_idx.cpu(), True)
        return {"is_one": is_one, "values": self.values}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.row_idx = state["is_one"].nonzero().flatten()
        self.values = state["values"]
        self.n_rows = len(state["is_one"])


class Block:
    """Rows ``start : stop`` of a pool, read tile by tile."""

    def __init__(self, rows: PreparedRows, start: int, stop: int, tile_rows: int) -> None:
        self._rows = rows
        self._tile_rows = tile_rows
        self.start = start
        self.stop = stop

    @property
    def n_rows(self) -> int:
        return self.stop - self.start

    @property
    def n_features(self) -> int:
        return self._rows.n_features

    @property
    def device(self) -> torch.device:
        return self._rows.device

    def tiles(self) -> Iterator[Tile]:
        """Yield the rows once, in order; a tile's `start` counts from that of the block."""
        return map(self.tile, self.slices())

    def map_tiles(self, work: Callable[[Tile], Result]) -> list[Result]:
        """Apply `work` to each tile, on workers where the device is a CPU; return the results in order.

        Each worker holds a tile, so this is for tiles that are small beside the memory there is. `work` may write what
        it finds for the rows of a tile to slices of tensors that the tiles share.
        """
        return self.map(lambda where: work(self.tile(where)), self.slices())

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Apply `work` to parts of a tile, or of anything else, as `map_tiles` does to tiles."""
        return parallel_map(work, items) if self._is_for_workers() else [work(item) for item in items]

    def reduce_tiles(self, work: Callable[[Tile], Result], merge: Callable[[Result], object]) -> None:
        """Do as `map_tiles`, and call `merge` with each result, in order and one at a time."""
        if self._is_for_workers():
            parallel_reduce(lambda where: work(self.tile(where)), self.slices(), merge)
            return
        for tile in self.tiles():
            merge(work(tile))

    def _is_for_workers(self) -> bool:
        """Say whether there is enough to do in a pass that another worker is worth being asked."""
        return self.device.type == "cpu" and self.n_rows * self.n_features >= _LEAST_FOR_WORKERS

    def tile(self, where: slice) -> Tile:
        """Return the tile of one of the `slices`."""
        start, stop = self.start + where.start, self.start + where.stop
        rows = self._rows.between(start, stop)
        return Tile(where.start, rows, self._rows.known_half_sq_norms(start, stop))

    def half_sq_norms(self) -> Tensor:
        """Half the squared norm of each row, shape (m,); reads rows that have not been read."""
        if not self._rows.are_all_checked:
            self.map_tiles(_look_at)
        return self._rows.known_half_sq_norms(self.start, self.stop)

    def take(self, positions: Tensor) -> Tensor:
        """Return some rows, prepared exactly as in the tiles; `positions` (m,) int64 count from the block's first."""
        return self._rows.take(positions.cpu().numpy() + self.start)

    def slices(self) -> list[slice]:
        """Say which rows of the block each tile holds."""
        starts = range(0, self.n_rows, self._tile_rows)
        return [slice(start, min(start + self._tile_rows, self.n_rows)) for start in starts]


class Blocks:
    """Rows of `X` in one float dtype on a device, prepared on the way, and the passes over them.

    Parameters
    ----------
    X : ndarray, memmap or Tensor of shape (n, d)
        Any real dtype. It is never copied whole unless the copy fits in `resident_bytes`.
    device : torch.device
    normalize : bool
        L2-normalise each row; a zero row stays zero.
    resident_bytes : int
        How many bytes of prepared rows may be kept between passes.
    shift : Tensor of shape (d,) or None
        Subtracted from each row, in its own dtype, after normalisation and before the row is rounded to
        `dtype`. Distances do not change and lose no digits to a common offset.
    factor : float
        Each row is multiplied by it after the shift; a power of two, so that nothing is rounded.
    dtype : torch.dtype
        Of the prepared rows.
    tile_rows : int or None
        Rows a tile, a power of two. None takes what suits one matrix product with all centers.
    block_rows : int or None
        Rows a block, a multiple of `tile_rows`. None makes the pool one block.

    Raises
    ------
    ValueError
        From the first pass, if a row holds NaN or infinity; names the first such row.
    """

    def __init__(
        self,
        X: Any,
        device: torch.device,
        *,
        normalize: bool = False,
        resident_bytes: int = 0,
        shift: Tensor | None = None,
        factor: float = 1.0,
        dtype: torch.dtype = torch.float32,
        tile_rows: int | None = None,
        block_rows: int | None = None,
    ) -> None:
        rows = PreparedRows(X, device, normalize, resident_bytes, shift, factor, dtype)
        self._take_over(rows, tile_rows or TILE_ROWS[device.type], block_rows)

    def _take_over(self, rows: PreparedRows, tile_rows: int, block_rows: int | None) -> None:
        self._rows = rows
        self.tile_rows = tile_rows
        self.block_rows = block_rows or max(rows.n_rows, 1)
        self.n_rows, self.n_features = rows.n_rows, rows.n_features
        self.device, self.dtype = rows.device, rows.dtype

    def in_tiles_of(self, tile_rows: int) -> Blocks:
        """Return the same rows, kept in the same memory, in tiles of another size."""
        other = object.__new__(type(self))
        other._take_over(self._rows, tile_rows, None if self.block_rows >= self.n_rows else self.block_rows)
        return other

    def map_reduce(
        self,
        kernel: Callable[[Block, tuple[Any, ...], Any], Result],
        merge: Callable[[Result, Result], Result],
        shared: Any = None,
        per_row: Sequence[Tensor | SomeRows] = (),
    ) -> Result:
        """Apply ``kernel(block, slices, shared)`` to each block and merge the results in order.

        `slices` are those of `per_row`, each a tensor of shape (n, ...) or `SomeRows`. A kernel does not write to them.
        """
        with on_workers():
            return reduce(merge, self._map(kernel, shared, per_row))

    def map_gather(
        self,
        kernel: Callable[[Block, tuple[Any, ...], Any], tuple[Tensor, ...]],
        shared: Any = None,
        per_row: Sequence[Tensor | SomeRows] = (),
    ) -> tuple[Tensor, ...]:
        """Apply a kernel that gives tensors with an entry a row, or for some rows, and join them in their order."""
        with on_workers():
            results = list(self._map(kernel, shared, per_row))
        if len(results) == 1:
            return results[0]
        return tuple(torch.cat(parts) for parts in zip(*results, strict=True))

    def _map(
        self, kernel: Callable[[Block, tuple[Any, ...], Any], Result], shared: Any, per_row: Sequence[Tensor | SomeRows]
    ) -> Iterator[Result]:
        for start in range(0, max(self.n_rows, 1), self.block_rows):
            stop = min(start + self.block_rows, self.n_rows)
            block = Block(self._rows, start, stop, self.tile_rows)
            yield kernel(block, tuple(state[start:stop] for state in per_row), shared)

    def cached(
        self,
        kernel: Callable[[Block, tuple[Any, ...], Any], tuple[Tensor, ...]],
        shared: Any,
        tile_rows: int | None = None,
    ) -> Blocks:
        """Keep what a kernel makes of each row, a float32 vector, as rows of their own on the same device."""
        (rows,) = self.map_gather(kernel, shared)
        return Blocks(rows, self.device, tile_rows=tile_rows)

    def keep_beside(self, *works: Callable[[], Any]) -> list[Any]:
        """Do some works and return their results; meanwhile other workers read the rows, if all of them can be kept."""
        return self._rows.keep_beside(*works)

    def take(self, row_idx: Any) -> Tensor:
        """Return some rows, prepared exactly as in the tiles, shape (len(row_idx), d)."""
        return self._rows.take(np.asarray(row_idx, dtype=np.int64))

    def tiles(self) -> Iterator[Tile]:
        """Yield all rows in order, for what happens in this process only."""
        return Block(self._rows, 0, self.n_rows, self.tile_rows).tiles()

    def map_tiles(self, work: Callable[[Tile], Result]) -> list[Result]:
        """Apply `work` to each tile as `Block.map_tiles` does, for what happens in this process only."""
        return Block(self._rows, 0, self.n_rows, self.tile_rows).map_tiles(work)

    def half_sq_norms(self) -> Tensor:
        """Return half the squared norm of each row, shape (n,); makes the first pass where none has been made."""
        self.check_finite()
        return self._rows.known_half_sq_norms(0, self.n_rows)

    def sum_steps(self) -> tuple[float, ...]:
        """In what steps any of the rows are summed, so that the order does not count (`skal._core.exact_sums`)."""
        return steps_for(self.half_sq_norms(), self.n_features)

    def check_finite(self) -> None:
        """Raise for the first row with NaN or infinity; reads nothing that a pass has read already."""
        if not self._rows.are_all_checked:
            self.map_tiles(_look_at)

    def whole(self) -> Tensor:
        """Return all rows as one tensor (n, d), for pools that fit in memory."""
        return torch.cat([tile.rows for tile in self.tiles()])


class ChunkedRows(ABC):
    """Rows of a pool that lie in chunks, here or elsewhere, and make their own `Blocks`."""

    shape: tuple[int, int]
    dtype: Any

    @abstractmethod
    def blocks(
        self,
        device: torch.device,
        *,
        normalize: bool = False,
        resident_bytes: int = 0,
        shift: Tensor | None = None,
        factor: float = 1.0,
        dtype: torch.dtype = torch.float32,
        tile_rows: int | None = None,
    ) -> Blocks:
        """Do what `blocks_of` promises."""

    @abstractmethod
    def per_row(self, values: np.ndarray) -> Any:
        """Return values, one a row, in the chunks that the rows are in."""

    @abstractmethod
    def __getitem__(self, row_idx: Any) -> np.ndarray:
        """Bring some rows, by number, into this process, as they are."""


def blocks_of(X: Any, device: torch.device, **options: Any) -> Blocks:
    """Open rows for passes, wherever they lie; the options are those of `Blocks`."""
    return X.blocks(device, **options) if isinstance(X, ChunkedRows) else Blocks(X, device, **options)


def _look_at(tile: Tile) -> None:
    """Rows are checked as they are read."""


def power_of_two_below(number: float) -> int:
    """Return the largest power of two that is at most `number`, at least 1."""
    return 1 << max(0, int(number).bit_length() - 1)
