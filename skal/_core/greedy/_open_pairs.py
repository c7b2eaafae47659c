"""Which rows a candidate could still cover better: few of them, once some rows are picked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["OpenPairs"]


class OpenPairs:
    """For some candidates, the rows to be covered at which they may add something, and their similarity there.

    Coverage only rises, so a row that is left out once may be left out for good. Were t random rows picked, a candidate
    would add something at one row in t + 1.

    Parameters
    ----------
    n_rows : int
        Candidates.
    most_pairs : int
        At most so many are kept; candidates beyond are not known.
    """

    def __init__(self, n_rows: int, most_pairs: int) -> None:
        self._starts = np.zeros(n_rows, dtype=np.int64)
        self._sizes = np.zeros(n_rows, dtype=np.int64)
        self._is_known = np.zeros(n_rows, dtype=bool)
        self._references = np.empty(0, dtype=np.int32)
        self._similarities = np.empty(0, dtype=np.float32)
        self._n_used = 0
        self._most_pairs = most_pairs

    def are_known(self, row_idx: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell of which candidates the rows are known, (m,)."""
        return self._is_known[row_idx]

    def references_of(self, row: int) -> npt.NDArray[np.int64]:
        """Return the rows at which a known candidate may add something."""
        start = self._starts[row]
        return self._references[start : start + self._sizes[row]].astype(np.int64)

    def put(
        self,
        row_idx: npt.NDArray[np.int64],
        positions: npt.NDArray[np.int64],
        references: npt.NDArray[np.int64],
        similarities: npt.NDArray[np.float32],
    ) -> None:
        """Keep the pairs of candidates that are not known yet, if there is room.

        Parameters
        ----------
        row_idx : int64 ndarray of shape (m,)
        positions : int64 ndarray of shape (p,)
            Which of `row_idx` each pair is of.
        references : int64 ndarray of shape (p,)
        similarities : float32 ndarray of shape (p,)
            No similarity is above them.
        """
        if not self._make_room(len(positions)):
            return
        order = np.argsort(positions.astype(np.min_scalar_type(len(row_idx))), kind="stable")
        new = slice(self._n_used, self._n_used + len(positions))
        self._references[new], self._similarities[new] = references[order], similarities[order]
        sizes = np.bincount(positions, minlength=len(row_idx))
        self._starts[row_idx] = self._n_used + np.cumsum(sizes) - sizes
        self._sizes[row_idx] = sizes
        self._is_known[row_idx] = True
        self._n_used = new.stop

    def put_all(
        self,
        row_idx: npt.NDArray[np.int32],
        references: npt.NDArray[np.int32],
        similarities: npt.NDArray[np.float32],
    ) -> None:
        """Keep the pairs of all candidates, one an entry; those that are not there add nothing."""
        order = np.argsort(row_idx.astype(np.min_scalar_type(len(self._sizes))), kind="stable")
        self._references, self._similarities = references[order], similarities[order]
        self._n_used = len(order)
        self._sizes = np.bincount(row_idx, minlength=len(self._sizes))
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._is_known[:] = True

    def upper_bounds(
        self, row_idx: npt.NDArray[np.int64], coverage: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Sum ``weight · max(similarity − coverage, 0)`` for known candidates, (m,), and forget pairs that add nothing.

        `coverage` and `weights` have an entry for each row that is to be covered.
        """
        sizes = self._sizes[row_idx]
        owners = np.repeat(np.arange(len(row_idx)), sizes)
        places = self._places(self._starts[row_idx], sizes)
        references = self._references[places]
        added = self._similarities[places] - coverage[references]
        is_open = added > 0
        left = np.bincount(owners[is_open], minlength=len(row_idx))
        kept = self._places(self._starts[row_idx], left)
        self._references[kept], self._similarities[kept] = references[is_open], self._similarities[places[is_open]]
        self._sizes[row_idx] = left
        added = added[is_open] * weights[references[is_open]]
        sums = np.bincount(owners[is_open], weights=added, minlength=len(row_idx))
        return sums.astype(np.float64, copy=False)

    def _make_room(self, n_more: int) -> bool:
        """Say whether so many pairs fit, after what was forgotten was cleared away or more memory was taken."""
        if self._n_used + n_more <= len(self._references):
            return True
        known = np.flatnonzero(self._is_known)
        n_kept = int(self._sizes[known].sum())
        if 2 * n_kept + n_more > self._most_pairs:
            return False
        n_pairs = min(self._most_pairs, 2 * (n_kept + n_more))
        places = self._places(self._starts[known], self._sizes[known])
        for name in ("_references", "_similarities"):
            old = getattr(self, name)
            new = np.empty(n_pairs, dtype=old.dtype)
            new[:n_kept] = old[places]
            setattr(self, name, new)
        self._starts[known] = np.cumsum(self._sizes[known]) - self._sizes[known]
        self._n_used = n_kept
        return True

    @staticmethod
    def _places(starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Numbers of the entries that so many from each start on have, (sizes.sum(),)."""
        places: npt.NDArray[np.int64] = np.arange(sizes.sum()) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
        return places
