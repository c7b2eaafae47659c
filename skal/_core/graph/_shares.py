"""What every row of a pool thinks of each class: all of it, or the classes it thinks most of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._core.graph._propagation import ClassBlock

__all__ = ["ClassShares"]

_KEPT = 16


class ClassShares:
    """Shares of the classes at each row, adding up to 1; all 0 where nothing is known of a row.

    Parameters
    ----------
    n_rows, n_classes : int
    max_bytes : int
        Where float64 of n_rows × n_classes take more, the 16 largest scores of each row are kept, and the other
        classes have no share.
    """

    def __init__(self, n_rows: int, n_classes: int, max_bytes: int) -> None:
        self.n_classes = n_classes
        self.is_whole = 8 * n_rows * n_classes <= max_bytes or n_classes <= _KEPT
        self._values = np.full((n_rows, n_classes if self.is_whole else _KEPT), -np.inf)
        self._classes = np.zeros((n_rows, 0 if self.is_whole else _KEPT), dtype=np.int32)

    def fill(self, blocks: Iterable[ClassBlock], class_weights: npt.NDArray[np.float64]) -> None:
        """Take the scores of all classes, each multiplied by its weight, from the lowest of the row or 0 upwards."""
        lowest = np.zeros(len(self._values))
        for block in blocks:
            scores = block.scores * class_weights[block.classes]
            lowest[block.rows] = np.minimum(lowest[block.rows], scores.min(axis=1))
            self._keep(block.rows, block.classes, scores)
        self._values -= lowest[:, None]
        np.maximum(self._values, 0.0, out=self._values)
        self._make_shares()

    def fill_sparsely(self, scores: Any, class_weights: npt.NDArray[np.float64]) -> None:
        """Take scores that are not negative from a CSR array of shape (n_rows, n_classes), the others being 0."""
        weighted = scores.astype(np.float64)
        weighted.data *= class_weights[weighted.indices]
        row_of = np.repeat(np.arange(len(self._values)), np.diff(weighted.indptr))
        order = np.lexsort((weighted.indices, -weighted.data, row_of))
        place = np.arange(len(order)) - weighted.indptr[row_of]
        is_kept = place < self._values.shape[1]
        rows, places, kept = row_of[is_kept], place[is_kept], order[is_kept]
        self._values[:] = 0.0
        if self.is_whole:
            self._values[rows, weighted.indices[kept]] = weighted.data[kept]
        else:
            self._values[rows, places] = weighted.data[kept]
            self._classes[rows, places] = weighted.indices[kept]
        self._make_shares()

    def _make_shares(self) -> None:
        total = self._values.sum(axis=1, keepdims=True)
        self._values /= np.where(total > 0, total, 1.0)

    def _keep(self, rows: slice | npt.NDArray[np.int64], classes: slice, scores: npt.NDArray[np.float64]) -> None:
        if self.is_whole:
            self._values[rows, classes] = scores
            return
        numbers = np.broadcast_to(np.arange(classes.start, classes.stop, dtype=np.int32), scores.shape)
        if classes.start > 0:
            scores, numbers = np.hstack([self._values[rows], scores]), np.hstack([self._classes[rows], numbers])
        n_kept = min(_KEPT, scores.shape[1])
        places = np.argpartition(-scores, n_kept - 1, axis=1)[:, :n_kept]
        self._values[rows, :n_kept] = np.take_along_axis(scores, places, axis=1)
        self._classes[rows, :n_kept] = np.take_along_axis(numbers, places, axis=1)

    def unknown_rows(self) -> npt.NDArray[np.int64]:
        """Return the rows of which nothing is known."""
        return np.flatnonzero(~(self._values > 0).any(axis=1))

    def decide(self, row_idx: npt.NDArray[np.int64], classes: npt.NDArray[np.int64]) -> None:
        """Give rows a class each, for sure."""
        self._values[row_idx] = 0.0
        if self.is_whole:
            self._values[row_idx, classes] = 1.0
        else:
            self._values[row_idx, 0] = 1.0
            self._classes[row_idx, 0] = classes

    def winners(self) -> npt.NDArray[np.int64]:
        """Return the class of the largest share of each row, of equal ones the first, (n,)."""
        if self.is_whole:
            found: npt.NDArray[np.int64] = self._values.argmax(axis=1)
            return found
        is_largest = self._values == self._values.max(axis=1, keepdims=True)
        first: npt.NDArray[np.int64] = np.where(is_largest, self._classes, self.n_classes).min(axis=1).astype(np.int64)
        return first

    def of(self, row_idx: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the shares of all classes at some rows, (m, n_classes)."""
        if self.is_whole:
            found: npt.NDArray[np.float64] = self._values[row_idx]
            return found
        shares = np.zeros((len(row_idx), self.n_classes))
        rows, places = np.nonzero(self._values[row_idx] > 0)  # a place that was never filled holds 0
        shares[rows, self._classes[row_idx[rows], places]] = self._values[row_idx[rows], places]
        return shares

    def mixed(self, row_idx: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return means of the shares at rows (m, k) by weights of the same shape, (m, n_classes)."""
        mixture = np.zeros((len(row_idx), self.n_classes))
        for place in range(row_idx.shape[1]):
            mixture += weights[:, place, None] * self.of(row_idx[:, place])
        mixture /= weights.sum(axis=1, keepdims=True)
        return mixture
