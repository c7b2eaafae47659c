"""What a selection holds, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["COVERAGE", "Categories", "category_counts", "category_coverage"]

COVERAGE = "coverage"


class Categories:
    """The classes of a pool, sorted once for many selections.

    Parameters
    ----------
    y : array-like of shape (n,)
    """

    def __init__(self, y: npt.ArrayLike) -> None:
        self._classes, self._class_of = np.unique(np.asarray(y), return_inverse=True)

    def counts(self, indices: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Count the picks of each class, shape (n_classes,)."""
        pool_idx = np.asarray(indices)
        if pool_idx.size and pool_idx.dtype.kind not in "iu":
            raise TypeError(
                f"indices must be row numbers; found {pool_idx.dtype}. For a mask, pass np.flatnonzero(mask)."
            )
        n_rows = len(self._class_of)
        outside = pool_idx[(pool_idx < 0) | (pool_idx >= n_rows)]
        if outside.size:
            raise IndexError(f"indices holds {outside[0]}, which is not a row of the pool: y has {n_rows} entries.")
        class_of_picks = self._class_of[pool_idx.astype(np.int64)]
        return np.bincount(class_of_picks, minlength=len(self._classes)).astype(np.int64)

    def coverage(self, indices: Sequence[int] | npt.NDArray[Any]) -> float:
        """Measure the fraction of the classes that the picks hold."""
        return float(np.mean(self.counts(indices) > 0))


def category_counts(y: npt.ArrayLike, indices: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Count the picks of each class.

    Parameters
    ----------
    y : array-like of shape (n,)
        The class of every row of the pool.
    indices : array-like of int of shape (n_picks,)
        The picked rows.

    Returns
    -------
    ndarray of shape (n_classes,), int64
        Picks of each class in y, classes in sorted order.

    Raises
    ------
    IndexError
        If an index is not a row of the pool.
    TypeError
        If the indices are a mask or not whole numbers.

    References
    ----------
    .. [1] Pourahmadi et al., "A Simple Baseline for Low-Budget Active Learning", Table 6b.

    Examples
    --------
    >>> from skal.evaluation import category_counts
    >>> category_counts(["cat", "dog", "dog", "owl"], [1, 2, 3])
    array([0, 2, 1])
    """
    return Categories(y).counts(indices)


def category_coverage(y: npt.ArrayLike, indices: Sequence[int] | npt.NDArray[Any]) -> float:
    """Measure the fraction of the classes that the picks hold.

    Parameters
    ----------
    y : array-like of shape (n,)
        The class of every row of the pool.
    indices : array-like of int of shape (n_picks,)
        The picked rows.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    IndexError
        If an index is not a row of the pool.
    TypeError
        If the indices are a mask or not whole numbers.

    References
    ----------
    .. [1] Pourahmadi et al., "A Simple Baseline for Low-Budget Active Learning", Tables 2, 3, 6a and 8.

    Examples
    --------
    >>> from skal.evaluation import category_coverage
    >>> category_coverage(["cat", "dog", "dog", "owl"], [1, 2])
    0.3333333333333333
    """
    return Categories(y).coverage(indices)
