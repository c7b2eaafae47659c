"""What a trained classifier is measured by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import check_scoring, make_scorer, recall_score

from skal._files._describe import describe

__all__ = ["Scoring"]

_ONLY = "score"  # the metric of a scorer that has no name, as in `cross_validate`


class Scoring:
    """Metrics as scikit-learn takes them: a name, a scorer, several in a list or dict, or None for ``score``.

    Parameters
    ----------
    scoring : str, callable, list, tuple, set, dict or None
        A callable may return a dict of several values.
    version : str
        Counts as a part of a callable's description.

    Attributes
    ----------
    scorers : dict of str to str, callable or None
        By the name of the metric.
    described : dict of str to str
        What tells each scorer from others, by the name of the metric.
    """

    def __init__(self, scoring: Any, version: str = "") -> None:
        self.scorers = _by_name(scoring)
        self._version = version

    @property
    def described(self) -> dict[str, str]:
        return {
            name: repr(scorer) if scorer is None or isinstance(scorer, str) else describe(scorer, version=self._version)
            for name, scorer in self.scorers.items()
        }

    def check(self, classifiers: Iterable[Any]) -> None:
        """Refuse metrics that do not exist or cannot be had of a classifier, before anything is trained."""
        for classifier in classifiers:
            check_scoring(classifier, scoring=self.scorers)

    def measure(self, classifier: Any, names: Iterable[str], X_test: Any, y_test: Any) -> dict[str, dict[str, float]]:
        """Return the values of some scorers, by the scorer's name and their own; predictions are shared.

        The name of a scorer's only value is "".
        """
        scorers = {name: _without_warnings(self.scorers[name]) for name in names}
        measured = check_scoring(classifier, scoring=scorers)(classifier, X_test, y_test)
        return {name: _as_values(name, found) for name, found in measured.items()}

    def named(self, values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Return what `measure` found, by metric; ValueError if two would have one name."""
        flat: dict[str, float] = {}
        for scorer, found in values.items():
            for name, value in found.items():
                if (metric := name or scorer) in flat:
                    raise ValueError(f"scoring gives two metrics called {metric!r}; name them apart.")
                flat[metric] = value
        return flat


def _by_name(scoring: Any) -> dict[str, Any]:
    if isinstance(scoring, str):
        return {scoring: scoring}
    if isinstance(scoring, Mapping):
        scorers = dict(scoring)
    elif isinstance(scoring, (list, tuple, set)):
        if len(set(map(str, scoring))) < len(scoring) or not all(isinstance(name, str) for name in scoring):
            raise ValueError(f"scoring must hold distinct names of metrics; found {scoring!r}. Pass scorers in a dict.")
        scorers = {name: name for name in scoring}
    else:
        scorers = {_ONLY: scoring}
    if not scorers:
        raise ValueError("scoring is empty; name at least one metric.")
    return scorers


def _without_warnings(scorer: Any) -> Any:
    """Take balanced accuracy as what it is for labels that predictions go beyond, without a warning for each."""
    return make_scorer(mean_recall) if scorer == "balanced_accuracy" else scorer


def mean_recall(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Average the recall over the classes of `y_true`: balanced accuracy, whatever else is predicted."""
    classes = np.unique(np.asarray(y_true))
    return float(recall_score(y_true, y_pred, labels=classes, average="macro", zero_division=0.0))


def _as_values(scorer: str, found: Any) -> dict[str, float]:
    values = found if isinstance(found, Mapping) else {"": found}
    try:
        return {str(name): float(value) for name, value in values.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"The metric {scorer!r} must give a number, or a dict of numbers; found {found!r}.") from error
