"""What each strategy buys at each budget."""

from __future__ import annotations

import operator
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.metrics import accuracy_score, recall_score
from sklearn.utils.parallel import Parallel, delayed

from skal._validation import set_random_states
from skal.classifiers._fitting import fit_each_on_labeled_rows, trains_stacked
from skal.evaluation._curve import COVERAGE, BudgetCurve, Run, per_class
from skal.evaluation._journal import Journal, describe, fingerprint
from skal.evaluation._metrics import category_coverage
from skal.evaluation._threads import limited_threads, threads_of_each_job

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
    training_seed: int | None = None,
    resume_from: str | os.PathLike[str] | None = None,
    on_selection: Callable[[Run], object] | None = None,
    on_run: Callable[[Run], object] | None = None,
) -> BudgetCurve:
    """Let each sampler pick at each budget, train each classifier on the picks, and test it.

    Parameters
    ----------
    samplers : dict of str to sampler
        Cloned for each budget and seed. One with a ``budgets`` parameter is fitted once a seed, for all
        budgets, and its prefixes are evaluated.
    classifiers : dict of str to classifier
        Cloned for each selection; gets the pool as ``X_pool`` where its `fit` has that parameter. All
        `LinearProbe` of one name and budget are trained at once. May be empty, for coverage alone.
    X : array-like of shape (n, d)
        The pool.
    y : array-like of shape (n,)
        Its labels; a sampler sees what its contract lets it see.
    X_test, y_test : array-like of shape (m, d) and (m,)
        What accuracy is measured on.
    budgets : sequence of int
        Labels to pay for.
    n_seeds : int, default=3
        Seeds 0, 1, …; each sets every ``random_state`` of the sampler, those of its parts too. So all
        samplers with a seed that start at random start from the same rows.
    n_jobs : int, default=None
        Jobs of joblib: one selection each, then one training each. The threads of torch, BLAS and FAISS are
        divided among them. The numbers do not depend on it, but for rounding where the number of threads
        changes the order of a sum.
    training_seed : int, default=None
        The ``random_state`` of every classifier. None means the seed of the selection.
    resume_from : path, default=None
        A file that keeps each selection and each score as soon as it exists. What it holds already is not
        computed again, unless the sampler, its budget or seed, or the classifier is another than then. A sampler
        with a ``budgets`` parameter (`IterativeSampler`, `MultiKMeansSampler`) runs all its rounds again when a
        budget is added, for its rounds are one selection. All of X and X_test is read, to refuse other data.
    on_selection : callable, default=None
        Called with a `Run` that has only its coverage, as soon as its picks are there.
    on_run : callable, default=None
        Called with each `Run` as it ends, in no particular order, those that were resumed included.

    Returns
    -------
    BudgetCurve

    Raises
    ------
    TypeError
        If `training_seed` is neither an integer nor None.
    ValueError
        If there is no sampler or no seed, two measures would have one name, the budgets are not distinct
        positive integers, or `resume_from` belongs to other data.
    OSError
        If `resume_from` cannot be written, as on a full disk. What is in it by then stays.

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
    totals = _check_budgets(budgets)
    _check_names(samplers, classifiers)
    if n_seeds < 1:
        raise ValueError(f"n_seeds must be at least 1; found {n_seeds}.")
    if training_seed is not None:
        training_seed = operator.index(training_seed)
    journal = Journal(resume_from, "" if resume_from is None else fingerprint(X, y, X_test, y_test))
    data = (X, y, X_test, y_test)
    return evaluate(samplers, classifiers, data, totals, n_seeds, n_jobs, training_seed, journal, on_selection, on_run)


def evaluate(
    samplers: Mapping[str, Any],
    classifiers: Mapping[str, Any],
    data: tuple[Any, Any, Any, Any],
    totals: tuple[int, ...],
    n_seeds: int,
    n_jobs: int | None = None,
    training_seed: int | None = None,
    journal: Journal | None = None,
    on_selection: Callable[[Run], object] | None = None,
    on_run: Callable[[Run], object] | None = None,
) -> BudgetCurve:
    """Do what `budget_curve` does, with checked arguments and a journal that may serve several calls."""
    X, y, _, _ = data
    journal = Journal(None, "") if journal is None else journal
    selections = [
        _Selection.of(name, sampler, asked, seed)
        for seed in range(n_seeds)
        for name, sampler in samplers.items()
        for asked in _budgets_of_one_fit(sampler, totals)
    ]
    runs: list[Run] = []
    for selection, picks in _select_all(selections, X, y, n_jobs, journal):
        for budget in selection.budgets:
            runs.append(selection.run_at(budget, picks, y, training_seed))
            if on_selection is not None:
                on_selection(runs[-1])
    position = {name: place for place, name in enumerate(samplers)}
    runs.sort(key=lambda run: (position[run.sampler], run.budget, run.seed))

    trainings = [
        _Training.of(place, run, name, classifiers[name]) for place, run in enumerate(runs) for name in classifiers
    ]
    scores = [dict(run.scores) for run in runs]
    finished: dict[int, Run] = {}

    def finish_if_complete(place: int) -> None:
        if len(scores[place]) == 1 + 2 * len(classifiers):
            finished[place] = replace(runs[place], scores=scores[place])
            if on_run is not None:
                on_run(finished[place])

    for place in range(len(runs)):  # without classifiers, nothing else is to come
        finish_if_complete(place)
    for training, found in _score_all(trainings, data, n_jobs, journal):
        scores[training.run] |= {training.name: found["top-1"], per_class(training.name): found["per class"]}
        finish_if_complete(training.run)
    ordered = tuple(finished[place] for place in range(len(runs)))
    return BudgetCurve(tuple(samplers), tuple(classifiers), totals, ordered)


def _check_budgets(budgets: Sequence[int]) -> tuple[int, ...]:
    given = np.asarray(budgets)
    if given.ndim != 1 or given.dtype.kind not in "iu" or len(given) == 0 or given.min() < 1:
        raise ValueError(f"budgets must be positive integers; found {budgets!r}.")
    if len(np.unique(given)) < len(given):
        raise ValueError(f"budgets holds a number twice: {budgets!r}.")
    return tuple(sorted(given.tolist()))


def _check_names(samplers: Mapping[str, Any], classifiers: Mapping[str, Any]) -> None:
    if not samplers:
        raise ValueError("samplers is empty; pass a dict of name to sampler.")
    taken = {per_class(name): f"the mean per-class accuracy of {name!r}" for name in classifiers}
    taken[COVERAGE] = "the coverage of the picks"
    for name in classifiers:
        if name in taken:
            raise ValueError(f"a classifier may not be called {name!r}: that names {taken[name]}.")


def _budgets_of_one_fit(sampler: Any, totals: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [totals] if "budgets" in sampler.get_params() else [(total,) for total in totals]


@dataclass(frozen=True)
class _Selection:
    """A sampler ready to be fitted once, for one budget or for several that are prefixes."""

    name: str
    sampler: Any
    budgets: tuple[int, ...]
    seed: int

    @classmethod
    def of(cls, name: str, template: Any, budgets: tuple[int, ...], seed: int) -> _Selection:
        sampler = clone(template)
        set_random_states(sampler, seed)
        sampler.set_params(**({"budgets": budgets} if "budgets" in sampler.get_params() else {"budget": budgets[0]}))
        return cls(name, sampler, budgets, seed)

    def run_at(self, budget: int, picks: npt.NDArray[np.int64], y: Any, training_seed: int | None) -> Run:
        """Return the run of one budget, scored by its coverage alone."""
        prefix = picks[:budget]
        seed = self.seed if training_seed is None else training_seed
        return Run(self.name, budget, self.seed, seed, prefix, {COVERAGE: category_coverage(y, prefix)})


@dataclass(frozen=True)
class _Training:
    """A classifier ready to be fitted on the picks of one run."""

    run: int  # its place among the runs
    name: str
    classifier: Any
    picks: npt.NDArray[np.int64]

    @classmethod
    def of(cls, place: int, run: Run, name: str, template: Any) -> _Training:
        classifier = clone(template)
        set_random_states(classifier, run.training_seed)
        return cls(place, name, classifier, run.selected_indices)


def _select_all(
    selections: list[_Selection], X: Any, y: Any, n_jobs: int | None, journal: Journal
) -> Iterator[tuple[_Selection, npt.NDArray[np.int64]]]:
    """Yield each selection with its picks, those that the journal holds first."""
    missing = []
    for selection in selections:
        picks = journal.selection(describe(selection.sampler))
        if picks is None:
            missing.append(selection)
        else:
            yield selection, picks
    n_threads = threads_of_each_job(n_jobs)
    jobs = (delayed(_select)(place, selection.sampler, X, y, n_threads) for place, selection in enumerate(missing))
    for place, picks in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
        journal.keep_selection(describe(missing[place].sampler), picks)
        yield missing[place], picks


def _select(place: int, sampler: Any, X: Any, y: Any, n_threads: int | None) -> tuple[int, npt.NDArray[np.int64]]:
    with limited_threads(n_threads):
        return place, clone(sampler).fit(X, y).selected_indices_


def _score_all(
    trainings: list[_Training], data: tuple[Any, ...], n_jobs: int | None, journal: Journal
) -> Iterator[tuple[_Training, dict[str, float]]]:
    """Yield each training with its scores, those that the journal holds first."""
    missing = []
    for training in trainings:
        scores = journal.score(describe(training.classifier), training.picks)
        if scores is None:
            missing.append(training)
        else:
            yield training, scores
    n_threads = threads_of_each_job(n_jobs)
    jobs = (delayed(_score)(together, data, n_threads) for together in _trained_together(missing))
    for scored in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
        for training, scores in scored:
            journal.keep_score(describe(training.classifier), training.picks, scores)
            yield training, scores


def _trained_together(trainings: Iterable[_Training]) -> list[list[_Training]]:
    """Collect what one job trains: what can be stacked by budget, everything else by run."""
    jobs = defaultdict(list)
    for training in trainings:
        is_stacked = trains_stacked(training.classifier)
        jobs[(training.name, len(training.picks)) if is_stacked else training.run].append(training)
    return list(jobs.values())


def _score(
    trainings: list[_Training], data: tuple[Any, ...], n_threads: int | None
) -> list[tuple[_Training, dict[str, float]]]:
    X, y, X_test, y_test = data
    with limited_threads(n_threads):
        classifiers = [clone(training.classifier) for training in trainings]
        fit_each_on_labeled_rows(classifiers, X, y, [training.picks for training in trainings])
        return [
            (training, _accuracies(y_test, classifier.predict(X_test)))
            for training, classifier in zip(trainings, classifiers, strict=True)
        ]


def _accuracies(y_test: Any, predicted: npt.NDArray[Any]) -> dict[str, float]:
    classes = np.unique(np.asarray(y_test))
    recall = recall_score(y_test, predicted, labels=classes, average="macro", zero_division=0.0)
    return {"top-1": float(accuracy_score(y_test, predicted)), "per class": float(recall)}
