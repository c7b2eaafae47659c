"""The plain greedy: every gain is asked for before every pick."""

from __future__ import annotations

import numpy as np

from skal._core.greedy._objective import Objective

__all__ = ["plain_greedy"]


def plain_greedy(objective: Objective, budget: int, *, excluded: np.ndarray | None = None) -> np.ndarray:
    """Add `budget` times the row of largest gain, ties to the lowest row.

    Works for any objective, and is what `LazyGreedy` is tested against. ``n · budget`` gains are asked for.

    Parameters
    ----------
    objective : Objective
        Changed: the picks are added to it.
    budget : int
        At most the rows that are not excluded.
    excluded : int64 ndarray, default=None
        Rows that are no candidates.

    Returns
    -------
    int64 ndarray of shape (budget,)
        In the order of the picks.

    See Also
    --------
    LazyGreedy : The same picks, in fewer evaluations.
    """
    is_candidate = np.ones(objective.n_rows, dtype=bool)
    if excluded is not None:
        is_candidate[excluded] = False
    picks = np.empty(budget, dtype=np.int64)
    for step in range(budget):
        candidate_idx = np.flatnonzero(is_candidate)
        picks[step] = candidate_idx[objective.gains_in_parts(candidate_idx).argmax()]
        objective.add(int(picks[step]))
        is_candidate[picks[step]] = False
    return picks
