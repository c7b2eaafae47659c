"""The result of `budget_curve`: what each run picked and scored."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from scipy import stats

__all__ = ["COVERAGE", "BudgetCurve", "Run", "per_class"]

COVERAGE = "coverage"
_FORMAT = "skal budget curve 1"


def per_class(classifier: str) -> str:
    """Name the measure that holds a classifier's mean per-class accuracy."""
    return f"{classifier}, per class"


@dataclass(frozen=True)
class Run:
    """One sampler at one budget and seed."""

    sampler: str
    budget: int
    seed: int  # of the selection
    training_seed: int
    selected_indices: npt.NDArray[np.int64]
    scores: Mapping[str, float]  # fractions, by the names in `BudgetCurve.measures`


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
        """The classifiers' names (top-1 accuracy), the same with ", per class" (mean per-class), and "coverage"."""
        return (*self.classifiers, *map(per_class, self.classifiers), COVERAGE)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the selections, ascending."""
        return tuple(sorted({run.seed for run in self.runs}))

    def scores(self, sampler: str, budget: int, measure: str) -> npt.NDArray[np.float64]:
        """Return the score of each seed, a fraction, shape (n_seeds,)."""
        found = [run.scores for run in self.runs if (run.sampler, run.budget) == (sampler, budget)]
        if not found:
            raise KeyError(
                f"no run of sampler {sampler!r} at budget {budget}; there are {self.samplers} at {self.budgets}."
            )
        if measure not in self.measures:
            raise KeyError(f"no measure {measure!r}; there are {', '.join(self.measures)}.")
        return np.array([scores[measure] for scores in found])

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one plain dict for each sampler, measure and budget.

        Keys: "sampler", "measure" (one of `measures`), "budget", "mean", "std" (ddof = 1, NaN for one seed) and
        "n_seeds". Scores are fractions.
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
            One for each other sampler, measure and budget. Keys: "sampler", "baseline", "measure", "budget", "mean"
            (sampler minus baseline, a fraction), "low" and "high" (the interval; NaN for one seed) and "n_seeds".

        Raises
        ------
        ValueError
            If there is no such baseline, or the confidence is not between 0 and 1.
        """
        if baseline not in self.samplers:
            raise ValueError(f"baseline={baseline!r} is not in this curve; it has {', '.join(self.samplers)}.")
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1; found {confidence!r}.")
        return [
            {
                "sampler": sampler,
                "baseline": baseline,
                "measure": measure,
                "budget": budget,
                **_t_interval(
                    self.scores(sampler, budget, measure) - self.scores(baseline, budget, measure), confidence
                ),
            }
            for measure in self.measures
            for sampler in self.samplers
            if sampler != baseline
            for budget in self.budgets
        ]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything, picks included, as JSON; the file is replaced as a whole or not at all."""
        content = {**asdict(self), "format": _FORMAT}
        for run in content["runs"]:
            run["selected_indices"] = run["selected_indices"].tolist()
        _write_atomically(Path(path), json.dumps(content))

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
            runs = [
                Run(**{**run, "selected_indices": np.array(run["selected_indices"], dtype=np.int64)})
                for run in content["runs"]
            ]
            return cls(
                tuple(content["samplers"]), tuple(content["classifiers"]), tuple(content["budgets"]), tuple(runs)
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} is not a curve that this version of skal saved ({type(error).__name__}: {error}); "
                "expected a file by BudgetCurve.save."
            ) from error

    def to_text(self, *, mean_per_class: bool = False) -> str:
        """Lay out tables like the paper's, in per cent.

        Parameters
        ----------
        mean_per_class : bool, default=False
            Show mean per-class accuracy instead of top-1, as the paper does for fine-grained data.
        """
        accuracy = [
            [
                sampler,
                *("✓" if name == classifier else "" for name in self.classifiers),
                *self._cells(sampler, per_class(classifier) if mean_per_class else classifier),
            ]
            for classifier in self.classifiers
            for sampler in self.samplers
        ]
        coverage = [[sampler, *self._cells(sampler, COVERAGE)] for sampler in self.samplers]
        budgets = [str(budget) for budget in self.budgets]
        spread = f"% (mean ± std over {len(self.seeds)} seeds), by budget"
        tables = []
        if self.classifiers:
            header = ["Method", *self.classifiers, *budgets]
            tables += [f"{'Mean per-class' if mean_per_class else 'Top-1'} accuracy, {spread}"]
            tables += [_layout(header, accuracy, rule_every=len(self.samplers)), ""]
        tables += [f"Category coverage, {spread}"]
        tables += [_layout(["Method", *budgets], coverage)]
        return "\n".join(tables)

    def __str__(self) -> str:
        return self.to_text()

    def _cells(self, sampler: str, measure: str) -> Iterator[str]:
        for budget in self.budgets:
            summary = _summary(self.scores(sampler, budget, measure))
            spread = "" if np.isnan(summary["std"]) else f" ± {100 * summary['std']:.1f}"
            yield f"{100 * summary['mean']:.1f}{spread}"


def _summary(scores: npt.NDArray[np.float64]) -> dict[str, Any]:
    std = float(scores.std(ddof=1)) if len(scores) > 1 else float("nan")
    return {"mean": float(scores.mean()), "std": std, "n_seeds": len(scores)}


def _t_interval(differences: npt.NDArray[np.float64], confidence: float) -> dict[str, Any]:
    summary = _summary(differences)
    n_seeds = summary["n_seeds"]
    half = float(stats.t.ppf((1 + confidence) / 2, n_seeds - 1)) * summary["std"] / n_seeds**0.5
    return {
        "mean": summary["mean"],
        "low": summary["mean"] - half,
        "high": summary["mean"] + half,
        "n_seeds": n_seeds,
    }


def _write_atomically(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}.part")  # mkstemp would not follow the umask
    try:
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


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
