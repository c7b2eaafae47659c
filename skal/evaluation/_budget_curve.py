"""What each strategy buys at each budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.utils.parallel import Parallel, delayed

from skal._validation import rows_of, set_random_states
from skal.classifiers._fitting import fit_on_labeled_rows
from skal.evaluation._metrics import category_coverage

__all__ = ["BudgetCurve", "Run", "budget_curve"]

COVERAGE = "coverage"


@dataclass(frozen=True)
class Run:
    """One sampler at one budget and seed."""

    sampler: str
    budget: int
    seed: int
    selected_indices: npt.NDArray[np.int64]
    scores: Mapping[str, float]  # accuracy of each classifier, and "coverage"; fractions


@dataclass(frozen=True)
class BudgetCurve:
    """Accuracy and coverage of samplers over budgets, as `budget_curve` returns them.

    Prints as tables laid out like the paper's, in per cent; holds fractions.

    Attributes
    ----------
    samplers, classifiers : tuple of str
        Names, in the order given.
    budgets : tuple of int
        Ascending.
    runs : tuple of Run
        One for each sampler, budget and seed: its picks and scores.
    """

    samplers: tuple[str, ...]
    classifiers: tuple[str, ...]
    budgets: tuple[int, ...]
    runs: tuple[Run, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        """The classifiers' names and "coverage"."""
        return (*self.classifiers, COVERAGE)

    def scores(self, sampler: str, budget: int, measure: str) -> npt.NDArray[np.float64]:
        """Return the score of each seed, a fraction, shape (n_seeds,)."""
        found = [run.scores[measure] for run in self.runs if (run.sampler, run.budget) == (sampler, budget)]
        if not found:
            raise KeyError(
                f"no run of sampler {sampler!r} at budget {budget}; there are {self.samplers} at {self.budgets}."
            )
        return np.array(found)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one plain dict for each sampler, measure and budget.

        Keys: "sampler", "measure" (a classifier's name or "coverage"), "budget", "mean", "std" (ddof = 1, NaN for
        one seed) and "n_seeds". Scores are fractions.
        """
        return [
            {
                "sampler": sampler,
                "measure": measure,
                "budget": budget,
                **_summary(self.scores(sampler, budget, measure)),
            }
            for measure in self.measures
            for sampler in self.samplers
            for budget in self.budgets
        ]

    def to_frame(self) -> Any:
        """Return `to_rows` as a pandas DataFrame; pandas must be installed."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas: `pip install pandas`. to_rows() gives plain dicts without it."
            ) from error
        return pd.DataFrame(self.to_rows())

    def __str__(self) -> str:
        accuracy = [
            [
                sampler,
                *("✓" if name == classifier else "" for name in self.classifiers),
                *self._cells(sampler, classifier),
            ]
            for classifier in self.classifiers
            for sampler in self.samplers
        ]
        coverage = [[sampler, *self._cells(sampler, COVERAGE)] for sampler in self.samplers]
        budgets = [str(budget) for budget in self.budgets]
        n_seeds = len({run.seed for run in self.runs})
        tables = []
        if self.classifiers:
            header = ["Method", *self.classifiers, *budgets]
            tables += [f"Top-1 accuracy, % (mean ± std over {n_seeds} seeds), by budget"]
            tables += [_layout(header, accuracy, rule_every=len(self.samplers)), ""]
        tables += [f"Category coverage, % (mean ± std over {n_seeds} seeds), by budget"]
        tables += [_layout(["Method", *budgets], coverage)]
        return "\n".join(tables)

    def _cells(self, sampler: str, measure: str) -> Iterator[str]:
        for budget in self.budgets:
            summary = _summary(self.scores(sampler, budget, measure))
            spread = "" if np.isnan(summary["std"]) else f" ± {100 * summary['std']:.1f}"
            yield f"{100 * summary['mean']:.1f}{spread}"


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
    on_run: Callable[[Run], object] | None = None,
) -> BudgetCurve:
    """Let each sampler pick at each budget, train each classifier on the picks, and test it.

    Parameters
    ----------
    samplers : dict of str to sampler
        Cloned for each budget and seed. One with a ``budgets`` parameter is fitted once a seed, for all
        budgets, and its prefixes are evaluated.
    classifiers : dict of str to classifier
        Cloned for each selection; gets the pool as ``X_unlabeled`` where its `fit` has that parameter.
        May be empty, for coverage alone.
    X : array-like of shape (n, d)
        The pool.
    y : array-like of shape (n,)
        Its labels; a sampler sees what its contract lets it see.
    X_test, y_test : array-like of shape (m, d) and (m,)
        What accuracy is measured on.
    budgets : sequence of int
        Labels to pay for.
    n_seeds : int, default=3
        Seeds 0, 1, …; each sets the ``random_state`` of the sampler and of the classifiers.
    n_jobs : int, default=None
        Jobs of joblib; each runs one sampler at one budget and seed. Joblib divides the cores' threads
        among its processes.
    on_run : callable, default=None
        Called with each `Run` as it ends, in no particular order.

    Returns
    -------
    BudgetCurve

    Raises
    ------
    ValueError
        If there is no sampler or no seed, a classifier is called "coverage", or the budgets are not distinct
        positive integers.

    Notes
    -----
    Time and memory are those of the samplers and classifiers, times budgets and seeds.

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
    if n_seeds < 1:
        raise ValueError(f"n_seeds must be at least 1; found {n_seeds}.")
    if not samplers:
        raise ValueError("samplers is empty; pass a dict of name to sampler.")
    if COVERAGE in classifiers:
        raise ValueError(f"a classifier may not be called {COVERAGE!r}: that names the coverage of the picks.")
    data = (X, y, X_test, y_test)
    jobs = (
        delayed(_evaluate)(name, sampler, classifiers, data, asked, seed)
        for seed in range(n_seeds)
        for name, sampler in samplers.items()
        for asked in _budgets_of_one_fit(sampler, totals)
    )
    runs = []
    for finished in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
        runs += finished
        if on_run is not None:
            for run in finished:
                on_run(run)
    position = {name: place for place, name in enumerate(samplers)}
    runs.sort(key=lambda run: (position[run.sampler], run.budget, run.seed))
    return BudgetCurve(tuple(samplers), tuple(classifiers), totals, tuple(runs))


def _check_budgets(budgets: Sequence[int]) -> tuple[int, ...]:
    given = np.asarray(budgets)
    if given.ndim != 1 or given.dtype.kind not in "iu" or len(given) == 0 or given.min() < 1:
        raise ValueError(f"budgets must be positive integers; found {budgets!r}.")
    if len(np.unique(given)) < len(given):
        raise ValueError(f"budgets holds a number twice: {budgets!r}.")
    return tuple(sorted(given.tolist()))


def _budgets_of_one_fit(sampler: Any, totals: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [totals] if "budgets" in sampler.get_params() else [(total,) for total in totals]


def _evaluate(
    name: str, sampler: Any, classifiers: Mapping[str, Any], data: tuple[Any, ...], budgets: tuple[int, ...], seed: int
) -> list[Run]:
    X, y, X_test, y_test = data
    fitted = clone(sampler)
    set_random_states(fitted, seed)
    fitted.set_params(**({"budgets": budgets} if "budgets" in fitted.get_params() else {"budget": budgets[0]}))
    picks = fitted.fit(X, y).selected_indices_
    runs = []
    for budget in budgets:
        scores = {COVERAGE: category_coverage(y, picks[:budget])}
        for classifier_name, classifier in classifiers.items():
            probe = clone(classifier)
            set_random_states(probe, seed)
            fit_on_labeled_rows(probe, X, rows_of(y, picks[:budget]), picks[:budget])
            scores[classifier_name] = float(accuracy_score(y_test, probe.predict(X_test)))
        runs.append(Run(name, budget, seed, picks[:budget], scores))
    return runs


def _summary(scores: npt.NDArray[np.float64]) -> dict[str, Any]:
    std = float(scores.std(ddof=1)) if len(scores) > 1 else float("nan")
    return {"mean": float(scores.mean()), "std": std, "n_seeds": len(scores)}


def _layout(header: list[str], rows: list[list[str]], rule_every: int = 0) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    n_text = 1 + sum(not cell[0].isdigit() for cell in header[1:])

    def line(cells: list[str]) -> str:
        text = [cell.ljust(width) for cell, width in zip(cells[:n_text], widths[:n_text], strict=True)]
        figures = [cell.rjust(width) for cell, width in zip(cells[n_text:], widths[n_text:], strict=True)]
        return "  ".join(text + figures).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [line(header)]
    for position, row in enumerate(rows):
        if position == 0 or (rule_every and position % rule_every == 0):
            lines.append(rule)
        lines.append(line(row))
    return "\n".join(lines)
