"""What the displays share. Matplotlib is imported only when one is drawn."""

from __future__ import annotations

from skal._install import hint_for_extra

__all__ = ["CLASS_COLORS", "LINE_COLORS", "MARKERS", "NO_CLASS_COLOR", "pyplot"]

# Told apart with any color vision: Okabe and Ito's eight for lines, Tol's "muted" for points.
LINE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
CLASS_COLORS = (
    "#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#44AA99", "#882255", "#999933", "#AA4499", "#BBBBBB",
)  # fmt: skip
NO_CLASS_COLOR = "#E3E3E3"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f"Plots need matplotlib: `{hint_for_extra('plot')}`.") from error
    return plt
