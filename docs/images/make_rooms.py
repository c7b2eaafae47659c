"""Draw the rooms of the package, one picture: python -m docs.images.make_rooms

`tests/test_layers.py` holds that they are all there and in the order in which imports go.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

# From the bottom to the top; a room may import from rows below it and from what stands left of it.
Row = tuple[str, str, tuple[tuple[str, str], ...]]  # its title, its color, and its rooms with what is in them
ROWS: tuple[Row, ...] = (
    (
        "arrays in, arrays out",
        "#DCE6F2",
        (
            ("_core", "passes, workers, K-means,\ngreedy, neighbours, training"),
            ("greedy", "objective × optimiser"),
            ("_files", "atomic writes, logs"),
            ("_dask", "the same passes\non a cluster"),
        ),
    ),
    (
        "what is opened and checked",
        "#DDEFE3",
        (
            ("_validation", "the door to scikit-learn,\nchecks, randomness"),
            ("pool", "Pool: rows seen by a metric,\nand what passes learned"),
            ("base", "BaseSampler: opens the pool,\nasks its hook, checks the answer"),
        ),
    ),
    (
        "estimators",
        "#FBEBD3",
        (
            ("features", "images →\nembeddings"),
            ("datasets", "readers"),
            ("classifiers", "graph, ridge,\nLIN, NN"),
            ("vision", "learn from\nimages"),
            ("samplers", "one a file"),
            ("rounds", "Ledger,\nIterativeSampler"),
            ("low_budget", "pick and\ntrain"),
        ),
    ),
    (
        "what people do with them",
        "#F5DDDD",
        (
            ("evaluation", "select → score →\nBudgetCurve"),
            ("labeling", "project, page,\nreport, formats"),
            ("plotting", "Displays"),
            ("testing", "check_sampler"),
            ("cli", "the command skal"),
        ),
    ),
)
_WIDTH, _ROOM_HEIGHT, _ROW_HEIGHT, _GAP = 12.0, 0.95, 1.69, 0.14


def draw() -> Figure:
    figure = Figure(figsize=(9.6, 5.0))
    ax = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    ax.set(xlim=(0, _WIDTH), ylim=(0, len(ROWS) * _ROW_HEIGHT + 0.1))
    ax.set_axis_off()
    for level, (title, color, rooms) in enumerate(ROWS):
        bottom = level * _ROW_HEIGHT
        _box(ax, 0.06, bottom + 0.08, _WIDTH - 0.12, _ROW_HEIGHT - 0.14, facecolor=color, edgecolor="none")
        ax.text(0.22, bottom + 1.33, title, fontsize=9.5, style="italic", color="#444444", va="center")
        width = (_WIDTH - 0.4 - _GAP * (len(rooms) - 1)) / len(rooms)
        for place, (name, what) in enumerate(rooms):
            left = 0.2 + place * (width + _GAP)
            middle = {"x": left + width / 2, "ha": "center", "va": "center"}
            _box(ax, left, bottom + 0.16, width, _ROOM_HEIGHT, facecolor="white", edgecolor="#888888")
            ax.text(y=bottom + 0.91, s=name, family="monospace", weight="bold", fontsize=9.5, **middle)
            ax.text(y=bottom + 0.52, s=what, fontsize=7.6, linespacing=1.15, **middle)
    return figure


def _box(ax: Axes, left: float, bottom: float, width: float, height: float, **colors: str) -> None:
    ax.add_patch(FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0,rounding_size=0.1", **colors))


if __name__ == "__main__":
    draw().savefig(Path(__file__).parent / "rooms.png", dpi=150)
