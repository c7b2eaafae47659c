"""How much of a pool is covered at each budget, before paying."""

from __future__ import annotations

from skal.plotting._pyplot import LINE_COLORS, pyplot

__all__ = ["CoverageCurveDisplay"]


class CoverageCurveDisplay:
    """Coverage and covering radius over the budget, the knee marked.

    Parameters
    ----------
    curve : CoverageCurve

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the coverage.
    radius_ax_ : matplotlib Axes
        Of the radius, to the right.
    figure_ : matplotlib Figure
    coverage_line_, radius_line_, knee_line_ : Line2D

    See Also
    --------
    skal.evaluation.coverage_curve : Makes the curve.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skal.evaluation import coverage_curve
    >>> from skal.plotting import CoverageCurveDisplay
    >>> curve = coverage_curve(load_digits().data, 50)
    >>> display = CoverageCurveDisplay.from_curve(curve, ax=Figure().subplots())
    >>> display.ax_.get_ylabel()
    'Coverage of the pool (%)'
    """

    def __init__(self, curve):
        self.curve = curve

    @classmethod
    def from_curve(cls, curve, *, ax=None):
        """Draw a `CoverageCurve`.

        Parameters
        ----------
        curve : CoverageCurve
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CoverageCurveDisplay
        """
        return cls(curve).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw, on `ax` or a new figure, and return the display."""
        if ax is None:
            _, ax = pyplot().subplots(layout="constrained")
        curve = self.curve
        (self.coverage_line_,) = ax.plot(curve.budgets, 100 * curve.coverage, color=LINE_COLORS[0], label="Coverage")
        self.knee_line_ = ax.axvline(curve.knee, color="0.4", linestyle=":", label=f"Knee: {curve.knee} labels")
        radius_ax = ax.twinx()
        (self.radius_line_,) = radius_ax.plot(
            curve.budgets, curve.radius, color=LINE_COLORS[1], linestyle="--", label="Distance of the farthest row"
        )
        ax.set_xlabel("Budget (labels)")
        ax.set_ylabel("Coverage of the pool (%)", color=LINE_COLORS[0])
        ax.set_ylim(0, 100)
        radius_ax.set_ylabel("Distance of the farthest row", color=LINE_COLORS[1])
        radius_ax.spines["right"].set_visible(True)
        radius_ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
        ax.legend(handles=[self.coverage_line_, self.radius_line_, self.knee_line_], loc="lower right")
        self.ax_, self.radius_ax_, self.figure_ = ax, radius_ax, ax.figure
        return self
