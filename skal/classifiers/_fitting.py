"""Training on the labelled rows of a pool."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from skal._validation import has_fit_parameter, rows_of

__all__ = ["fit_each_on_labeled_rows", "fit_on_labeled_rows", "paired", "trains_stacked"]


def fit_on_labeled_rows(classifier: Any, X: Any, labels: Any, labeled_idx: np.ndarray) -> Any:
    """Fit `classifier` on the rows `labeled_idx` of X, and hand it the whole pool where it can use one."""
    fit_params = {"X_pool": X} if has_fit_parameter(classifier, "X_pool") else {}
    with warnings.catch_warnings():
        # Scikit-learn takes one label a class for a regression; under a low budget it is what one pays for.
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        return classifier.fit(rows_of(X, labeled_idx), labels, **fit_params)


def trains_stacked(classifier: Any) -> bool:
    """Tell whether many such classifiers are trained at once by ``fit_many(classifiers, labeled_sets, *, X_pool)``.

    A subclass that replaces `fit` and inherits `fit_many` does not offer it: the two may differ.
    """
    if not hasattr(type(classifier), "fit_many"):
        return False
    home = next(cls for cls in type(classifier).__mro__ if {"fit", "fit_many"} & vars(cls).keys())
    return "fit_many" in vars(home)


def fit_each_on_labeled_rows(classifiers: Sequence[Any], X: Any, y: Any, labeled_sets: Sequence[np.ndarray]) -> None:
    """Fit each classifier on its rows of X, as `fit_on_labeled_rows` does, together where all can be."""
    kinds = {type(classifier) for classifier in classifiers}
    if len(kinds) == 1 and trains_stacked(classifiers[0]):
        labeled = ((rows_of(X, labeled_idx), rows_of(y, labeled_idx)) for labeled_idx in labeled_sets)
        kinds.pop().fit_many(classifiers, labeled, X_pool=X)
        return
    for classifier, labeled_idx in zip(classifiers, labeled_sets, strict=True):
        fit_on_labeled_rows(classifier, X, rows_of(y, labeled_idx), labeled_idx)


def paired(probes: Sequence[Any], labeled_sets: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Pair what `fit_many` is given: as many labelled sets as probes, none of which occurs twice."""
    if len({id(probe) for probe in probes}) < len(probes):
        raise ValueError("A probe occurs twice in probes; clone it, as each fit replaces the one before.")
    for probe, labeled_set in zip_longest(probes, labeled_sets):
        if probe is None or labeled_set is None:
            raise ValueError(f"{len(probes)} probes need as many labeled_sets (X, y); found another number of them.")
        yield probe, labeled_set
