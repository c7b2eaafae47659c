"""How evenly the picks lie over the categories."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from skal.evaluation import category_counts
from skal.plotting._pyplot import LINE_COLORS, MARKERS, pyplot

__all__ = ["CategoryHistogramDisplay"]

_MOST_BARS = 12
_KINDS = ("auto", "bars", "lines")


class CategoryHistogramDisplay:
    """How often the categories were picked: a bar each where they are few, else how many have how many picks.

    A dotted line stands at budget / n_categories, which is what an even choice picks of each category: then all bars
    end there, or the lines have a single peak there. Categories with 0 picks were missed.

    Parameters
    ----------
    counts : dict of str to ndarray of shape (n_seeds, n_categories)
        For each sampler the picks of each category.
    names : sequence of str of length n_categories
        What the categories are called.

    Attributes
    ----------
    histograms : dict of str to ndarray of shape (n_sizes,), float64
        For each sampler how many categories have 0, 1, 2, … picks; a mean over seeds where there are several.
    mean_picks : float
        Picks per category.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : list of BarContainer
        One a sampler, a bar a category; empty where lines were drawn.
    lines_ : list of Line2D
        One a sampler; empty where bars were drawn.
    even_line_ : Line2D
        Where an even choice would have all categories.

    See Also
    --------
    skal.evaluation.category_counts : The counts as numbers.

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

    def __init__(self, counts, names):
        self.counts = counts
        self.names = names
        n_sizes = 1 + max(int(each.max()) for each in counts.values())
        self.histograms = {
            name: np.mean([np.bincount(each, minlength=n_sizes) for each in runs], axis=0)
            for name, runs in counts.items()
        }
        self.mean_picks = float(next(iter(counts.values()))[0].mean())

    @classmethod
    def from_indices(cls, y, indices, *, class_names=None, kind="auto", ax=None):
        """Draw the categories of some picks.

        Parameters
        ----------
        y : array-like of shape (n,)
            The category of every row of the pool.
        indices : array-like of int of shape (n_picks,), or dict of str to such
            The picked rows, of one sampler or of several by name.
        class_names : sequence of str, default=None
            What the categories are called, in sorted order of y. None takes the values of y.
        kind : {"auto", "bars", "lines"}, default="auto"
            "bars" is a bar a category with its name, "lines" how many categories have how many picks. "auto" draws
            bars for twelve categories at most.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CategoryHistogramDisplay

        Raises
        ------
        ValueError
            If there is no sampler, the samplers picked different numbers of rows, `class_names` are not as many as
            the categories, or the kind is not known.
        """
        by_name = indices if isinstance(indices, Mapping) else {"picks": indices}
        return cls._from_seeds(y, {name: [picks] for name, picks in by_name.items()}, class_names).plot(kind, ax=ax)

    @classmethod
    def from_curve(cls, curve, y, budget, *, class_names=None, kind="auto", ax=None):
        """Draw the categories of the picks in a `BudgetCurve`, a mean over its seeds.

        Parameters
        ----------
        curve : BudgetCurve
        y : array-like of shape (n,)
            The category of every row of the pool.
        budget : int
            One of the curve's.
        class_names, kind, ax
            As in `from_indices`.

        Returns
        -------
        CategoryHistogramDisplay

        Raises
        ------
        ValueError
            If the curve has no such budget, or as `from_indices` does.
        """
        if budget not in curve.budgets:
            raise ValueError(
                f"budget={budget!r} is not in this curve; it has {', '.join(str(known) for known in curve.budgets)}."
            )
        seeds = {
            name: [rows for key, rows in curve.selections.items() if (key.sampler, key.budget) == (name, budget)]
            for name in curve.samplers
        }
        return cls._from_seeds(y, seeds, class_names).plot(kind, ax=ax)

    @classmethod
    def _from_seeds(cls, y, seeds, class_names):
        counts = {name: np.array([category_counts(y, picks) for picks in runs]) for name, runs in seeds.items()}
        budgets = {int(each.sum()) for runs in counts.values() for each in runs}
        if len(budgets) != 1:
            raise ValueError(f"All samplers must have picked equally many rows, and one or more; found {budgets}.")
        categories = np.unique(np.asarray(y)).tolist()
        names = categories if class_names is None else list(class_names)
        if len(names) != len(categories):
            raise ValueError(f"class_names has {len(names)} names for the {len(categories)} categories of y.")
        return cls(counts, [str(name) for name in names])

    def plot(self, kind="auto", *, ax=None):
        """Draw, on `ax` or a new figure, and return the display; `kind` as in `from_indices`."""
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}; found {kind!r}.")
        if ax is None:
            _, ax = pyplot().subplots(layout="constrained")
        self.bars_, self.lines_ = [], []
        if kind == "bars" or (kind == "auto" and len(self.names) <= _MOST_BARS):
            self._draw_bars(ax)
        else:
            self._draw_lines(ax)
        ax.set_ylim(bottom=0)
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.legend(ncols=2 if self.bars_ else 1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_bars(self, ax):
        self.even_line_ = ax.axhline(self.mean_picks, color="0.4", linestyle=":", label="even choice")
        width = 0.8 / len(self.counts)
        places = np.arange(len(self.names))
        for position, (name, runs) in enumerate(self.counts.items()):
            aside = (position - (len(self.counts) - 1) / 2) * width
            color = LINE_COLORS[position % len(LINE_COLORS)]
            self.bars_.append(ax.bar(places + aside, runs.mean(axis=0), 0.9 * width, color=color, label=name))
        is_long = max(map(len, self.names)) > 4
        ax.set_xticks(places, self.names, rotation=30 if is_long else 0, ha="right" if is_long else "center")
        ax.set_ylabel("Picks")
        n_legend_lines = -(-(1 + len(self.counts)) // 2)
        ax.margins(y=0.1 * (1 + n_legend_lines))  # the legend stands above the bars
        ax.grid(axis="y", alpha=0.3)
        ax.set_axisbelow(True)

    def _draw_lines(self, ax):
        self.even_line_ = ax.axvline(self.mean_picks, color="0.4", linestyle=":", zorder=1, label="even choice")
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
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel("Picks of a category")
        ax.set_ylabel("Categories")
        ax.grid(alpha=0.3)
