"""Facility location under a kernel that is at hand: what each row covers, and how well."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skal._core.greedy._objective import Objective

__all__ = ["SparseCoverage"]

# Less than this share of all that is covered is what rounding leaves of nothing.
_NEGLIGIBLE = 1e-12


class SparseCoverage(Objective):
    """``Σ_x max over picks s of k(s, x)`` over all rows x, of a kernel in the rows of a CSR array.

    Parameters
    ----------
    kernel : CSR array of shape (n, n)
        Not negative, with an entry in each row; row s holds what s covers.
    covered_by : int64 ndarray
        Rows that cover already, as if they had been picked.

    Notes
    -----
    Gains are computed in float64 and compared in float32, so that the last digits of a sum decide nothing: among
    gains that agree to seven digits, the lowest row wins.
    """

    gains_only_fall = True
    least_gain = 0.0

    def __init__(self, kernel: Any, covered_by: npt.NDArray[np.int64]) -> None:
        self.n_rows = kernel.shape[0]
        self._kernel = kernel
        self._coverage = np.zeros(self.n_rows)
        for row in covered_by.tolist():
            self.add(row)

    @property
    def value(self) -> float:
        """The sum that is maximised."""
        return float(self._coverage.sum())

    def gains(self, row_idx: np.ndarray) -> np.ndarray:
        """What each of some rows would add to the sum, (m,)."""
        starts = self._kernel.indptr[row_idx].astype(np.int64)
        sizes = self._kernel.indptr[row_idx + 1] - starts
        firsts = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) + np.repeat(starts - firsts, sizes)
        added = self._kernel.data[places] - self._coverage[self._kernel.indices[places]]
        gains = np.add.reduceat(np.maximum(added, 0.0, out=added), firsts)
        gains[gains <= _NEGLIGIBLE * (gains + self.value)] = 0.0
        comparable: np.ndarray = gains.astype(np.float32).astype(np.float64)
        return comparable

    def add(self, row: int) -> None:
        """Let a row cover what is like it."""
        entries = slice(self._kernel.indptr[row], self._kernel.indptr[row + 1])
        covered = self._kernel.indices[entries]
        self._coverage[covered] = np.maximum(self._coverage[covered], self._kernel.data[entries])
