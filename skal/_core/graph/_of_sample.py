"""Nearest neighbours among the rows of a sample."""

from __future__ import annotations

import numpy as np

from skal._core.blocks import Blocks
from skal._core.graph._cells import neighbors_by_cells
from skal._core.graph._exact import exact_neighbors
from skal._core.graph._neighbors import Neighbors

__all__ = ["neighbors_of_sample"]

_EXACT_UP_TO_ROWS = 16_384
_MIN_RECALL = 0.97


def neighbors_of_sample(rows: Blocks, k: int) -> Neighbors:
    """Return the k nearest other rows of each, fewer where there are not so many; by cells beyond 16,384 rows."""
    k = min(k, rows.n_rows - 1)
    if rows.n_rows <= _EXACT_UP_TO_ROWS:
        return exact_neighbors(rows, k)
    return neighbors_by_cells(rows, k, np.random.default_rng(0), min_recall=_MIN_RECALL)
