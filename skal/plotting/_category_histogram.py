"""How evenly the picks lie over the categories."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from skal.evaluation import category_counts
from skal.plotting._pyplot import LINE_COLORS, MARKERS, pyplot

__all__ = ["CategoryHistogramDisplay"]


class CategoryHistogramDisplay:
    """The number of categories over how often each was picked, a line a sampler.

    An even choice is a single peak at budget / n_categories, where a dotted line stands; categories at 0 were
    missed.

    Parameters
    ----------
    histograms : dict of str to ndarray of shape (n_sizes,), float64
        For each sampler how many categories have 0, 1, 2, … picks; a mean over seeds where there are several.
    mean_picks : float
        Picks per category.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of Line2D
        One a sampler.
    even_line_ : Line2D
        Where an even choice would have all categories.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active Learning", Table 6b
       and Figure 3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.plotting import CategoryHistogramDisplay
    >>> from skal.samplers import KMeansSampler, RandomSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> picks = {
    ...     "Random": RandomSampler(30, random_state=0).fit_select(X),
    ...     "K-means": KMeansSampler(30, random_state=0).fit_select(X),
    ... }
    >>> from matplotlib.figure import Figure
    >>> display = CategoryHistogramDisplay.from_indices(y, picks, ax=Figure().subplots())
    >>> display.mean_picks
    3.0
    """

    def __init__(self, histograms, mean_picks):
        self.histograms = histograms
        self.mean_picks = mean_picks

    @classmethod
    def from_indices(cls, y, indices, *, ax=None):
        """Draw the categories of some picks.

        Parameters
        ----------
        y : array-like of shape (n,)
            The category of every row of the pool.
        indices : array-like of int of shape (n_picks,), or dict of str to such
            The picked rows, of one sampler or of several by name.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CategoryHistogramDisplay

        Raises
        ------
        ValueError
            If there is no sampler, or the samplers picked different numbers of rows.
        """
        by_name = indices if isinstance(indices, Mapping) else {"picks": indices}
        return cls._from_seeds(y, {name: [picks] for name, picks in by_name.items()}, ax)

    @classmethod
    def from_curve(cls, curve, y, budget, *, ax=None):
        """Draw the categories of the picks in a `BudgetCurve`, a mean over its seeds.

        Parameters
        ----------
        curve : BudgetCurve
        y : array-like of shape (n,)
            The category of every row of the pool.
        budget : int
            One of the curve's.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CategoryHistogramDisplay

        Raises
        ------
        ValueError
            If the curve has no such budget.
        """
        if budget not in curve.budgets:
            raise ValueError(
                f"budget={budget!r} is not in this curve; it has {', '.join(str(known) for known in curve.budgets)}."
            )
        seeds = {
            name: [rows for key, rows in curve.selections.items() if (key.sampler, key.budget) == (name, budget)]
            for name in curve.samplers
        }
        return cls._from_seeds(y, seeds, ax)

    @classmethod
    def _from_seeds(cls, y, seeds, ax):
        counts = {name: [category_counts(y, picks) for picks in runs] for name, runs in seeds.items()}
        budgets = {int(each.sum()) for runs in counts.values() for each in runs}
        if len(budgets) != 1:
            raise ValueError(f"All samplers must have picked equally many rows, and one or more; found {budgets}.")
        n_sizes = 1 + max(int(each.max()) for runs in counts.values() for each in runs)
        histograms = {
            name: np.mean([np.bincount(each, minlength=n_sizes) for each in runs], axis=0)
            for name, runs in counts.items()
        }
        n_categories = next(iter(histograms.values())).sum()
        return cls(histograms, float(budgets.pop() / n_categories)).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw, on `ax` or a new figure, and return the display."""
        plt = pyplot()
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.even_line_ = ax.axvline(self.mean_picks, color="0.4", linestyle=":", zorder=1, label="even choice")
        self.lines_ = []
        for position, (name, histogram) in enumerate(self.histograms.items()):
            aside = 0.3 * ((position + 0.5) / len(self.histograms) - 0.5)  # equal lines stay visible
            (line,) = ax.plot(
                np.arange(len(histogram)) + aside,
                histogram,
                color=LINE_COLORS[position % len(LINE_COLORS)],
                marker=MARKERS[position % len(MARKERS)],
                markersize=5,
                label=name,
            )
            self.lines_.append(line)
        for axis in (ax.xaxis, ax.yaxis):
            axis.get_major_locator().set_params(integer=True)
        ax.set_ylim(bottom=0)
        ax.set_xlabel("Picks of a category")
        ax.set_ylabel("Categories")
        ax.grid(alpha=0.3)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
