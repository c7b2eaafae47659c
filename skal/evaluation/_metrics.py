"""What a selection holds, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._validation import check_row_numbers

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
        pool_idx = check_row_numbers(indices, len(self._class_of), "indices")
        return np.bincount(self._class_of[pool_idx], minlength=len(self._classes)).astype(np.int64)

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
    ValueError
        If an index is not a row of the pool, or the indices are a mask or not whole numbers.

    See Also
    --------
    category_coverage : The fraction of the classes that has a pick.
    skal.plotting.CategoryHistogramDisplay : Draws the counts.

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
    ValueError
        If an index is not a row of the pool, or the indices are a mask or not whole numbers.

    See Also
    --------
    category_counts : How many picks each class has.

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
