"""The rows that Core-set is defined by: as given, in float64, on the host."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skal._core.blocks import Blocks

__all__ = ["ExactRows", "unit_rows_in_float64"]

_SAFE_NORMS = (1e-140, 1e140)  # outside, squares of float64 entries may under- or overflow


class ExactRows:
    """Rows of a pool in float64, whatever device and precision proposes.

    Parameters
    ----------
    raw : Blocks of shape (n, d), float64, on the CPU
        The rows as given.
    normalize : bool
        L2-normalise each row in float64.
    factor : float
        Each row is multiplied by it, a power of two: the scale of the float32 rows that are compared with these.
    """

    def __init__(self, raw: Blocks, *, normalize: bool, factor: float = 1.0) -> None:
        self.n_rows, self.n_features = raw.n_rows, raw.n_features
        self._raw = raw
        self._normalize = normalize
        self._factor = factor

    def take(self, row_idx: np.ndarray) -> np.ndarray:
        """Return some rows, float64 of shape (len(row_idx), d), C-contiguous."""
        return self._prepare(self._raw.take(row_idx).numpy())

    def tiles(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, some at a time."""
        for tile in self._raw.tiles():
            yield self._prepare(tile.rows.numpy())

    def _prepare(self, rows: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(rows)
        if self._normalize:
            return unit_rows_in_float64(rows)
        return rows if self._factor == 1.0 else rows * self._factor


def unit_rows_in_float64(rows: np.ndarray) -> np.ndarray:
    """Divide each row of a float64 (m, d) array by its ``numpy.linalg.norm``; zero rows stay zero.

    Rows whose squares under- or overflow are multiplied by a power of two first, which changes no digit.
    """
    with np.errstate(over="ignore"):
        norms: np.ndarray = np.linalg.norm(rows, axis=1, keepdims=True)
    lowest, highest = _SAFE_NORMS
    doubtful = ~((norms > lowest) & (norms < highest)).ravel()
    if doubtful.any():
        rows, norms = rows.copy(), norms.copy()
        _, exponents = np.frexp(np.abs(rows[doubtful]).max(axis=1, initial=0.0, keepdims=True))
        rows[doubtful] = np.ldexp(rows[doubtful], -exponents)
        norms[doubtful] = np.linalg.norm(rows[doubtful], axis=1, keepdims=True)
        norms[norms == 0] = 1.0
    unit_rows: np.ndarray = rows / norms
    return unit_rows
