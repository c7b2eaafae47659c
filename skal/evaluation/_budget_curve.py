"""What each strategy buys at each budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from skal.evaluation._curve import BudgetCurve
from skal.evaluation._records import open_records
from skal.evaluation._rounds import plan_courses
from skal.evaluation._scores import Score
from skal.evaluation._select import check_selection, run_courses
from skal.evaluation._selections import Selection
from skal.evaluation._training import Trial, run_trial

__all__ = ["budget_curve"]


def budget_curve(
    samplers: Mapping[str, Any],
    classifiers: Mapping[str, Any],
    X: Any,
    y: Any,
    X_test: Any,
    y_test: Any,
    budgets: Sequence[int],
    n_seeds: int = 3,
    n_jobs: int | None = None,
    *,
    scoring: Any = ("accuracy", "balanced_accuracy"),
    training_seed: int | None = None,
    resume_from: str | os.PathLike[str] | None = None,
    only_finished: bool = False,
    version: str = "",
    on_selection: Callable[[Selection], object] | None = None,
    on_score: Callable[[Score], object] | None = None,
) -> BudgetCurve:
    """Let each sampler pick at each budget, train each classifier on the picks, and measure it: `select` and `score`.

    Parameters
    ----------
    samplers : dict of str to sampler
        Cloned for each budget and seed. One that runs rounds (`IterativeSampler`, `MultiKMeansSampler`) runs once
        for each seed, through all the budgets.
    classifiers : dict of str to classifier
        Cloned for each selection; gets the pool as ``X_pool`` where its `fit` has that parameter. All `LinearProbe`
        of one name and budget are trained at once. May be empty, for coverage alone.
    X : array-like of shape (n, d) or Pool
        The pool.
    y : array-like of shape (n,)
        Its labels; a sampler sees what its contract lets it see.
    X_test, y_test : array-like of shape (m, d) and (m,)
        What is measured on.
    budgets : sequence of int
        Labels to pay for.
    n_seeds : int, default=3
        Seeds 0, 1, …; each sets every ``random_state`` of the sampler, those of its parts too. So all
        samplers with a seed that start at random start from the same rows.
    n_jobs : int, default=None
        Jobs of joblib: selections first, then trainings. None runs one after the other, with all threads. A number
        gives each job one thread, so that picks and scores are the same for any number.
    scoring : str, callable, list, tuple, set, dict or None, default=("accuracy", "balanced_accuracy")
        Metrics, as scikit-learn and `score` take them.
    training_seed : int, default=None
        The ``random_state`` of every classifier. None means the seed of the selection.
    resume_from : path, default=None
        A file that keeps each selection, each round and each score as soon as it exists. What it holds already is not
        computed again, unless something that it depends on has changed; see `select` and `score`. All of X and X_test
        is read, to refuse other data.
    only_finished : bool, default=False
        Whether to compute nothing and return what `resume_from` holds. The file may be another process's.
    version : str, default=""
        Change this text when something changes that cannot be compared, such as compiled code or a file that a
        sampler reads; everything is then computed anew.
    on_selection : callable, default=None
        Called with a `Selection` as soon as its picks are there.
    on_score : callable, default=None
        Called with a `Score` as each training ends. Neither comes in a particular order; both get what was resumed.

    Returns
    -------
    BudgetCurve

    Raises
    ------
    TypeError
        If `training_seed` is neither an integer nor None.
    ValueError
        If there is no sampler or no seed, the budgets are not distinct positive integers, a metric is not known, or
        `resume_from` belongs to other data, is damaged or something else.
    RuntimeError
        If another process has `resume_from` open.
    OSError
        If `resume_from` cannot be written, as on a full disk. What is in it by then stays.

    See Also
    --------
    select : The first half: the picks.
    score : The second half: what the picks buy.
    coverage_curve : Says before any label is paid for how much of the pool a budget covers.

    Notes
    -----
    Time and memory are those of the samplers and classifiers, times budgets and seeds. All selections come
    before all trainings.

    References
    ----------
    .. [1] Pourahmadi et al., "A Simple Baseline for Low-Budget Active Learning", section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import CosineKNNClassifier
    >>> from skal.evaluation import budget_curve
    >>> from skal.samplers import KMeansSampler, RandomSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> curve = budget_curve(
    ...     {"Random": RandomSampler(), "K-means": KMeansSampler()}, {"NN": CosineKNNClassifier()},
    ...     X[:1200], y[:1200], X[1200:], y[1200:], budgets=[10, 50],
    ... )
    >>> bool(curve.scores("K-means", 10, "NN").mean() > curve.scores("Random", 10, "NN").mean())
    True
    """
    totals = check_selection(samplers, budgets, n_seeds)
    trial = Trial(classifiers, scoring, training_seed, version)
    parts = {"labels": (y,), "test set": (X_test, y_test)}
    with open_records(resume_from, X, parts, only_read=only_finished, version=version) as records:
        selections = run_courses(records, plan_courses(samplers, totals, n_seeds), X, y, n_jobs, on_selection)
        return run_trial(records, selections, trial, (X, y, X_test, y_test), n_jobs, on_score)
