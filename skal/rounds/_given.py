"""Labels that were there before the first round."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skal._validation import check_class_labels
from skal.rounds._labels import as_label
from skal.rounds._ledger import Ledger
from skal.rounds._records import Answer

__all__ = ["labels_in_order", "take_in"]


def labels_in_order(
    y: Any, labeled_indices: Any, labeled_idx: npt.NDArray[np.int64], labels: Any
) -> npt.NDArray[Any] | None:
    """Return the labels that go with an oracle, in the order of `labeled_idx`; None where there are none.

    Parameters
    ----------
    y : callable
    labeled_indices : array-like or None
        Indices or a mask, as the caller gave them: `labels` are in their order.
    labeled_idx : ndarray, int64
        The same, sorted.
    labels : array-like or None

    Raises
    ------
    ValueError
        If `labels` do not go with y and `labeled_indices`.
    """
    if not callable(y):
        raise ValueError("labels= goes with an oracle; an array y holds the labels of labeled_indices itself.")
    if labels is None:
        return None
    if len(labels) != len(labeled_idx):
        raise ValueError(_wrong_number(len(labeled_idx), str(len(labels))))
    if len(labels) == 0:
        return None
    indices = np.asarray(labeled_indices)
    order = np.arange(len(labeled_idx)) if indices.dtype == bool else np.argsort(indices)
    checked: npt.NDArray[Any] = check_class_labels(labels)[order]
    return checked


def take_in(
    ledger: Ledger, labeled_idx: npt.NDArray[np.int64], labels: npt.NDArray[Any] | None, *, has_oracle: bool
) -> npt.NDArray[np.int64]:
    """Record the labels of the rows that are labelled already; return the rows whose labels nobody knows.

    Raises
    ------
    ValueError
        If the ledger knows another label of such a row, or there is an oracle and nobody knows its label.
    """
    is_known = np.isin(labeled_idx, ledger.labeled_indices)
    if labels is None:
        if has_oracle and not is_known.all():
            raise ValueError(_wrong_number(len(labeled_idx), "none"))
        return labeled_idx[~is_known]
    for row, label in zip(labeled_idx[is_known].tolist(), labels[is_known], strict=True):
        current = ledger.current(row)
        if isinstance(current, Answer) and current.label != as_label(label):
            raise ValueError(
                f"Row {row} is {current.label!r} in the ledger and {as_label(label)!r} among the labels given now. "
                "Correct the ledger, ledger.answer(row, label), or leave the row out of labeled_indices."
            )
    ledger.answer(labeled_idx[~is_known], labels[~is_known], source="given")
    return labeled_idx[:0]


def _wrong_number(n_rows: int, found: str) -> str:
    return f"An oracle and {n_rows} labeled_indices need labels= with as many entries; found {found}."
