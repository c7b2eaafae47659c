"""The lazy greedy, in batches: the picks of the plain greedy, while most gains are never asked for again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from skal._core.greedy._objective import Candidates, Objective
from skal._core.workers import on_workers

__all__ = ["LazyGreedy"]

# Rows whose bounds are this near those of the candidates are renewed with them: they would be next.
_RENEWED = 0.92
_RENEWED_FOR_ONE_PICK = 0.99
# The best of a few gains rules out most of the candidates behind them.
_SETTLED_FIRST = 8


class _Rival(NamedTuple):
    """The largest bound outside the candidates, and the lowest row that has it."""

    upper: float
    row: int


class LazyGreedy:
    """Greedy for an objective whose gains only fall.

    A gain that was true once is an upper bound from then on, and a row is looked at again only when its bound
    could win. The rows of largest bounds are candidates, together: greedy runs among them for as long
    as one of them is known to beat every bound outside.

    Parameters
    ----------
    objective : Objective
        Changed: the picks are added to it.
    excluded : int64 ndarray, default=None
        Rows that are no candidates.

    Raises
    ------
    ValueError
        If the gains of the objective can rise.

    See Also
    --------
    plain_greedy : The same picks by definition, to compare with.
    Objective : What to maximise; its example runs this.

    Notes
    -----
    The picks are those of `plain_greedy`, ties included. Beside the objective: two vectors of length n.

    References
    ----------
    .. [1] Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
    """

    @on_workers()
    def __init__(self, objective: Objective, *, excluded: np.ndarray | None = None) -> None:
        if not objective.gains_only_fall:
            raise ValueError(
                f"LazyGreedy needs gains that only fall, and {type(objective).__name__} does not say that its do: "
                "set gains_only_fall = True where that holds, or use plain_greedy."
            )
        self._objective = objective
        self._upper = objective.upper_bounds(np.arange(objective.n_rows))
        self._renewed_at = np.zeros(objective.n_rows, dtype=np.int32)
        self._n_added = 0
        self._n_left = objective.n_rows
        if excluded is not None:
            self._upper[excluded] = -np.inf
            self._n_left -= len(excluded)

    def pick(self, budget: int, on_batch: Callable[[int, float], object] = lambda n_picks, bound: None) -> np.ndarray:
        """Add `budget` more rows.

        Parameters
        ----------
        budget : int
            At most the rows that are left.
        on_batch : callable of (picks so far in this call, an upper bound on the gains that are left)
            Called after each batch of candidates.

        Returns
        -------
        int64 ndarray of shape (budget,)
            In the order of the picks.
        """
        return self._pick(budget, on_batch, -np.inf)

    def pick_while_it_gains(
        self, budget: int, on_batch: Callable[[int, float], object] = lambda n_picks, bound: None
    ) -> np.ndarray:
        """Add at most `budget` more rows, as `pick` does, until none gains more than the objective's `least_gain`.

        Returns
        -------
        int64 ndarray of shape (at most budget,)
        """
        return self._pick(min(budget, self._n_left), on_batch, self._objective.least_gain)

    @on_workers()
    def _pick(self, budget: int, on_batch: Callable[[int, float], object], more_than: float) -> np.ndarray:
        picks: list[int] = []
        while len(picks) < budget:
            candidates, rival = self._choose_candidates(self._objective.n_candidates, _RENEWED)
            n_before = len(picks)
            while len(picks) < budget and (position := _winner(candidates, rival)) is not None:
                if candidates.lower[position] < candidates.upper[position] and more_than > -np.inf:
                    candidates.settle(np.array([position]))
                if candidates.upper[position] <= more_than:
                    return np.array(picks, dtype=np.int64)
                picks.append(int(candidates.row_idx[position]))
                candidates.add(position)
            self._close(candidates, len(picks) - n_before)
            on_batch(len(picks), max(float(candidates.upper.max()), rival.upper, self._objective.least_gain))
        return np.array(picks, dtype=np.int64)

    @on_workers()
    def largest_gain(self) -> float:
        """Say what the next pick would gain, without adding it; -inf where no row is left."""
        n_rows = 1
        while self._n_left:
            candidates, rival = self._choose_candidates(n_rows, _RENEWED_FOR_ONE_PICK)
            position = _winner(candidates, rival)
            if position is not None:
                candidates.settle(np.array([position]))
            self._close(candidates, 0)
            if position is not None:
                return float(candidates.upper[position])
            n_rows = min(2 * n_rows, self._objective.n_candidates)
        return -np.inf

    def _choose_candidates(self, n_rows: int, renewed_share: float) -> tuple[Candidates, _Rival]:
        """Make the rows of largest bounds candidates, ties to the lowest row."""
        n_wanted = min(n_rows, self._n_left)
        n_ranked = min(n_wanted + 1, self._n_left)
        limit = self._renew(n_ranked, renewed_share)
        at_least = np.flatnonzero(self._upper >= limit)
        order = np.argsort(-self._upper[at_least], kind="stable")
        row_idx = np.sort(at_least[order[:n_wanted]])
        rival = _Rival(-np.inf, self._objective.n_rows)
        if n_ranked > n_wanted:
            rival = _Rival(limit, int(at_least[order[n_wanted]]))
        return self._objective.candidates(row_idx, self._upper[row_idx]), rival

    def _renew(self, n_ranked: int, share: float) -> float:
        """Renew the bounds that could be among the `n_ranked` largest; return the last of these."""
        while True:
            limit = float(torch.from_numpy(self._upper).topk(n_ranked).values[-1])
            if not self._objective.bounds_are_cheap:
                return limit
            could_fall = self._upper > self._objective.least_gain
            near = np.flatnonzero(could_fall & (self._upper >= (limit * share if limit > 0 else limit)))
            stale = near[self._renewed_at[near] < self._n_added]
            if not (self._upper[stale] >= limit).any():
                return limit
            self._upper[stale] = np.minimum(self._upper[stale], self._objective.upper_bounds(stale))
            self._renewed_at[stale] = self._n_added

    def _close(self, candidates: Candidates, n_picks: int) -> None:
        candidates.close()
        self._n_added += n_picks
        self._n_left -= n_picks
        self._upper[candidates.row_idx] = candidates.upper
        if self._objective.bounds_are_cheap:
            self._renewed_at[candidates.row_idx] = self._n_added


def _winner(candidates: Candidates, rival: _Rival) -> int | None:
    """Find the position of the next pick, or None where a row outside could be it."""
    n_settled = _SETTLED_FIRST
    while True:
        upper, lower = candidates.upper, candidates.lower
        largest_upper, largest_lower = upper[upper.argmax()], lower[lower.argmax()]
        if rival.upper > largest_upper or largest_upper == -np.inf:
            return None
        contenders = (upper >= largest_lower).nonzero()[0]
        undecided = contenders[lower[contenders] < upper[contenders]]
        if len(undecided) == 0 or (len(contenders) == 1 and rival.upper < largest_lower):
            winner = int(contenders[0])
            is_beaten = (rival.upper, -rival.row) > (largest_lower, -candidates.row_idx[winner])
            return None if is_beaten else winner
        by_upper = undecided[np.argsort(-upper[undecided], kind="stable")]
        candidates.settle(by_upper[:n_settled])
        n_settled *= 2
