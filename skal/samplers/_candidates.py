"""Which rows of a large pool may be picked."""

from __future__ import annotations

import numpy as np

__all__ = ["sampled_candidates"]

_DRAWN_A_PICK = 8


def sampled_candidates(request, max_candidates):
    """Draw the rows of a large pool that may be picked, or return None where all may.

    Parameters
    ----------
    request : SelectionRequest
    max_candidates : int or None
        Rows to draw, or eight times the budget where that is more. None means that all may be picked.

    Returns
    -------
    int64 ndarray, ascending, or None
    """
    candidate_idx = request.candidate_idx
    if max_candidates is None or len(candidate_idx) <= (n_drawn := max(max_candidates, _DRAWN_A_PICK * request.budget)):
        return None
    return np.sort(request.rng.choice(candidate_idx, size=n_drawn, replace=False))
