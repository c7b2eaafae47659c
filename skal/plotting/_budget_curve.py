"""Accuracy or coverage over budget."""

from __future__ import annotations

import numpy as np

from skal.plotting._pyplot import LINE_COLORS, MARKERS, pyplot

__all__ = ["BudgetCurveDisplay"]


class BudgetCurveDisplay:
    """Accuracy or coverage over budget, a line a sampler, with a band of ± one standard deviation.

    Parameters
    ----------
    lines : dict of str to list of dict
        For each sampler its rows of `BudgetCurve.to_rows`, by ascending budget.
    measure : str
        What the vertical axis shows.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of Line2D
        One a sampler.
    bands_ : list of PolyCollection
        One a sampler; none where there is a single seed.
    """

    def __init__(self, lines, measure):
        self.lines = lines
        self.measure = measure

    @classmethod
    def from_curve(cls, curve, measure, *, ax=None):
        """Draw one measure of a `BudgetCurve`.

        Parameters
        ----------
        curve : BudgetCurve
        measure : str
            A classifier's name, or "coverage".
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        BudgetCurveDisplay

        Raises
        ------
        ValueError
            If the curve has no such measure.
        """
        if measure not in curve.measures:
            raise ValueError(f"measure={measure!r} is not in this curve; it has {', '.join(curve.measures)}.")
        rows = [row for row in curve.to_rows() if row["measure"] == measure]
        lines = {name: [row for row in rows if row["sampler"] == name] for name in curve.samplers}
        return cls(lines, measure).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw, on `ax` or a new figure, and return the display."""
        if ax is None:
            _, ax = pyplot().subplots(layout="constrained")
        self.lines_, self.bands_ = [], []
        for position, (name, rows) in enumerate(self.lines.items()):
            budgets = [row["budget"] for row in rows]
            mean = 100 * np.array([row["mean"] for row in rows])
            std = 100 * np.array([row["std"] for row in rows])
            color, marker = LINE_COLORS[position % len(LINE_COLORS)], MARKERS[position % len(MARKERS)]
            (line,) = ax.plot(budgets, mean, color=color, marker=marker, markersize=5, label=name)
            self.lines_.append(line)
            if np.isfinite(std).all():
                self.bands_.append(ax.fill_between(budgets, mean - std, mean + std, color=color, alpha=0.15))
        ax.set_xscale("log")
        ax.set_xticks(budgets, [str(budget) for budget in budgets])
        ax.minorticks_off()
        ax.set_xlabel("Budget (labels)")
        ax.set_ylabel("Category coverage (%)" if self.measure == "coverage" else f"{self.measure} accuracy (%)")
        ax.grid(alpha=0.3)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
