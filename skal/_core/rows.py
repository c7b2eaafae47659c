"""Rows of any array, prepared as floats on a device: normalised, shifted, checked, and kept as far as they fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skal._core.memory import empty_rows
from skal._core.workers import map_on, parallel_map

__all__ = ["Norms", "PreparedRows", "unit_rows"]

_PIECE_ROWS = {"cpu": 1024, "cuda": 65536}  # prepared at once, so that they stay in cache on their way
_SAFE_NORMS = (1e-15, 1e18)  # outside, the squares of float32 entries under- or overflow


class PreparedRows:
    """Rows of `X` in one float dtype on a device; the parameters are those of `Blocks`.

    `first_row` is the number that the first row has in the pool. Rows are checked and their norms noted when they are
    read for the first time. Threads may read at once: at the worst, two of them prepare the same rows alike.
    """

    def __init__(
        self,
        X: Any,
        device: torch.device,
        normalize: bool,
        resident_bytes: int,
        shift: Tensor | None,
        factor: float,
        dtype: torch.dtype,
        first_row: int = 0,
    ) -> None:
        self.device = device
        self._first_row = first_row
        self.dtype = dtype
        self.n_rows, self.n_features = int(X.shape[0]), int(X.shape[1])
        self._X = X
        self._normalize = normalize
        self._shift = shift
        self._factor = factor
        self._borrowed = self._borrow()
        n_resident = 0
        if self._borrowed is None:
            bytes_per_row = max(1, self.n_features * dtype.itemsize)
            n_resident = min(self.n_rows, resident_bytes // bytes_per_row)
        self._resident = self._empty(n_resident)
        self._is_prepared = _Marks(n_resident)
        self.norms = Norms(self.n_rows, dtype, device)

    @property
    def are_all_checked(self) -> bool:
        return self.norms.are_known.are_all()

    def known_half_sq_norms(self, start: int, stop: int) -> Tensor:
        """Half the squared norms of rows that have been read, shape (stop - start,)."""
        return self.norms.half_squares[start:stop]

    def between(self, start: int, stop: int) -> Tensor:
        """Return the rows ``start : stop``, shape (stop - start, d)."""
        if self._borrowed is not None:
            rows = self._borrowed[start:stop]
            self._check(rows, start)
            return rows
        n_resident = len(self._resident)
        if stop <= n_resident:
            rows = self._resident[start:stop]
            if not self._is_prepared.are_all(start, stop):
                self._fill(rows, start)
                self._is_prepared.put(start, stop)
            return rows
        rows = self._empty(stop - start)
        n_known = max(0, n_resident - start)
        if n_known:
            rows[:n_known] = self.between(start, n_resident)
        self._fill(rows[n_known:], start + n_known)
        return rows

    def keep_beside(self, *works: Callable[[], Any]) -> list[Any]:
        """Do some works, and prepare the rows that are kept, if they are all, on workers beside each other."""
        size = _PIECE_ROWS["cpu"]
        are_all_kept = self._borrowed is None and len(self._resident) == self.n_rows and self.device.type == "cpu"
        starts = range(0, self.n_rows, size) if are_all_kept else ()
        pieces = [partial(self.between, start, min(start + size, self.n_rows)) for start in starts]
        todo: list[Callable[[], Any]] = [*works, *pieces]
        return map_on(self.device, lambda work: work(), todo)[: len(works)]

    def take(self, row_idx: np.ndarray) -> Tensor:
        """Return the rows at `row_idx` (m,) int64, shape (m, d)."""
        if self.device.type != "cpu" or len(row_idx) <= _PIECE_ROWS["cpu"]:
            return self._take(row_idx)
        rows = self._empty(len(row_idx))

        def take(part: slice) -> None:
            rows[part] = self._take(row_idx[part])

        size = _PIECE_ROWS["cpu"]
        parallel_map(take, [slice(start, start + size) for start in range(0, len(row_idx), size)])
        return rows

    def _take(self, row_idx: np.ndarray) -> Tensor:
        if self._borrowed is not None:
            rows = self._borrowed.index_select(0, torch.from_numpy(row_idx).to(self.device))
        elif self._is_prepared.hold(row_idx):
            return self._resident.index_select(0, torch.from_numpy(row_idx).to(self.device))
        else:
            rows = self._prepare(self._read(row_idx))
        if not self.are_all_checked:
            self._refuse_bad(rows, row_idx)
        return rows

    def _fill(self, rows: Tensor, start: int) -> None:
        def fill(piece_and_where: tuple[Tensor, int]) -> None:
            piece, where = piece_and_where
            self._prepare(self._read(slice(where, where + len(piece))), out=piece)
            self._check(piece, where)

        size = _PIECE_ROWS[self.device.type]
        pieces = zip(rows.split(size), range(start, start + len(rows), size), strict=True)
        map_on(self.device, fill, pieces)

    def _check(self, rows: Tensor, start: int) -> None:
        """Note the norms of rows read for the first time, and refuse those that have none."""
        stop = start + len(rows)
        if self.norms.are_known.are_all(start, stop):
            return
        norms = torch.linalg.vector_norm(rows, dim=1)
        if not bool(torch.isfinite(norms.sum())):
            self._refuse_bad(rows, np.arange(start, stop))
        self.norms.half_squares[start:stop] = norms.square_().mul_(0.5)
        self.norms.are_known.put(start, stop)

    def _refuse_bad(self, rows: Tensor, row_idx: np.ndarray) -> None:
        """Raise for the first row of the pool that is not finite, if one of these is not."""
        if bool(torch.isfinite(rows).all()):
            return
        n_before = int(row_idx[~torch.isfinite(rows).all(dim=1).cpu().numpy()].min()) + 1
        for start in range(0, n_before, _PIECE_ROWS[self.device.type]):
            stop = min(start + _PIECE_ROWS[self.device.type], n_before)
            raw = self._read(slice(start, stop))
            prepared = self._prepare(raw)
            bad = ~torch.isfinite(prepared).all(dim=1)
            if bool(bad.any()):
                first = int(bad.nonzero()[0])
                row = self._first_row + start + first
                raise ValueError(
                    f"Input X contains {_what_is_wrong(raw[first], self.dtype)}: row {row} is the first such row. "
                    "Leave those rows out, or embed their images again."
                )

    def _empty(self, n_rows: int) -> Tensor:
        return empty_rows((n_rows, self.n_features), self.dtype, self.device)

    def _borrow(self) -> Tensor | None:
        """Use the caller's memory as it is where nothing would be changed on the way."""
        if self._normalize or self._shift is not None or self._factor != 1.0:
            return None
        X = self._X
        if isinstance(X, np.ndarray) and X.dtype == np.float32 and X.flags.c_contiguous and X.flags.writeable:
            X = torch.from_numpy(np.asarray(X))
        if not isinstance(X, Tensor) or X.device != self.device or X.dtype != self.dtype or not X.is_contiguous():
            return None
        borrowed: Tensor = X.detach()
        return borrowed

    def _read(self, where: Any) -> Tensor:
        if isinstance(self._X, Tensor):
            if isinstance(where, np.ndarray):
                where = torch.from_numpy(where).to(self._X.device)
            return self._X[where].detach().to(self.device).contiguous()
        rows = np.ascontiguousarray(self._X[where])
        if rows.dtype.kind not in "fiub" or rows.dtype.itemsize > 8:
            rows = rows.astype(np.float64)
        if not rows.flags.writeable or not rows.dtype.isnative:
            rows = rows.astype(rows.dtype.newbyteorder("="))
        tensor = torch.from_numpy(rows)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor

    def _prepare(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        if self._shift is not None:
            rows = rows.to(self._shift.dtype)
        elif not rows.is_floating_point() or rows.dtype.itemsize < 4:
            rows = rows.to(self.dtype) if out is None else out.copy_(rows)
        if self._normalize:
            is_done = out is not None and self._shift is None and self._factor == 1.0 and rows.dtype == self.dtype
            rows = unit_rows(rows, out if is_done else None)
        if self._shift is not None:
            rows = rows - self._shift
        if self._factor != 1.0:
            rows = rows * self._factor
        rows = rows.to(self.dtype).contiguous()
        return rows if out is None or out is rows else out.copy_(rows)


class Norms:
    """Half the squared norms of rows, noted as they are found to be finite; the same rows may share them."""

    def __init__(self, n_rows: int, dtype: torch.dtype, device: torch.device) -> None:
        self.half_squares = torch.empty(n_rows, dtype=dtype, device=device)
        self.are_known = _Marks(n_rows)


class _Marks:
    """A mark a row, put one stretch after the other, in any order."""

    def __init__(self, n_rows: int) -> None:
        self._is_marked = np.zeros(n_rows, dtype=bool)
        self._are_all = n_rows == 0

    def put(self, start: int, stop: int) -> None:
        self._is_marked[start:stop] = True

    def are_all(self, start: int = 0, stop: int | None = None) -> bool:
        if self._are_all:
            return True
        found = bool(self._is_marked[start:stop].all())
        if found and stop is None:
            self._are_all = True
        return found

    def hold(self, row_idx: np.ndarray) -> bool:
        """Say whether there are such rows and all of them are marked."""
        if len(row_idx) == 0 or row_idx.max() >= len(self._is_marked):
            return False
        return self.are_all() or bool(self._is_marked[row_idx].all())


def unit_rows(rows: Tensor, out: Tensor | None = None) -> Tensor:
    """L2-normalise each row of a float (m, d) tensor; zero rows stay zero. `out` may be the rows themselves."""
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    lowest, highest = _SAFE_NORMS
    doubtful = ~((norms > lowest) & (norms < highest)).flatten()
    if not bool(doubtful.any()):
        return torch.div(rows, norms, out=out)
    careful = rows[doubtful].to(torch.float64)
    result = torch.div(rows, norms, out=out)
    largest = careful.abs().amax(dim=1, keepdim=True) if careful.shape[1] else careful.new_ones(len(careful), 1)
    careful = careful / torch.where(largest > 0, largest, 1.0)
    careful_norms = torch.linalg.vector_norm(careful, dim=1, keepdim=True)
    result[doubtful] = (careful / torch.where(careful_norms > 0, careful_norms, 1.0)).to(rows.dtype)
    return result


def _what_is_wrong(raw_row: Tensor, dtype: torch.dtype) -> str:
    if bool(torch.isnan(raw_row).any()):
        return "NaN"
    if bool(torch.isinf(raw_row).any()):
        return "infinity"
    return f"infinity or a value too large for {str(dtype).removeprefix('torch.')}"
