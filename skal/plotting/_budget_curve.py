"""A metric over budget."""

from __future__ import annotations

import numpy as np

from skal.evaluation._layout import is_fraction, title_of
from skal.plotting._pyplot import LINE_COLORS, MARKERS, pyplot

__all__ = ["BudgetCurveDisplay"]


class BudgetCurveDisplay:
    """A metric or the coverage over budget, one line for each sampler, with a band of ± one standard deviation.

    Bands of fractions are cut off at 0 and 100 %.

    Parameters
    ----------
    lines : dict of str to list of dict
        For each sampler its rows of `BudgetCurve.to_rows`, by ascending budget.
    classifier : str or None
        Whose metric the vertical axis shows; None for the coverage.
    metric : str
        Fractions are shown in per cent.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of Line2D
        One a sampler.
    bands_ : list of PolyCollection
        One a sampler; none where there is a single seed.

    See Also
    --------
    skal.evaluation.budget_curve : Makes the curve.
    """

    def __init__(self, lines, classifier, metric):
        self.lines = lines
        self.classifier = classifier
        self.metric = metric

    @classmethod
    def from_curve(cls, curve, classifier=None, metric=None, *, ax=None):
        """Draw one metric of a `BudgetCurve`.

        Parameters
        ----------
        curve : BudgetCurve
        classifier : str, default=None
            None means the picks themselves, whose metric is "coverage".
        metric : str, default=None
            One of the curve's; None means the first of them.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        BudgetCurveDisplay

        Raises
        ------
        ValueError
            If the curve has no such classifier or metric.
        """
        try:
            classifier, metric = curve.check_measure(classifier, metric)
        except KeyError as error:
            raise ValueError(error.args[0]) from error
        rows = [row for row in curve.to_rows() if (row["classifier"], row["metric"]) == (classifier, metric)]
        lines = {name: [row for row in rows if row["sampler"] == name] for name in curve.samplers}
        return cls(lines, classifier, metric).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw, on `ax` or a new figure, and return the display."""
        if ax is None:
            _, ax = pyplot().subplots(layout="constrained")
        self.lines_, self.bands_ = [], []
        factor = 100 if is_fraction(self.metric) else 1
        for position, (name, rows) in enumerate(self.lines.items()):
            budgets = [row["budget"] for row in rows]
            mean = factor * np.array([row["mean"] for row in rows])
            std = factor * np.array([row["std"] for row in rows])
            color, marker = LINE_COLORS[position % len(LINE_COLORS)], MARKERS[position % len(MARKERS)]
            (line,) = ax.plot(budgets, mean, color=color, marker=marker, markersize=5, label=name)
            self.lines_.append(line)
            if np.isfinite(std).all():
                low, high = mean - std, mean + std
                if is_fraction(self.metric):
                    low, high = np.clip((low, high), 0, 100)
                self.bands_.append(ax.fill_between(budgets, low, high, color=color, alpha=0.15))
        ax.set_xscale("log")
        budgets = sorted({row["budget"] for rows in self.lines.values() for row in rows})
        ax.set_xticks(budgets, [str(budget) for budget in budgets])
        ax.minorticks_off()
        ax.set_xlabel("Budget (labels)")
        ax.set_ylabel(self._label())
        ax.grid(alpha=0.3)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _label(self):
        what = title_of(self.metric)
        if self.classifier is not None:
            what = f"{self.classifier}, {what[0].lower()}{what[1:]}"
        return f"{what} (%)" if is_fraction(self.metric) else what
