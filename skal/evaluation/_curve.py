"""What was scored: coverage and metrics over budgets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._files._atomic import write_atomically
from skal._install import hint_for_package
from skal.evaluation._layout import Line, Sheet, to_html, to_text
from skal.evaluation._metrics import COVERAGE
from skal.evaluation._scores import CurveKey
from skal.evaluation._selections import Selections
from skal.evaluation._statistics import summary, t_interval

__all__ = ["BudgetCurve"]

_FORMAT = "skal budget curve 2"


class BudgetCurve:
    """Metrics and coverage of samplers over budgets, as `budget_curve` and `score` return them.

    Prints as tables laid out like the paper's. Holds what the scorers gave: fractions, where tables show per cent.

    Parameters
    ----------
    selections : Selections
        The picks.
    classifiers : tuple of str
        Names, in the order given.
    values : mapping of (str, int, int, str or None, str) to float
        By sampler, budget, seed, classifier and metric; "coverage" is a metric of the picks, with classifier None.
    training_seed : int, default=None
        The ``random_state`` of every classifier. None means the seed of the selection.

    Attributes
    ----------
    samplers : tuple of str
        In the order given.
    budgets, seeds : tuple of int
        Ascending.
    metrics : tuple of str
        Of the classifiers, in the order of `scoring`.
    measures : tuple of (str or None, str)
        Every pair of classifier and metric, and (None, "coverage").

    See Also
    --------
    budget_curve : Makes one from a pool and a test set.
    score : Makes one from picks that are there already.
    skal.plotting.BudgetCurveDisplay : Draws it.

    Examples
    --------
    >>> from skal.evaluation import BudgetCurve, Selections
    >>> selections = Selections({("Random", 2, 0): [0, 1], ("K-means", 2, 0): [1, 3]}, y=[0, 0, 1, 1])
    >>> values = {("Random", 2, 0, "NN", "accuracy"): 0.5, ("K-means", 2, 0, "NN", "accuracy"): 0.75}
    >>> coverage = {(*key, None, "coverage"): value for key, value in selections.coverage.items()}
    >>> curve = BudgetCurve(selections, ("NN",), {**values, **coverage})
    >>> curve.scores("K-means", 2, "NN")
    array([0.75])
    >>> print(curve)
    Top-1 accuracy, % (mean ± std over 1 seed), by budget
    Method   NN     2
    ─────────────────
    Random   ✓   50.0
    K-means  ✓   75.0
    <BLANKLINE>
    Category coverage, % (mean ± std over 1 seed), by budget
    Method       2
    ──────────────
    Random    50.0
    K-means  100.0
    """

    def __init__(
        self,
        selections: Selections,
        classifiers: tuple[str, ...],
        values: Mapping[Any, float],
        training_seed: int | None = None,
    ) -> None:
        self.selections = selections
        self.classifiers = classifiers
        self.values = {CurveKey(*key): value for key, value in values.items()}
        self.training_seed = training_seed

    @property
    def samplers(self) -> tuple[str, ...]:
        return self.selections.samplers

    @property
    def budgets(self) -> tuple[int, ...]:
        return self.selections.budgets

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.selections.seeds

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key.metric for key in self.values if key.classifier is not None))

    @property
    def measures(self) -> tuple[tuple[str | None, str], ...]:
        of_classifiers = [(classifier, metric) for metric in self.metrics for classifier in self.classifiers]
        return (*of_classifiers, (None, COVERAGE))

    def scores(
        self, sampler: str, budget: int, classifier: str | None = None, metric: str | None = None
    ) -> npt.NDArray[np.float64]:
        """Return what was scored with each seed.

        Parameters
        ----------
        sampler : str
        budget : int
        classifier : str, default=None
            None means the picks themselves, whose metric is "coverage".
        metric : str, default=None
            One of `metrics`. None means the first of them.

        Returns
        -------
        ndarray of shape (n_seeds,), float64
            By ascending seed.

        Raises
        ------
        KeyError
            If there is nothing of that name.
        """
        classifier, metric = self.check_measure(classifier, metric)
        found = self._by_seed(sampler, budget, classifier, metric)
        if not found:
            raise KeyError(
                f"no score of sampler {sampler!r} at budget {budget}; there are {self.samplers} at {self.budgets}."
            )
        return np.array(list(found.values()))

    def check_measure(self, classifier: str | None, metric: str | None) -> tuple[str | None, str]:
        """Fill in which classifier and metric are meant.

        Parameters
        ----------
        classifier, metric : str or None
            As in `scores`.

        Returns
        -------
        classifier : str or None
        metric : str

        Raises
        ------
        KeyError
            If there are none of these names.
        """
        if classifier is None:
            if metric not in (None, COVERAGE):
                raise KeyError(f"{metric!r} is a metric of classifiers: name one of {', '.join(self.classifiers)}.")
            return None, COVERAGE
        if classifier not in self.classifiers:
            known = ", ".join(self.classifiers) or "none"
            raise KeyError(f"no classifier {classifier!r}; there are {known}, and the coverage without a classifier.")
        if metric is None and self.metrics:
            return classifier, self.metrics[0]
        if metric not in self.metrics:
            raise KeyError(f"no metric {metric!r}; there are {', '.join(self.metrics)}.")
        return classifier, str(metric)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one plain dict for each sampler, classifier, metric and budget.

        Keys: "sampler", "classifier" (None for the coverage), "metric", "budget", "mean", "std" (ddof = 1, NaN for one
        seed) and "n_seeds".
        """
        return [
            {
                "sampler": sampler,
                "classifier": classifier,
                "metric": metric,
                "budget": budget,
                **summary(np.array(list(found.values()))),
            }
            for classifier, metric in self.measures
            for sampler in self.samplers
            for budget in self.budgets
            if (found := self._by_seed(sampler, budget, classifier, metric))
        ]

    def to_frame(self) -> Any:
        """Return `to_rows` as a pandas DataFrame; pandas must be installed."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                f"to_frame needs pandas: `{hint_for_package('pandas')}`. to_rows() gives plain dicts without it."
            ) from error
        return pd.DataFrame(self.to_rows())

    def paired_differences(self, baseline: str = "Random", confidence: float = 0.95) -> list[dict[str, Any]]:
        """Compare each sampler with `baseline`, seed by seed.

        The same seed gives every sampler the same start, so the differences of each seed vary less than the
        scores do.

        Parameters
        ----------
        baseline : str, default="Random"
            One of `samplers`.
        confidence : float in (0, 1), default=0.95
            Of the interval: Student's t for the mean of the paired differences.

        Returns
        -------
        list of dict
            One for each other sampler, classifier, metric and budget. Keys: "sampler", "baseline", "classifier",
            "metric", "budget", "mean" (sampler minus baseline), "low" and "high" (the interval; NaN for one seed) and
            "n_seeds".

        Raises
        ------
        ValueError
            If there is no such baseline, or the confidence is not between 0 and 1.
        """
        if baseline not in self.samplers:
            raise ValueError(f"baseline={baseline!r} is not in this curve; it has {', '.join(self.samplers)}.")
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1; found {confidence!r}.")
        rows = []
        for classifier, metric in self.measures:
            for sampler in self.samplers:
                for budget in self.budgets if sampler != baseline else ():
                    ours = self._by_seed(sampler, budget, classifier, metric)
                    theirs = self._by_seed(baseline, budget, classifier, metric)
                    pairs = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
                    if pairs:
                        named = {"sampler": sampler, "baseline": baseline, "classifier": classifier, "metric": metric}
                        rows.append({**named, "budget": budget, **t_interval(np.array(pairs), confidence)})
        return rows

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything, picks included, as JSON; the file is replaced as a whole or not at all."""
        content = {
            "format": _FORMAT,
            "selections": self.selections.to_entries(),
            "classifiers": self.classifiers,
            "training_seed": self.training_seed,
            "values": [[*key, value] for key, value in self.values.items()],
        }
        write_atomically(path, json.dumps(content))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BudgetCurve:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']!r}")
            selections = Selections.from_entries(content["selections"])
            values = {CurveKey(*key): value for *key, value in content["values"]}
            return cls(selections, tuple(content["classifiers"]), values, content["training_seed"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} is not a curve that this version of skal saved ({type(error).__name__}: {error}); "
                "expected a file by BudgetCurve.save."
            ) from error

    def to_text(self, metric: str | None = None) -> str:
        """Lay out tables like the paper's: one metric of the classifiers, and the coverage.

        Parameters
        ----------
        metric : str, default=None
            One of `metrics`; "balanced_accuracy" is what the paper shows for fine-grained data. None means the first.
        """
        return to_text(self._sheets(metric))

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        parts = (self.selections.extent, ", ".join(self.classifiers), ", ".join(self.metrics))
        return f"BudgetCurve({'; '.join(filter(None, parts))})"

    def _repr_html_(self) -> str:
        return to_html(self._sheets(None))

    def _sheets(self, metric: str | None) -> list[Sheet]:
        coverage = Sheet(COVERAGE, self.budgets, len(self.seeds), self._lines([None], COVERAGE))
        if not self.metrics:
            return [coverage]
        _, metric = self.check_measure(self.classifiers[0], metric)
        lines = self._lines(self.classifiers, metric)
        return [Sheet(metric, self.budgets, len(self.seeds), lines, self.classifiers), coverage]

    def _lines(self, classifiers: Sequence[str | None], metric: str) -> list[Line]:
        return [
            (sampler, classifier, [self._summary_at(sampler, budget, classifier, metric) for budget in self.budgets])
            for classifier in classifiers
            for sampler in self.samplers
        ]

    def _summary_at(self, sampler: str, budget: int, classifier: str | None, metric: str) -> dict[str, Any] | None:
        found = self._by_seed(sampler, budget, classifier, metric)
        return summary(np.array(list(found.values()))) if found else None

    def _by_seed(self, sampler: str, budget: int, classifier: str | None, metric: str) -> dict[int, float]:
        keys = {seed: CurveKey(sampler, budget, seed, classifier, metric) for seed in self.seeds}
        return {seed: self.values[key] for seed, key in keys.items() if key in self.values}
