"""Consecutive chunks as one, in the memory that they are in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["JoinedRows"]


class JoinedRows:
    """Rows of several arrays of shape (m_i, d), of which some are read at a time.

    A copy would take the memory twice for a moment, and bring mapped files into it.
    """

    def __init__(self, parts: Sequence[npt.NDArray[Any]]) -> None:
        self._parts = list(parts)
        self._bounds = np.array([0, *accumulate(len(part) for part in parts)])
        self.shape = int(self._bounds[-1]), int(parts[0].shape[1])
        self.dtype = parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, where: slice | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the rows of a slice without a step, a view where they are of one part; or those at some positions."""
        if isinstance(where, slice):
            start, stop, _ = where.indices(len(self))
            first = int(np.searchsorted(self._bounds, start, side="right")) - 1
            if first < len(self._parts) and stop <= self._bounds[first + 1]:
                return self._parts[first][start - self._bounds[first] : stop - self._bounds[first]]
            where = np.arange(start, stop)
        part_of_row = np.searchsorted(self._bounds, where, side="right") - 1
        rows = np.empty((len(where), self.shape[1]), dtype=self.dtype)
        for number in np.unique(part_of_row):
            is_here = part_of_row == number
            rows[is_here] = self._parts[number][where[is_here] - self._bounds[number]]
        return rows

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        rows: npt.NDArray[Any] = np.concatenate(self._parts)
        return rows if dtype is None else rows.astype(dtype, copy=False)

    def __sizeof__(self) -> int:  # by which dask knows what memory it takes
        return sum(part.nbytes for part in self._parts)
