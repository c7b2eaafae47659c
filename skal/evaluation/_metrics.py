"""What a selection holds, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["category_counts", "category_coverage"]


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
    classes, class_of = np.unique(np.asarray(y), return_inverse=True)
    pool_idx = np.asarray(indices)
    if pool_idx.size and pool_idx.dtype.kind not in "iu":
        raise TypeError(f"indices must be row numbers; found {pool_idx.dtype}. For a mask, pass np.flatnonzero(mask).")
    outside = pool_idx[(pool_idx < 0) | (pool_idx >= len(class_of))]
    if outside.size:
        raise IndexError(f"indices holds {outside[0]}, which is not a row of the pool: y has {len(class_of)} entries.")
    return np.bincount(class_of[pool_idx.astype(np.int64)], minlength=len(classes)).astype(np.int64)


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
    return float(np.mean(category_counts(y, indices) > 0))
