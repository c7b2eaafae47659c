"""The picture of the README: what the same number of labels buys, from the scores of `benchmarks.beyond`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy import stats

# (sampler, head) as the tables name them, what the picture calls them, color-blind-safe colors
_PAIRS = (
    ("Graph coverage", "graph", "skal.LowBudgetClassifier()", "#0072B2", "o", "-"),
    ("K-means", "1-NN", "the paper: K-means, nearest neighbour", "#D55E00", "s", "--"),
    ("Random", "1-NN", "labels at random, nearest neighbour", "#777777", "^", ":"),
)


def draw_what_it_buys(
    scores_of: Callable[[str, int, str, str], dict[int, float]], pools: list[str], path: Path
) -> None:
    """Draw accuracy over labels a class, a panel a pool, with the 95 % interval of the mean over repetitions.

    `scores_of(pool, labels a class, sampler, head)` gives the scores by repetition.
    """
    figure = Figure(figsize=(4.4 * len(pools), 3.9), layout="constrained")
    for ax, pool in zip(figure.subplots(1, len(pools), sharey=True, squeeze=False)[0], pools, strict=True):
        for sampler, head, name, color, marker, line in _PAIRS:
            labels = [n for n in (1, 2, 5, 10) if scores_of(pool, n, sampler, head)]
            found = [np.array(list(scores_of(pool, n, sampler, head).values())) for n in labels]
            means = np.array([values.mean() for values in found])
            half = np.array([stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) for values in found])
            ax.plot(labels, means, color=color, marker=marker, linestyle=line, linewidth=2, markersize=6, label=name)
            ax.fill_between(labels, means - half, means + half, color=color, alpha=0.18, linewidth=0)
        ax.set_xscale("log")
        ax.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.minorticks_off()
        ax.set(title=pool, xlabel="labels a class")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    first = figure.axes[0]
    first.set_ylabel("test accuracy, %")
    first.legend(loc="lower right", fontsize=9)
    figure.savefig(path, dpi=160)
