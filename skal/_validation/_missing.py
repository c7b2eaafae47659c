"""Which values mean "no label": None, NaN, pandas.NA and masked entries, everywhere the same, and nothing else.

-1 is a class. Where it looks like somebody's mark for "no label", one warning says what to put there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch

from skal._warnings import warn_user

__all__ = ["is_missing", "minus_one_is_checked", "missing_entries", "warn_of_minus_one"]

_MINUS_ONE = (
    "-1 is among the labels and counts as a class like any other. If it marks rows without a label, put None or NaN "
    "there, or say with labeled_indices which rows are labelled. (If it is a class of yours: a classifier whose "
    "classes= list it does not warn.)"
)

_is_checked = ContextVar("minus_one_is_checked", default=False)


def is_missing(value: Any) -> bool:
    """None, NaN, pandas.NA and a masked entry; pandas.NA refuses to be compared with itself."""
    if value is None or value is np.ma.masked:
        return True
    is_equal = value == value
    return not is_equal if isinstance(is_equal, (bool, np.bool_)) else type(value).__name__ == "NAType"


def missing_entries(y: Any) -> np.ndarray | None:
    """Mask of the entries that hold no label, shape (n,); None for what cannot have any or is not an array."""
    if hasattr(y, "isna"):  # a pandas series or extension array
        return np.asarray(y.isna(), dtype=bool)
    if isinstance(y, torch.Tensor):
        return torch.isnan(y).cpu().numpy() if y.is_floating_point() else None
    if not isinstance(y, (np.ndarray, list, tuple)):
        return None
    is_masked = np.ma.getmaskarray(y) if isinstance(y, np.ma.MaskedArray) else None
    values = np.asarray(y)
    if values.ndim != 1:
        return None
    if values.dtype.kind == "f":
        has_none = np.isnan(values)
    elif values.dtype.kind == "O":
        has_none = np.array([is_missing(value) for value in values], dtype=bool)
    else:
        return is_masked
    return has_none if is_masked is None else has_none | is_masked


def warn_of_minus_one(labels: np.ndarray, classes: Any = None) -> None:
    """Warn where -1 is beside classes from 0 on, or alone: it may stand for rows without a label.

    It is a class where the classes are -1 and 1, where others are negative too, and where `classes` lists it.
    """
    if _is_checked.get() or labels.dtype.kind not in "if" or len(labels) == 0 or labels.min() != -1:
        return
    if set(np.unique(labels).tolist()) == {-1, 1}:
        return
    if classes is not None and -1 in np.asarray(classes).tolist():
        return
    warn_user(_MINUS_ONE)


@contextmanager
def minus_one_is_checked() -> Iterator[None]:
    """Keep the fits within from warning again of labels that their caller looks at itself."""
    token = _is_checked.set(True)
    try:
        yield
    finally:
        _is_checked.reset(token)
