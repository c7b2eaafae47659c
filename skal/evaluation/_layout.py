"""Tables as text and as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skal._html import table

__all__ = ["Line", "Sheet", "is_fraction", "title_of", "to_html", "to_text"]

_TITLES = {
    "accuracy": "Top-1 accuracy",
    "balanced_accuracy": "Mean per-class accuracy",
    "coverage": "Category coverage",
}
# Beginnings of the names of scikit-learn's scorers that give fractions, which are shown in per cent.
_FRACTIONS = ("accuracy", "average_precision", "balanced_accuracy", "coverage", "f1", "jaccard", "precision", "recall",
              "roc_auc", "top_k_accuracy")  # fmt: skip


def title_of(metric: str) -> str:
    """Say what a metric is called in tables and pictures."""
    return _TITLES.get(metric, metric)


def is_fraction(metric: str) -> bool:
    """Tell whether a metric is shown in per cent."""
    return any(metric == name or metric.startswith(f"{name}_") for name in _FRACTIONS)


# A sampler, a classifier, and a summary for each budget; None where nothing is known.
Line = tuple[str, str | None, list[dict[str, Any] | None]]


@dataclass(frozen=True)
class Sheet:
    """One metric over the budgets: a line for each sampler, and each classifier.

    Parameters
    ----------
    metric : str
    budgets : tuple of int
        The columns.
    n_seeds : int
    lines : list of Line
    classifiers : tuple of str
        Marked in columns of their own, as in the paper's tables.
    """

    metric: str
    budgets: tuple[int, ...]
    n_seeds: int
    lines: list[Line]
    classifiers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        unit = ", %" if is_fraction(self.metric) else ","
        seeds = "1 seed" if self.n_seeds == 1 else f"{self.n_seeds} seeds"
        return f"{title_of(self.metric)}{unit} (mean ± std over {seeds}), by budget"

    @property
    def header(self) -> list[str]:
        return ["Method", *self.classifiers, *map(str, self.budgets)]

    @property
    def rows(self) -> list[list[str]]:
        return [
            [sampler, *self._marks(classifier), *map(self._cell, summaries)]
            for sampler, classifier, summaries in self.lines
        ]

    @property
    def n_rows_together(self) -> int:
        """Rows between two rules."""
        return len(dict.fromkeys(sampler for sampler, _, _ in self.lines))

    def _marks(self, classifier: str | None) -> list[str]:
        return ["✓" if name == classifier else "" for name in self.classifiers]

    def _cell(self, summary: dict[str, Any] | None) -> str:
        if summary is None:
            return "–"
        mean, std = (self._figure(summary[name]) for name in ("mean", "std"))
        return mean if np.isnan(summary["std"]) else f"{mean} ± {std}"

    def _figure(self, value: float) -> str:
        return f"{100 * value:.1f}" if is_fraction(self.metric) else f"{value:.4g}"


def to_text(sheets: list[Sheet]) -> str:
    """Return the tables below each other, in columns of equal width."""
    return "\n\n".join(f"{sheet.title}\n{_in_columns(sheet)}" for sheet in sheets)


def to_html(sheets: list[Sheet]) -> str:
    """Return the tables as HTML; names are escaped."""
    return "\n".join(table(sheet.header, sheet.rows, sheet.title) for sheet in sheets)


def _in_columns(sheet: Sheet) -> str:
    widths = [max(map(len, column)) for column in zip(sheet.header, *sheet.rows, strict=True)]
    n_text = 1 + len(sheet.classifiers)

    def line(cells: list[str]) -> str:
        text = [cell.ljust(width) for cell, width in zip(cells[:n_text], widths[:n_text], strict=True)]
        figures = [cell.rjust(width) for cell, width in zip(cells[n_text:], widths[n_text:], strict=True)]
        return "  ".join(text + figures).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [line(sheet.header)]
    for position, row in enumerate(sheet.rows):
        if position % sheet.n_rows_together == 0:
            lines.append(rule)
        lines.append(line(row))
    return "\n".join(lines)
