"""Train on selections, and measure what was learned."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from skal.evaluation._curve import BudgetCurve
from skal.evaluation._records import open_records
from skal.evaluation._scores import Score
from skal.evaluation._selections import Selections
from skal.evaluation._training import Trial, run_trial

__all__ = ["score"]


def score(
    selections: Selections,
    classifiers: Mapping[str, Any],
    X: Any,
    y: Any,
    X_test: Any,
    y_test: Any,
    *,
    scoring: Any = ("accuracy", "balanced_accuracy"),
    training_seed: int | None = None,
    n_jobs: int | None = None,
    resume_from: str | os.PathLike[str] | None = None,
    only_finished: bool = False,
    version: str = "",
    on_score: Callable[[Score], object] | None = None,
) -> BudgetCurve:
    """Train each classifier on each selection, and measure it on a test set.

    Parameters
    ----------
    selections : Selections
        Rows of X; the embeddings that they were picked by may be others.
    classifiers : dict of str to classifier
        Cloned for each selection. Gets the pool as ``X_pool`` where its `fit` has that parameter. Where its class
        offers ``fit_many``, as `LinearProbe` does, all of one name and budget are trained at once. May be empty, for
        coverage alone.
    X : array-like of shape (n, d) or Pool
        The pool.
    y : array-like of shape (n,)
        Its labels.
    X_test, y_test : array-like of shape (m, d) and (m,)
        What is measured on.
    scoring : str, callable, list, tuple, set, dict or None, default=("accuracy", "balanced_accuracy")
        Metrics, as scikit-learn takes them: names, a scorer ``(classifier, X, y) -> float or dict``, or scorers by
        name. Predictions are made once for all. Balanced accuracy is the mean recall over the classes of `y_test`.
    training_seed : int, default=None
        The ``random_state`` of every classifier. None means the seed of the selection.
    n_jobs : int, default=None
        Trainings at once, by joblib; as in `select`.
    resume_from : path, default=None
        A file that keeps each score as soon as it exists; `select` may use the same one. What it holds already is
        not computed again, unless the classifier, the picks or the scorer are others than then. All of X and X_test
        is read, to refuse other data.
    only_finished : bool, default=False
        Whether to train nothing and return what `resume_from` holds. The file may be another process's.
    version : str, default=""
        As in `select`, of classifiers and scorers.
    on_score : callable, default=None
        Called with a `Score` as each training ends, in no particular order, those that were resumed included.

    Returns
    -------
    BudgetCurve

    Raises
    ------
    TypeError
        If `training_seed` is neither an integer nor None.
    ValueError
        If a metric is not known or gives no number, a selection holds rows that X does not have, a classifier
        refuses, or `resume_from` belongs to other data, is damaged or something else.
    RuntimeError
        If another process has `resume_from` open.
    OSError
        If `resume_from` cannot be written, as on a full disk. What is in it by then stays.

    See Also
    --------
    select : Makes the selections.
    budget_curve : Both steps in one call.

    Notes
    -----
    Time and memory are those of the classifiers, times the selections.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import CosineKNNClassifier
    >>> from skal.evaluation import Selections, score
    >>> X, y = load_digits(return_X_y=True)
    >>> selections = Selections({("the first", 50, 0): range(50), ("the last", 50, 0): range(1150, 1200)})
    >>> curve = score(selections, {"NN": CosineKNNClassifier()}, X[:1200], y[:1200], X[1200:], y[1200:])
    >>> curve
    BudgetCurve(2 samplers × 1 budget × 1 seed; NN; accuracy, balanced_accuracy)
    >>> curve.scores("the first", 50, "NN").shape
    (1,)
    """
    trial = Trial(classifiers, scoring, training_seed, version)
    parts = {"labels": (y,), "test set": (X_test, y_test)}
    with open_records(resume_from, X, parts, only_read=only_finished, version=version) as records:
        return run_trial(records, selections, trial, (X, y, X_test, y_test), n_jobs, on_score)
