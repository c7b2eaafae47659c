"""What a pool, a budget and labelled rows may look like."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse
import torch

from skal._core.blocks import ChunkedRows
from skal._dask._collections import is_dask_collection
from skal._validation._missing import is_missing
from skal._validation._sklearn import (
    Integral,
    Interval,
    RealNotInt,
    assert_all_finite,
    check_classification_targets,
    check_weights_of_samples,
    column_or_1d,
    get_config,
    num_samples,
    safe_indexing,
    validate_data,
    validate_parameter_constraints,
)

__all__ = [
    "BUDGET",
    "DEVICE",
    "OpenedRows",
    "check_class_labels",
    "check_pool",
    "check_row_numbers",
    "check_sample_weights",
    "check_target_length",
    "check_totals",
    "refuse_chunks",
    "resolve_budget",
    "rows_of",
    "working_memory_bytes",
]

BUDGET = [Interval(Integral, 1, None, closed="left"), Interval(RealNotInt, 0, 1, closed="right")]
DEVICE = [str, torch.device]


class OpenedRows:
    """Rows that were checked when they were opened: what `skal.pool.Pool` is to the checks."""

    source: Any  # what the user passed, of shape (n, d)
    rows: Any  # the same as an ndarray, Tensor or ChunkedRows

    @property
    def header(self) -> Any:
        """Something with the source's columns and no cost, for scikit-learn to look at."""
        if hasattr(self.source, "iloc"):
            return self.source.iloc[:0]
        return np.broadcast_to(np.float32(0), tuple(self.rows.shape))


def check_pool(estimator: Any, X: Any, *, reset: bool, takes_chunks: bool | None = None) -> Any:
    """Check shape, dtype and feature names of a pool without reading or copying its values.

    Parameters
    ----------
    estimator : object
        Learns the columns.
    X : array-like of shape (n, d), dask array or OpenedRows
    reset : bool
        Whether these are the columns to learn, or must be those that were learned.
    takes_chunks : bool, default=None
        Whether a dask array is taken. None asks the estimator's `_takes_chunks`.

    Returns
    -------
    ndarray (a memmap stays mapped), Tensor or ChunkedRows of shape (n, d)
        Finiteness is checked later, tile by tile.
    """
    refuse_chunks(estimator, X, takes_chunks)
    if is_dask_collection(X):
        return _check_chunks(estimator, X, reset)
    if isinstance(X, OpenedRows):
        validate_data(estimator, X.header, reset=reset, skip_check_array=True)
        return X.rows
    is_strided = not isinstance(X, torch.Tensor) or X.layout == torch.strided
    if scipy.sparse.issparse(X) or not is_strided:
        raise TypeError(
            f"Sparse data was passed for X, of shape {tuple(X.shape)}, and dense rows are needed. Embed it first, "
            "as in sklearn.decomposition.TruncatedSVD(100).fit_transform(X), or pass X.toarray() if that is small."
        )
    if not isinstance(X, torch.Tensor):
        return validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False)
    if X.is_complex():
        raise ValueError(f"Complex data not supported: X is a tensor of {X.dtype}.")
    stand_in = np.broadcast_to(np.float32(0), tuple(X.shape))
    validate_data(estimator, stand_in, reset=reset, ensure_all_finite=False)
    return X.detach()


def refuse_chunks(estimator: Any, X: Any, takes_chunks: bool | None = None) -> None:
    """Refuse a pool in chunks where all rows are needed at once; the parameters are those of `check_pool`.

    Raises
    ------
    TypeError
        If X is one, before anything of it is read.
    """
    is_in_chunks = is_dask_collection(X) or (isinstance(X, OpenedRows) and isinstance(X.rows, ChunkedRows))
    takes_chunks = getattr(estimator, "_takes_chunks", False) if takes_chunks is None else takes_chunks
    if is_in_chunks and not takes_chunks:
        raise TypeError(
            f"{type(estimator).__name__} needs its rows in memory, and X is in chunks, of shape {tuple(X.shape)}: pass "
            "X.compute() if it fits, or some of its rows. The samplers that take a dask array have takes_chunks=True "
            "in skal.registry.samplers()."
        )


def _check_chunks(estimator: Any, X: Any, reset: bool) -> ChunkedRows:
    from skal._dask._rows import DaskRows  # dask is there, or X would be something else

    rows = DaskRows(X)
    stand_in = np.broadcast_to(np.float32(0), rows.shape)
    validate_data(estimator, stand_in, reset=reset, ensure_all_finite=False)
    return rows


def resolve_budget(budget: int | float, n_samples: int, n_labeled: int = 0) -> int:
    """Turn a budget (rows, or a share of the pool) into a number of rows that the pool can give."""
    if not isinstance(budget, Integral):
        budget = max(1, math.floor(round(budget * n_samples, 9)))
    n_available = n_samples - n_labeled
    if budget > n_available:
        raise ValueError(
            f"budget={budget} is more than the {n_available} rows the pool can give: n_samples={n_samples}, "
            f"of which {n_labeled} are labelled already. Lower the budget or pass a larger pool."
        )
    return int(budget)


def rows_of(values: Any, indices: np.ndarray) -> Any:
    """Take the entries of an array, frame, series, list or tensor at `indices`, as the same kind of object."""
    if isinstance(values, OpenedRows):
        values = values.rows if isinstance(values.rows, ChunkedRows) else values.source
    if isinstance(values, ChunkedRows):
        return values[indices]
    if is_dask_collection(values):
        return np.asarray(values[indices])
    if isinstance(values, torch.Tensor):
        return values[torch.from_numpy(indices).to(values.device)]
    return safe_indexing(values if hasattr(values, "__getitem__") else np.asarray(values), indices)


def check_totals(estimator: Any, budgets: Any, n_samples: int) -> list[int]:
    """Turn cumulative budgets (rows, or shares of the pool) into ascending numbers of rows."""
    if len(budgets) == 0:
        raise ValueError("budgets is empty; give at least one total.")
    for budget in budgets:
        validate_parameter_constraints({"budgets": BUDGET}, {"budgets": budget}, caller_name=type(estimator).__name__)
    totals = [resolve_budget(budget, n_samples) for budget in budgets]
    if totals != sorted(totals):
        raise ValueError(f"budgets={budgets!r} must ascend: they are totals, those of earlier rounds included.")
    return totals


def check_row_numbers(
    rows: Any, n_samples: int | None, name: str, *, accept_mask: bool = False, distinct: bool = False
) -> np.ndarray:
    """Check numbers of rows of a pool; return them as int64, in the order given.

    Parameters
    ----------
    rows : array-like of int, or boolean mask of shape (n_samples,)
    n_samples : int or None
        None where the pool is not known yet.
    name : str
        What the caller's user knows them by.
    accept_mask : bool, default=False
    distinct : bool, default=False
        Refuse a row that occurs twice.

    Raises
    ------
    ValueError
        If they are not row numbers of the pool.
    """
    given = np.asarray(rows)
    if given.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional; found shape {given.shape}.")
    if given.dtype == bool:
        return _rows_of_mask(given, n_samples, name, accept_mask)
    if len(given) == 0:
        return np.empty(0, dtype=np.int64)
    if given.dtype.kind not in "iu":
        allowed = "row numbers or be a boolean mask" if accept_mask else "row numbers"
        raise ValueError(f"{name} must hold {allowed}; found dtype {given.dtype}.")
    outside = given[(given < 0) | (given >= (np.inf if n_samples is None else n_samples))]
    if len(outside):
        of_pool = "" if n_samples is None else f": n_samples={n_samples}"
        raise ValueError(f"{name} holds {outside[0]}, which is not a row of the pool{of_pool}.")
    if distinct:
        values, counts = np.unique(given, return_counts=True)
        if len(values) < len(given):
            raise ValueError(f"{name} holds row {values[counts > 1][0]} more than once; pass each row once.")
    return given.astype(np.int64)


def _rows_of_mask(mask: np.ndarray, n_samples: int | None, name: str, accept_mask: bool) -> np.ndarray:
    if not accept_mask:
        raise ValueError(f"{name} is a boolean mask; pass row numbers: np.flatnonzero(mask).")
    if len(mask) != n_samples:
        raise ValueError(f"{name} as a mask needs one entry a row: found {len(mask)}, n_samples={n_samples}.")
    return np.flatnonzero(mask)


def check_target_length(estimator: Any, X: Any, y: Any) -> None:
    """Refuse a missing `y`, or one of another length than `X`, without reading its values."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )
    if num_samples(y) != X.shape[0]:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {X.shape[0]} rows and y has "
            f"{num_samples(y)} entries; y needs one entry a row, of any value where nothing is labelled."
        )


def check_class_labels(y: Any) -> np.ndarray:
    """Check that `y` holds one class label an entry, none missing; return it as an array of shape (m,)."""
    if isinstance(y, np.ma.MaskedArray):
        y = np.where(np.ma.getmaskarray(y), np.array(None), y.data) if np.ma.is_masked(y) else y.data
    as_they_are = np.array(y, dtype=object) if isinstance(y, (list, tuple)) else np.asarray(y)  # [1, "a"] stays mixed
    labels = column_or_1d(as_they_are, warn=True)
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    if labels.dtype.kind == "O":
        labels = _check_label_objects(labels)
    # Twice each, as scikit-learn warns of a regression where more than half of the labels are distinct.
    check_classification_targets(np.repeat(np.unique(labels), 2))
    return labels


def _check_label_objects(labels: np.ndarray) -> np.ndarray:
    """Give labels kept as Python objects (beside None where nothing is labelled, say) their common dtype."""
    missing = [position for position, label in enumerate(labels) if is_missing(label)]
    if missing:
        raise ValueError(
            f"Input y contains NaN or None among the labelled rows, first at position {missing[0]} of them."
        )
    is_text = [isinstance(label, str) for label in labels]
    if all(is_text):
        return labels
    if any(is_text):
        raise ValueError("y mixes text and numbers among the labelled rows; give every class one kind of name.")
    return np.array(labels.tolist())


def check_sample_weights(sample_weight: Any, X: Any) -> np.ndarray:
    """One finite weight ≥ 0 a row, float64, not all zero."""
    weights = check_weights_of_samples(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is zero for every row; at least one row needs a positive weight.")
    return weights


def working_memory_bytes() -> int:
    """Scikit-learn's ``working_memory`` (MiB, `sklearn.config_context`) in bytes."""
    return int(get_config()["working_memory"] * 2**20)
