"""Displays in the manner of scikit-learn. Matplotlib is imported only when one is drawn."""

from __future__ import annotations

import numpy as np

__all__ = ["BudgetCurveDisplay", "PickedImagesDisplay"]


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Plots need matplotlib: `pip install skal[plot]`.") from error
    return plt


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
            _, ax = _pyplot().subplots(layout="constrained")
        self.lines_, self.bands_ = [], []
        for name, rows in self.lines.items():
            budgets = [row["budget"] for row in rows]
            mean = 100 * np.array([row["mean"] for row in rows])
            std = 100 * np.array([row["std"] for row in rows])
            (line,) = ax.plot(budgets, mean, marker="o", label=name)
            self.lines_.append(line)
            if np.isfinite(std).all():
                self.bands_.append(ax.fill_between(budgets, mean - std, mean + std, color=line.get_color(), alpha=0.2))
        ax.set_xscale("log")
        ax.set_xticks(budgets, [str(budget) for budget in budgets])
        ax.minorticks_off()
        ax.set_xlabel("Budget (labels)")
        ax.set_ylabel("Category coverage (%)" if self.measure == "coverage" else f"{self.measure} accuracy (%)")
        ax.grid(alpha=0.3)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


class PickedImagesDisplay:
    """The images a sampler picked, in the order of the picks.

    Parameters
    ----------
    images : array-like of shape (n_picks, h, w) or (n_picks, h, w, 3)
    titles : sequence of str, default=None
        One an image.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of Axes
        One an image, and empty ones that fill the last line.
    images_ : list of AxesImage
    """

    def __init__(self, images, titles=None):
        self.images = images
        self.titles = titles

    @classmethod
    def from_indices(cls, images, indices, *, titles=None, n_columns=10):
        """Draw the images at `indices`.

        Parameters
        ----------
        images : array-like of shape (n, h, w) or (n, h, w, 3)
            The whole pool.
        indices : array-like of int of shape (n_picks,)
        titles : array-like of shape (n,), default=None
            Of the whole pool, such as its labels.
        n_columns : int, default=10

        Returns
        -------
        PickedImagesDisplay
        """
        picked_titles = None if titles is None else [str(titles[index]) for index in indices]
        return cls([images[index] for index in indices], picked_titles).plot(n_columns=n_columns)

    def plot(self, *, n_columns=10):
        """Draw a new figure, `n_columns` images a line, and return the display."""
        n_columns = min(n_columns, len(self.images))
        n_lines = -(-len(self.images) // n_columns)
        line_height = 0.8 if self.titles is None else 1.0
        figure, axes = _pyplot().subplots(
            n_lines,
            n_columns,
            figsize=(0.8 * n_columns, line_height * n_lines + 0.4),
            squeeze=False,
            layout="constrained",
        )
        self.images_ = []
        for position, ax in enumerate(axes.flat):
            ax.set_axis_off()
            if position < len(self.images):
                self.images_.append(ax.imshow(self.images[position], cmap="gray_r"))
                if self.titles is not None:
                    ax.set_title(self.titles[position], fontsize=9, pad=2)
        self.figure_, self.axes_ = figure, axes
        return self
