"""What happens to one chunk of rows, in this process or in a worker."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sklearn
import torch
from torch import Tensor

from skal._core.blocks import TILE_ROWS, Block, SomeRows
from skal._core.device import ordinary_torch
from skal._core.memory import keep_freed_memory
from skal._core.rows import Norms, PreparedRows
from skal._core.workers import on_workers
from skal._dask._chunks import Recipe
from skal._dask._packing import Packed, pack

__all__ = [
    "KernelCall",
    "OfBlock",
    "Preparation",
    "digest_tiles",
    "join_rows",
    "keep_rows",
    "raw_rows",
    "run_in_worker",
    "run_kernel",
    "take_rows",
    "width_of",
]

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Preparation:
    """How the rows of a chunk become those that kernels see; see `Blocks`."""

    pool: str  # which rows: one name for one content
    normalize: bool
    shift: Tensor | None
    factor: float
    dtype: torch.dtype

    def of(self, chunk: npt.NDArray[Any], first_row: int) -> PreparedRows:
        rows = PreparedRows(chunk, _CPU, self.normalize, 0, self.shift, self.factor, self.dtype, first_row)
        shift = b"" if self.shift is None else self.shift.numpy().tobytes()
        known = _norms_of(chunk, self.pool)
        rows.norms = known.setdefault((self.normalize, shift, self.factor, self.dtype), rows.norms)
        return rows


_known: dict[int, tuple[str, dict[Hashable, Norms]]] = {}  # by the identity of a chunk that is in memory


def _norms_of(chunk: Any, pool: str) -> dict[Hashable, Norms]:
    """What earlier passes over a pool have found out of the rows of a chunk that stayed, by how they are prepared."""
    number = id(chunk)
    if number not in _known:
        weakref.finalize(chunk, _known.pop, number, None).atexit = False
    if number not in _known or _known[number][0] != pool:
        _known[number] = pool, {}
    return _known[number][1]


@dataclass(frozen=True)
class KernelCall:
    """What is the same for all blocks of a pass."""

    kernel: Callable[[Block, tuple[Any, ...], Any], Any]
    preparation: Preparation
    tile_rows: int
    shared: Any


class OfBlock(NamedTuple):
    """What is a block's own: the number of its first row, and its slices of the state of rows."""

    start: int
    per_row: tuple[Tensor | SomeRows, ...] = ()


class OfKernel(NamedTuple):
    value: Any
    read_all_rows: bool


def run_kernel(chunk: npt.NDArray[Any], call: KernelCall, own: OfBlock) -> OfKernel:
    """Apply a kernel to a block."""
    rows = call.preparation.of(chunk, own.start)
    value = call.kernel(Block(rows, 0, rows.n_rows, call.tile_rows), own.per_row, call.shared)
    return OfKernel(value, rows.are_all_checked)


def keep_rows(chunk: npt.NDArray[Any], call: KernelCall, own: OfBlock) -> npt.NDArray[np.float32]:
    """Apply a kernel that makes a vector of each row; return these as a chunk of their own."""
    (vectors,) = run_kernel(chunk, call, own).value
    rows: npt.NDArray[np.float32] = vectors.numpy()
    return rows


def take_rows(chunk: npt.NDArray[Any], preparation: Preparation, own: tuple[int, npt.NDArray[np.int64]]) -> Tensor:
    """Prepare some rows of a chunk; `own` holds the number of its first row, and which of its rows."""
    start, positions = own
    return preparation.of(chunk, start).take(positions)


def raw_rows(chunk: npt.NDArray[Any], shared: None, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return some rows of a chunk as they are."""
    return chunk[positions]


def digest_tiles(chunk: npt.NDArray[Any], shared: None, own: None) -> bytes:
    """Hash each tile of a chunk."""
    n_rows = TILE_ROWS["cpu"]
    tiles = (np.ascontiguousarray(chunk[start : start + n_rows]) for start in range(0, len(chunk), n_rows))
    return b"".join(sha256(tile.data).digest() for tile in tiles)


def join_rows(chunks: list[npt.NDArray[Any]], shared: None = None, own: None = None) -> npt.NDArray[Any]:
    """Put consecutive chunks into one."""
    return np.concatenate(chunks)


def width_of(chunk: npt.NDArray[Any], shared: None, own: None) -> int:
    return int(chunk.shape[1])


def run_in_worker(
    function: Callable[[Any, Any, Any], Any],
    chunk: npt.NDArray[Any] | Recipe | list[npt.NDArray[Any]],
    common: Packed,
    own: Packed,
    working_memory: float,
    keep: bool,
) -> Any:
    """Run a function of a chunk in a worker of dask, whose process knows nothing of the driver's settings."""
    keep_freed_memory()
    with _settings(working_memory):
        rows = chunk.make() if isinstance(chunk, Recipe) else chunk
        result = function(rows, common.load(), own.load())
        return result if keep else pack(result)


@contextmanager
def _settings(working_memory: float) -> Iterator[None]:
    """Compute as the driver does: in float32 throughout, and on one thread where tasks run side by side."""
    with (
        ordinary_torch(),
        on_workers(None if _runs_alone() else 1),
        sklearn.config_context(working_memory=working_memory),
    ):
        yield


def _runs_alone() -> bool:
    from distributed import get_worker

    return bool(get_worker().state.nthreads == 1)
