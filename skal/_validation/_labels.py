"""Which rows are labelled already, from what a user can say: row numbers, a mask, or a partly labelled y."""

from __future__ import annotations

from typing import Any

import numpy as np

from skal._validation._checks import check_class_labels, check_row_numbers, check_target_length, rows_of
from skal._validation._missing import missing_entries
from skal._validation._splitting import refuse_row_numbers, refuse_row_numbers_of_a_splitter

__all__ = ["labeled_rows"]


def labeled_rows(
    estimator: Any,
    X: Any,
    y: Any,
    labeled_indices: Any,
    *,
    learns_from_labels: bool = False,
    takes_numbers: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Find the labelled rows and their labels.

    Where `labeled_indices` are given, y is read there and nowhere else. Where they are not, a y with missing
    entries (see `is_missing`) says both: a row is labelled where its entry is there. A y without a
    missing entry says nothing about what is labelled: it is the truth of a simulation.

    Parameters
    ----------
    estimator : object
        Named in errors.
    X : array-like of shape (n, d)
    y : array-like of shape (n,) or None
    labeled_indices : array-like of int, boolean mask of shape (n,) or None
    learns_from_labels : bool, default=False
        Refuse labelled rows without y.
    takes_numbers : bool, default=True
        False takes a mask only. Numbers that come through scikit-learn's cross-validation are always refused.

    Returns
    -------
    labeled_idx : ndarray of int64
        Sorted and distinct.
    labels : ndarray of shape (len(labeled_idx),) or None
        None where y is None or nothing is labelled.

    Raises
    ------
    ValueError
        If a label is missing at a labelled row, y has another length than X, the rows are not rows of X, or
        row numbers come where a mask must.
    """
    n_samples = X.shape[0]
    if y is not None:
        check_target_length(estimator, X, y)
    if labeled_indices is None:
        labeled_idx = _rows_with_an_entry(y)
    else:
        refuse_row_numbers_of_a_splitter(np.asarray(labeled_indices))
        if not takes_numbers:
            refuse_row_numbers(estimator, np.asarray(labeled_indices))
        rows = check_row_numbers(labeled_indices, n_samples, "labeled_indices", accept_mask=True, distinct=True)
        labeled_idx = np.sort(rows)
    if len(labeled_idx) == 0:
        return labeled_idx, None
    if y is None:
        if learns_from_labels:
            name = type(estimator).__name__
            raise ValueError(
                f"{len(labeled_idx)} rows are labelled, but y is None, and {name} learns from the labels. Pass "
                "y with their labels at those rows; elsewhere it may hold anything."
            )
        return labeled_idx, None
    return labeled_idx, check_class_labels(rows_of(y, labeled_idx))


def _rows_with_an_entry(y: Any) -> np.ndarray:
    """Rows of a partly labelled y whose entry is there; none where y has no gaps, or cannot have any."""
    is_missing = missing_entries(y)
    if is_missing is None or not is_missing.any():
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(~is_missing)
