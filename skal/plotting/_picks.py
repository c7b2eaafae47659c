"""Row numbers of what was picked."""

from __future__ import annotations

import numpy as np

__all__ = ["check_picks"]


def check_picks(indices, n_samples):
    """Return the picks in their order, an integer array of shape (n_picks,); ValueError says what is wrong."""
    picks = np.asarray(indices)
    if picks.dtype == bool:
        raise ValueError("indices is a boolean mask; pass row numbers: np.flatnonzero(mask).")
    if picks.ndim != 1 or picks.size == 0 or picks.dtype.kind not in "iu":
        raise ValueError(f"indices must be the numbers of one picked row or more; found {indices!r}.")
    outside = picks[(picks < 0) | (picks >= n_samples)]
    if outside.size:
        raise ValueError(f"indices holds {outside[0]}, which is not a row of the pool: n_samples={n_samples}.")
    return picks
