"""The only door to scikit-learn's private helpers: a new version of scikit-learn is a change in this file."""

from __future__ import annotations

from contextlib import nullcontext
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing, check_random_state, column_or_1d
from sklearn.utils._param_validation import (
    HasMethods,
    Options,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._param_validation import Interval as _Interval
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
    "CallbackSupportMixin",
    "HasMethods",
    "Integral",
    "Interval",
    "Options",
    "Real",
    "RealNotInt",
    "StrOptions",
    "assert_all_finite",
    "callback_scope",
    "check_classification_targets",
    "check_random_state",
    "check_weights_of_samples",
    "column_or_1d",
    "fit_context",
    "get_config",
    "has_fit_parameter",
    "is_number",
    "num_samples",
    "safe_indexing",
    "validate_data",
    "validate_parameter_constraints",
    "with_callbacks",
]


def is_number(value: Any, kind: type = Real) -> bool:
    """Tell a number of some kind from True and False, which are ints to Python and a slip where a number is meant."""
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_))


class Interval(_Interval):
    """Scikit-learn's constraint, without True and False."""

    def is_satisfied_by(self, val: Any) -> bool:
        return is_number(val) and super().is_satisfied_by(val)


fit_context = _fit_context
safe_indexing = _safe_indexing
num_samples = _num_samples
check_weights_of_samples = _check_sample_weight
