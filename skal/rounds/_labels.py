"""What a label may be, and the one dtype of many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._validation import is_missing as missing_label

__all__ = ["Label", "LabelsByRow", "as_label", "is_missing", "labels_array", "shortened", "written_out"]

Label = bool | int | float | str

_EXACT_IN_FLOAT64 = 2**53


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for a label that is not known: None, NaN, ``pandas.NA`` or a masked entry."""
    return missing_label(value) or missing_label(_scalar(value))


def as_label(value: Any) -> Label:
    """Return a label as Python's own bool, int, float or str, so that a file keeps its type.

    Raises
    ------
    TypeError
        If it is nothing of that, nor a scalar of numpy or torch that stands for it.
    """
    scalar = _scalar(value)
    if isinstance(scalar, (bool, int)):
        return bool(scalar) if isinstance(scalar, bool) else int(scalar)
    if isinstance(scalar, (float, np.floating)) and math.isfinite(scalar):
        return float(scalar)
    if isinstance(scalar, str):
        return str.__str__(scalar)
    raise TypeError(f"{shortened(value)} is no label; a label is an int, a str, a bool or a finite float.")


def labels_array(labels: Sequence[Label]) -> npt.NDArray[Any]:
    """Put labels into one array, none of them changed.

    Labels of one type have that type's dtype (int64, float64, bool, ``<U…``), int beside float has float64, and
    anything else (text beside numbers, integers beyond the dtype) stays as Python objects. No labels: int64.
    """
    kinds = {type(label) for label in labels}
    if kinds <= {int}:
        return np.array(labels, dtype=np.int64 if _fit_int64(labels) else object)
    if kinds == {int, float} and all(abs(label) <= _EXACT_IN_FLOAT64 for label in labels if isinstance(label, int)):
        return np.array(labels, dtype=np.float64)
    return np.array(labels, dtype=None if len(kinds) == 1 else object)


def shortened(value: Any, n_characters: int = 60) -> str:
    """Write a value out for a message."""
    text = repr(value)
    return text if len(text) <= n_characters else f"{text[: n_characters - 1]}…"


def written_out(value: Any) -> str:
    """Write a value out in full; numpy would leave out the middle of a long array."""
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    return repr(value.tolist() if hasattr(value, "tolist") else value)


def _scalar(value: Any) -> Any:
    """Take a scalar of numpy or torch out of its box."""
    is_boxed = getattr(value, "ndim", None) == 0 and not isinstance(value, np.floating)  # longdouble stays boxed
    return value.item() if is_boxed else value


class LabelsByRow:
    """A target for a pool of which few rows are labelled: one entry a row, None where nothing is known.

    Parameters
    ----------
    known : mapping of row to label
    n_samples : int
        Rows of the pool.
    """

    def __init__(self, known: Mapping[int, Label], n_samples: int) -> None:
        self._known = known
        self.shape = (n_samples,)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, where: Any) -> Any:
        """Return the label of a row, or those of several, an object array."""
        where = where[0] if isinstance(where, tuple) else where
        if isinstance(where, slice):
            where = np.arange(len(self))[where]
        rows = np.asarray(where)
        if rows.ndim == 0:
            return self._known.get(int(rows) % len(self))
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        labels = np.empty(len(rows), dtype=object)
        labels[:] = [self._known.get(row % len(self)) for row in rows.tolist()]
        return labels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Give all entries, for who needs them at once: n objects."""
        labels = np.full(len(self), None, dtype=object)
        for row, label in self._known.items():
            labels[row] = label
        return labels if dtype is None else labels.astype(dtype)


def _fit_int64(labels: Sequence[Any]) -> bool:
    bounds = np.iinfo(np.int64)
    return all(bounds.min <= label <= bounds.max for label in labels)
