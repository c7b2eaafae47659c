"""Training on the labelled rows of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skal._validation import has_fit_parameter, rows_of
from skal.classifiers._linear_probe import LinearProbe, fit_linear_probes

__all__ = ["fit_each_on_labeled_rows", "fit_on_labeled_rows", "trains_stacked"]


def fit_on_labeled_rows(classifier: Any, X: Any, labels: Any, labeled_idx: np.ndarray) -> Any:
    """Fit `classifier` on the rows `labeled_idx` of X, and hand it the whole pool where it can use one."""
    fit_params = {"X_unlabeled": X} if has_fit_parameter(classifier, "X_unlabeled") else {}
    return classifier.fit(rows_of(X, labeled_idx), labels, **fit_params)


def trains_stacked(classifier: Any) -> bool:
    """Tell whether many such classifiers are trained in less time together than one by one."""
    return isinstance(classifier, LinearProbe) and type(classifier).fit is LinearProbe.fit


def fit_each_on_labeled_rows(classifiers: Sequence[Any], X: Any, y: Any, labeled_sets: Sequence[np.ndarray]) -> None:
    """Fit each classifier on its rows of X, as `fit_on_labeled_rows` does, together where all can be."""
    if all(map(trains_stacked, classifiers)):
        labeled = ((rows_of(X, labeled_idx), rows_of(y, labeled_idx)) for labeled_idx in labeled_sets)
        fit_linear_probes(classifiers, labeled, X_unlabeled=X)
        return
    for classifier, labeled_idx in zip(classifiers, labeled_sets, strict=True):
        fit_on_labeled_rows(classifier, X, rows_of(y, labeled_idx), labeled_idx)
