"""Training on the labelled rows of a pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from skal._validation import has_fit_parameter, rows_of

__all__ = ["fit_on_labeled_rows"]


def fit_on_labeled_rows(classifier: Any, X: Any, labels: Any, labeled_idx: np.ndarray) -> Any:
    """Fit `classifier` on the rows `labeled_idx` of X, and hand it the whole pool where it can use one."""
    fit_params = {"X_unlabeled": X} if has_fit_parameter(classifier, "X_unlabeled") else {}
    return classifier.fit(rows_of(X, labeled_idx), labels, **fit_params)
