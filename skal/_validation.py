"""What a pool, a budget and labelled rows may look like.

The only module that touches scikit-learn's private helpers, so that a new version of scikit-learn is
a change in one place.
"""

from __future__ import annotations

import math
from contextlib import nullcontext, suppress
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing, check_random_state, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions, validate_parameter_constraints
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    assert_all_finite,
    has_fit_parameter,
    validate_data,
)

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
    from sklearn.callback._callback_support import callback_management_context as callback_scope
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        pass

    def with_callbacks(method):  # type: ignore[no-redef]
        return method

    def callback_scope(estimator):  # type: ignore[no-redef]
        return nullcontext()


__all__ = [
    "BUDGET",
    "DEVICE",
    "CallbackSupportMixin",
    "HasMethods",
    "Integral",
    "Interval",
    "Progress",
    "Real",
    "StrOptions",
    "callback_scope",
    "check_class_labels",
    "check_labeled_indices",
    "check_pool",
    "check_sample_weights",
    "check_target_length",
    "check_totals",
    "column_or_1d",
    "fit_context",
    "fixed_seed",
    "has_fit_parameter",
    "local_generator",
    "resolve_budget",
    "rows_of",
    "set_random_states",
    "with_callbacks",
    "working_memory_bytes",
]

fit_context = _fit_context

BUDGET = [Interval(Integral, 1, None, closed="left"), Interval(RealNotInt, 0, 1, closed="right")]
DEVICE = [str, torch.device]


def check_pool(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check shape, dtype and feature names of a pool without reading or copying its values.

    Returns
    -------
    ndarray (a memmap stays mapped) or Tensor of shape (n, d)
        Finiteness is checked later, tile by tile.
    """
    if not isinstance(X, torch.Tensor):
        return validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False)
    if X.is_complex():
        raise ValueError(f"Complex data not supported: X is a tensor of {X.dtype}.")
    stand_in = np.broadcast_to(np.float32(0), tuple(X.shape))
    validate_data(estimator, stand_in, reset=reset, ensure_all_finite=False)
    return X.detach()


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
    if isinstance(values, torch.Tensor):
        return values[torch.from_numpy(indices).to(values.device)]
    return _safe_indexing(values if hasattr(values, "__getitem__") else np.asarray(values), indices)


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


def check_labeled_indices(labeled_indices: Any, n_samples: int) -> np.ndarray:
    """Turn indices or a mask into sorted distinct int64 row numbers."""
    if labeled_indices is None:
        return np.empty(0, dtype=np.int64)
    given = np.asarray(labeled_indices)
    if given.ndim != 1:
        raise ValueError(f"labeled_indices must be one-dimensional; found shape {given.shape}.")
    if given.dtype == bool:
        if len(given) != n_samples:
            raise ValueError(
                f"labeled_indices as a mask needs one entry a row: found {len(given)}, n_samples={n_samples}."
            )
        return np.flatnonzero(given)
    if len(given) == 0:
        return np.empty(0, dtype=np.int64)
    if given.dtype.kind not in "iu":
        raise ValueError(f"labeled_indices must hold row numbers or be a boolean mask; found dtype {given.dtype}.")
    outside = given[(given < 0) | (given >= n_samples)]
    if len(outside):
        raise ValueError(f"labeled_indices holds {outside[0]}, which is not a row of the pool: n_samples={n_samples}.")
    distinct, counts = np.unique(given, return_counts=True)
    if len(distinct) < len(given):
        raise ValueError(
            f"labeled_indices holds row {distinct[counts > 1][0]} more than once; pass each labelled row once."
        )
    return distinct.astype(np.int64)


def check_target_length(estimator: Any, X: Any, y: Any) -> None:
    """Refuse a missing `y`, or one of another length than `X`, without reading its values."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )
    if _num_samples(y) != X.shape[0]:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {X.shape[0]} rows and y has "
            f"{_num_samples(y)} entries; y needs one entry a row, of any value where nothing is labelled."
        )


def check_class_labels(y: Any) -> np.ndarray:
    """Check that `y` holds one class label an entry, none missing; return it as an array of shape (m,)."""
    labels = column_or_1d(np.asarray(y), warn=True)
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    if labels.dtype.kind == "O":
        labels = _check_label_objects(labels)
    # Twice each, as scikit-learn warns of a regression where more than half of the labels are distinct.
    check_classification_targets(np.repeat(np.unique(labels), 2))
    return labels


def _check_label_objects(labels: np.ndarray) -> np.ndarray:
    """Give labels kept as Python objects (beside None where nothing is labelled, say) their common dtype."""
    missing = [position for position, label in enumerate(labels) if label is None or label != label]
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
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is zero for every row; at least one row needs a positive weight.")
    return weights


def local_generator(random_state: Any) -> np.random.Generator:
    """A generator of its own for one fit, from scikit-learn's meaning of `random_state`."""
    seed = check_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(seed)


def fixed_seed(random_state: Any) -> int | None:
    """One seed for all parts of a fit: an int as it is, None as it is, else one drawn."""
    if random_state is None:
        return None
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def set_random_states(estimator: Any, random_state: Any) -> None:
    """Give every ``random_state`` of `estimator` and of its parts one seed: an int as it is, else one drawn."""
    if not isinstance(random_state, Integral):
        random_state = int(check_random_state(random_state).randint(2**31 - 1))
    names = [name for name in estimator.get_params() if name == "random_state" or name.endswith("__random_state")]
    estimator.set_params(**dict.fromkeys(names, random_state))


def working_memory_bytes() -> int:
    """Scikit-learn's ``working_memory`` (MiB, `sklearn.config_context`) in bytes."""
    return int(get_config()["working_memory"] * 2**20)


class Progress:
    """Steps of one fit, shown through scikit-learn's callbacks where they exist, and printed if verbose."""

    def __init__(self, estimator: Any, n_steps: int | None, step_name: str) -> None:
        self._estimator = estimator
        self._step_name = step_name
        self._context = None
        with suppress(AttributeError):  # scikit-learn < 1.9
            self._context = estimator._init_callback_context(max_subtasks=n_steps)
            self._context.call_on_fit_task_begin(estimator=estimator)

    def advance(self, step: int, figure: float, figure_name: str) -> None:
        if self._estimator.verbose:
            print(f"[{type(self._estimator).__name__}] {self._step_name} {step}: {figure_name} {figure:.6g}")
        if self._context is not None:
            task = self._context.subcontext(task_name=self._step_name)
            task.call_on_fit_task_begin(estimator=self._estimator)
            task.call_on_fit_task_end(estimator=self._estimator)

    def close(self) -> None:
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._estimator)
