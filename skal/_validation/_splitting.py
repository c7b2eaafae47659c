"""Row numbers must not reach a fit through cross-validation, which divides X but not the numbers of its rows."""

from __future__ import annotations

import sys
from types import FrameType

import numpy as np

__all__ = ["refuse_row_numbers", "refuse_row_numbers_of_a_splitter"]

_PASSES_ON = ("sklearn", "imblearn", "joblib", "contextlib")
_INSTEAD = (
    "Pass a boolean mask of one entry a row, np.isin(np.arange(len(X)), labeled_indices), which is divided as X is."
)


def refuse_row_numbers(estimator: object, labeled_indices: np.ndarray) -> None:
    """Refuse row numbers where only a mask is safe.

    Raises
    ------
    ValueError
        If there are any.
    """
    if labeled_indices.dtype != bool and len(labeled_indices):
        raise ValueError(
            "labeled_indices holds row numbers. In cross-validation they would name other rows in each fold, so "
            f"{type(estimator).__name__} takes none beside an array y. {_INSTEAD}"
        )


def refuse_row_numbers_of_a_splitter(labeled_indices: np.ndarray) -> None:
    """Refuse row numbers that scikit-learn's cross-validation handed to the running fit.

    Raises
    ------
    ValueError
        If it did.
    """
    if labeled_indices.dtype != bool and len(labeled_indices) and _is_called_by_a_splitter():
        raise ValueError(
            "labeled_indices holds row numbers, and this fit is part of scikit-learn's cross-validation, where they "
            f"would name other rows in each fold. {_INSTEAD}"
        )


def _is_called_by_a_splitter() -> bool:
    """Look from the running fit outwards, as far as its arguments were only passed on."""
    frame: FrameType = sys._getframe(1)
    while frame.f_back is not None and _package(frame) in ("skal", "contextlib"):  # of this very fit
        frame = frame.f_back
    while frame.f_back is not None and _package(frame) in _PASSES_ON:
        if _module(frame).startswith("sklearn.model_selection"):
            return True
        frame = frame.f_back
    return False


def _package(frame: FrameType) -> str:
    return _module(frame).partition(".")[0]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))
