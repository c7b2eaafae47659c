"""The one loop over a pool: any array, read as float tiles on a device.

Tiles have a fixed number of rows and start at absolute multiples of it. A memory budget decides
how many prepared tiles stay resident; it never moves their borders, so every result is the same
for every budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Pool", "Tile", "check_finite", "unit_rows"]

_TILE_ROWS = {"cpu": 2048, "cuda": 65536}
_SAFE_NORMS = (1e-15, 1e18)  # outside, the squares of float32 entries under- or overflow


class Tile(NamedTuple):
    """Consecutive rows ``start : start + len(rows)`` of a pool."""

    start: int
    rows: Tensor

    @property
    def slice(self) -> slice:
        return slice(self.start, self.start + len(self.rows))


class Pool:
    """Rows of `X` as tiles of one float dtype on a device.

    Parameters
    ----------
    X : ndarray, memmap or Tensor of shape (n, d)
        Any real dtype. It is never copied whole unless the copy fits in `resident_bytes`.
    device : torch.device
    normalize : bool
        L2-normalise each row; a zero row stays zero.
    resident_bytes : int
        How many bytes of prepared tiles may be kept between passes.
    shift : Tensor of shape (d,) or None
        Subtracted from each row before it is rounded to `dtype`. Distances do not change and
        lose no digits to a common offset.
    dtype : torch.dtype
        Of the tiles.
    tile_rows : int or None
        Rows a tile. None takes what suits one matrix product with all centers.

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
        dtype: torch.dtype = torch.float32,
        tile_rows: int | None = None,
    ) -> None:
        self.X = X
        self.device = device
        self.normalize = normalize
        self.shift = shift
        self.dtype = dtype
        self.n_rows, self.n_features = int(X.shape[0]), int(X.shape[1])
        self.tile_rows = tile_rows or _TILE_ROWS[device.type]
        self._borrowed = self._borrow()
        n_resident = 0
        if self._borrowed is None:
            bytes_per_row = max(1, self.n_features * torch.empty(0, dtype=dtype).element_size())
            fitting_rows = min(self.n_rows, resident_bytes // bytes_per_row)
            whole_pool_fits = fitting_rows == self.n_rows
            n_resident = fitting_rows if whole_pool_fits else fitting_rows - fitting_rows % self.tile_rows
        self._resident = self._empty(n_resident)
        self._prepared_rows = 0
        self._half_sq_norms = torch.empty(self.n_rows, dtype=dtype, device=device)
        self._checked_rows = 0

    def tiles(self) -> Iterator[Tile]:
        """Yield the pool once, in row order."""
        for where in self.tile_slices():
            yield Tile(where.start, self._tile(where.start, where.stop))

    def tile_slices(self) -> list[slice]:
        """Which rows each tile holds."""
        starts = range(0, self.n_rows, self.tile_rows)
        return [slice(start, min(start + self.tile_rows, self.n_rows)) for start in starts]

    def rows(self, indices: Any) -> Tensor:
        """Return the rows at `indices`, prepared exactly as in the tiles, shape (len(indices), d)."""
        idx = np.asarray(indices, dtype=np.int64)
        if self._borrowed is not None:
            return self._borrowed[torch.from_numpy(idx).to(self.device)]
        if len(idx) and idx.max() < self._prepared_rows:
            return self._resident[torch.from_numpy(idx).to(self.device)]
        return self._prepare(self._read(idx))

    @property
    def half_sq_norms(self) -> Tensor:
        """Half the squared norm of each prepared row, shape (n,); known once every tile has been read."""
        if self._checked_rows < self.n_rows:
            for _ in self.tiles():
                pass
        return self._half_sq_norms

    def _tile(self, start: int, stop: int) -> Tensor:
        if stop <= self._prepared_rows:
            return self._resident[start:stop]
        if self._borrowed is not None:
            rows = self._borrowed[start:stop]
            self._check(rows, start)
        else:
            stays = stop <= len(self._resident) and start == self._prepared_rows
            rows = self._resident[start:stop] if stays else self._empty(stop - start)
            self._fill(rows, start)
            if stays:
                self._prepared_rows = stop
        return rows

    def _fill(self, rows: Tensor, start: int) -> None:
        """Prepare the rows from `start` on into `rows`, in pieces that stay in cache on their way."""
        for piece in rows.split(_TILE_ROWS[self.device.type]):
            piece.copy_(self._prepare(self._read(slice(start, start + len(piece)))))
            self._check(piece, start)
            start += len(piece)

    def _check(self, rows: Tensor, start: int) -> None:
        """Note the norms of rows read for the first time, and refuse those that have none."""
        stop = start + len(rows)
        if stop <= self._checked_rows:
            return
        norms = torch.linalg.vector_norm(rows, dim=1)
        if not bool(torch.isfinite(norms.sum())):
            _refuse_bad_rows(self._read(slice(start, stop)), rows, start)
        self._half_sq_norms[start:stop] = norms.square_().mul_(0.5)
        self._checked_rows = stop

    def _empty(self, n_rows: int) -> Tensor:
        return torch.empty((n_rows, self.n_features), dtype=self.dtype, device=self.device)

    def _borrow(self) -> Tensor | None:
        """Use the caller's memory as it is where nothing would be changed on the way."""
        if self.normalize or self.shift is not None:
            return None
        X = self.X
        if isinstance(X, np.ndarray) and X.dtype == np.float32 and X.flags.c_contiguous and X.flags.writeable:
            X = torch.from_numpy(np.asarray(X))
        if not isinstance(X, Tensor) or X.device != self.device or X.dtype != self.dtype or not X.is_contiguous():
            return None
        borrowed: Tensor = X.detach()
        return borrowed

    def _read(self, where: Any) -> Tensor:
        if isinstance(self.X, Tensor):
            if isinstance(where, np.ndarray):
                where = torch.from_numpy(where).to(self.X.device)
            return self.X[where].detach().to(self.device).contiguous()
        rows = np.ascontiguousarray(self.X[where])
        if rows.dtype.kind not in "fiub" or rows.dtype.itemsize > 8:
            rows = rows.astype(np.float64)
        if not rows.flags.writeable or not rows.dtype.isnative:
            rows = rows.astype(rows.dtype.newbyteorder("="))
        tensor = torch.from_numpy(rows)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor

    def _prepare(self, rows: Tensor) -> Tensor:
        if not rows.is_floating_point() or rows.dtype.itemsize < 4:
            rows = rows.to(self.dtype if self.shift is None else self.shift.dtype)
        if self.normalize:
            rows = unit_rows(rows)
        if self.shift is not None:
            rows = rows.to(self.shift.dtype) - self.shift
        return rows.to(self.dtype).contiguous()


def unit_rows(rows: Tensor) -> Tensor:
    """L2-normalise each row of a float (m, d) tensor; zero rows stay zero."""
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    lowest, highest = _SAFE_NORMS
    doubtful = ~((norms > lowest) & (norms < highest)).flatten()
    if not bool(doubtful.any()):
        return rows / norms
    result = rows / norms
    careful = rows[doubtful].to(torch.float64)
    largest = careful.abs().amax(dim=1, keepdim=True) if careful.shape[1] else careful.new_ones(len(careful), 1)
    careful = careful / torch.where(largest > 0, largest, 1.0)
    careful_norms = torch.linalg.vector_norm(careful, dim=1, keepdim=True)
    result[doubtful] = (careful / torch.where(careful_norms > 0, careful_norms, 1.0)).to(rows.dtype)
    return result


def _refuse_bad_rows(raw: Tensor, prepared: Tensor, start: int) -> None:
    """Raise for the first row that is not finite; return if only the sum over the tile overflowed."""
    bad = ~torch.isfinite(prepared).all(dim=1)
    if not bool(bad.any()):
        return
    row = int(bad.nonzero()[0])
    if bool(torch.isnan(raw[row]).any()):
        what = "NaN"
    elif bool(torch.isinf(raw[row]).any()):
        what = "infinity"
    else:
        what = f"infinity or a value too large for {str(prepared.dtype).removeprefix('torch.')}"
    raise ValueError(
        f"Input X contains {what}: row {start + row} is the first such row. "
        "Leave those rows out, or embed their images again."
    )


def check_finite(X: Any) -> None:
    """Pass over X once, tile by tile, and raise for the first row with NaN or infinity."""
    for _ in Pool(X, torch.device("cpu")).tiles():
        pass
