"""What every estimator checks, and the only door to scikit-learn's private helpers."""

from skal._validation._checks import (
    BUDGET,
    DEVICE,
    OpenedRows,
    check_class_labels,
    check_pool,
    check_row_numbers,
    check_sample_weights,
    check_target_length,
    check_totals,
    resolve_budget,
    rows_of,
    working_memory_bytes,
)
from skal._validation._labels import labeled_rows
from skal._validation._missing import is_missing, minus_one_is_checked, missing_entries, warn_of_minus_one
from skal._validation._progress import Progress
from skal._validation._randomness import fixed_seed, local_generator, set_random_states
from skal._validation._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    callback_scope,
    column_or_1d,
    fit_context,
    has_fit_parameter,
    with_callbacks,
)

__all__ = [
    "BUDGET",
    "DEVICE",
    "CallbackSupportMixin",
    "HasMethods",
    "Integral",
    "Interval",
    "OpenedRows",
    "Progress",
    "Real",
    "StrOptions",
    "callback_scope",
    "check_class_labels",
    "check_pool",
    "check_row_numbers",
    "check_sample_weights",
    "check_target_length",
    "check_totals",
    "column_or_1d",
    "fit_context",
    "fixed_seed",
    "has_fit_parameter",
    "is_missing",
    "labeled_rows",
    "local_generator",
    "minus_one_is_checked",
    "missing_entries",
    "resolve_budget",
    "rows_of",
    "set_random_states",
    "warn_of_minus_one",
    "with_callbacks",
    "working_memory_bytes",
]
