"""Swaps of picks for other rows, as long as rows agree more with their nearest pick."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skal._core.distances import half_sq_norms, lowest
from skal._core.products import affine
from skal._core.workers import on_workers

__all__ = ["NearestSwaps"]

_PAIRS_AT_ONCE = 1 << 18
_PAIRS_TO_PICKS_AT_ONCE = 1 << 22
_LEAST_FOR_A_PRODUCT = 64  # candidates: with fewer, all rows are read for little


class NearestSwaps:
    """Rows that cover, each the rows that it is the nearest to, and trials of others in their place.

    A row agrees with a pick to the square of the share of clusterings in which both share a cluster. What swaps raise
    is the sum of what each row agrees with its nearest pick, in whole numbers, so that no order of summation counts.

    Parameters
    ----------
    rows : Tensor of shape (m, d), float32
    clusterings : uint8 or int16 Tensor of shape (T, m)
        The cluster of each row, each of T times.
    fixed : int64 Tensor
        Rows that cover and stay, as those that are labelled.
    picks : int64 Tensor
        Rows that cover and may be swapped.

    Notes
    -----
    Memory: 72 bytes for each of m rows at the most, and some 20 for each of 2¹⁸ pairs at a time.
    """

    @on_workers()
    def __init__(self, rows: Tensor, clusterings: Tensor, fixed: Tensor, picks: Tensor) -> None:
        self._rows, self._clusterings = rows, clusterings
        self._half_norms = half_sq_norms(rows)
        self._n_fixed = len(fixed)
        self._covering = torch.cat([fixed, picks])
        m = len(rows)
        most = len(clusterings) ** 2 * m
        self._whole = torch.int32 if most < 2**31 else torch.int64  # holds any sum of what rows agree
        self._nearest = torch.zeros((2, m), dtype=torch.int64, device=rows.device)  # and the next, of what covers
        self._score = torch.full((2, m), torch.inf, device=rows.device)
        self._agreement = torch.zeros((2, m), dtype=self._whole, device=rows.device)
        self._find_nearest(torch.arange(m, device=rows.device))

    @property
    def picks(self) -> Tensor:
        """Those that are picked now, int64."""
        return self._covering[self._n_fixed :]

    def agreement(self) -> float:
        """Return what a row agrees with what covers it, on average, in [0, 1]."""
        most = len(self._clusterings) ** 2 * len(self._rows)
        return self._sum() / most if most else 0.0

    def n_covered_by_each(self) -> Tensor:
        """Return of how many rows each pick is the nearest of what covers, int64."""
        return torch.bincount(self._nearest[0], minlength=len(self._covering))[self._n_fixed :]

    @on_workers()
    def try_rows(self, candidates: Tensor) -> int:
        """Try some rows in the place of each pick, and swap as long as one raises the sum; return how often.

        Some rows at a time are tried together; of these the best swap is made, and they are tried again.

        Parameters
        ----------
        candidates : int64 Tensor of shape (c,)
            None that covers.

        Returns
        -------
        int

        Notes
        -----
        ``2·c·m·d`` operations and ``c·m·T`` comparisons. For each swap ``6·m·d`` operations, and the gains of the rows
        that are tried together, 2¹⁸ / m of them, are found anew.
        """
        n_tried = max(1, _PAIRS_AT_ONCE // max(1, len(self._rows)))
        n_swaps = 0
        for many in candidates.split(max(n_tried, _LEAST_FOR_A_PRODUCT)):
            scores = affine(self._half_norms[many], self._rows, self._rows[many].T, alpha=-1)
            for some, score in zip(many.split(n_tried), scores.split(n_tried, dim=1), strict=True):
                n_swaps += self._try_together(some, score)
        return n_swaps

    def _try_together(self, some: Tensor, score: Tensor) -> int:
        agreement = self._agreement_with(some)
        is_left = torch.ones(len(some), dtype=torch.bool, device=some.device)
        n_swaps = 0
        while bool(is_left.any()):
            gain, place, candidate = self._best_swap(score, agreement, is_left)
            if gain <= 0:
                break
            n_swaps += self._swap(place, int(some[candidate]), score[:, candidate])
            is_left[candidate] = False
        return n_swaps

    def _best_swap(self, score: Tensor, agreement: Tensor, is_left: Tensor) -> tuple[int, int, int]:
        """Find which swap raises the sum most: by how much, the place of the pick, and that of the candidate.

        A row goes to the candidate if that is nearer than its nearest, whichever pick goes. Else only the rows of the
        pick that goes move, to the candidate or to their next.
        """
        agreed, agreed_with_next = self._agreement[0][:, None], self._agreement[1][:, None]
        change = agreement - agreed
        is_nearer = score < self._score[0][:, None]
        for_all = torch.where(is_nearer, change, 0).sum(dim=0)
        change_of_own = torch.where(score < self._score[1][:, None], change, agreed_with_next - agreed)
        change_of_own.masked_fill_(is_nearer, 0)
        shape = len(self._covering), score.shape[1]
        of_each = torch.zeros(shape, dtype=change.dtype, device=change.device)
        of_each.index_add_(0, self._nearest[0], change_of_own)
        gains = (of_each[self._n_fixed :].long() + for_all).masked_fill_(~is_left, torch.iinfo(torch.int64).min)
        best = int(gains.argmax())
        place, candidate = divmod(best, score.shape[1])
        return int(gains[place, candidate]), self._n_fixed + place, candidate

    def _swap(self, place: int, row: int, score: Tensor) -> bool:
        """Swap a pick for a row unless the sum is no higher then, as may be where rows are as near to two picks."""
        before = self._sum(), self._covering, self._nearest, self._score, self._agreement
        self._covering, self._nearest, self._score, self._agreement = (each.clone() for each in before[1:])
        self._covering[place] = row
        is_changed = (self._nearest == place).any(dim=0) | (score < self._score[1])
        self._find_nearest(is_changed.nonzero().flatten())
        if self._sum() > before[0]:
            return True
        self._covering, self._nearest, self._score, self._agreement = before[1:]
        return False

    def _sum(self) -> int:
        return int(self._agreement[0].sum(dtype=torch.int64))

    def _find_nearest(self, which: Tensor) -> None:
        """Find for some rows the nearest and the next of what covers, and what the rows agree with them."""
        covering = self._rows[self._covering]
        half_norms = self._half_norms[self._covering]
        for some in which.split(max(1, _PAIRS_TO_PICKS_AT_ONCE // len(covering))):
            score = affine(half_norms, self._rows[some], covering.T, alpha=-1)
            for rank in range(min(2, len(covering))):
                self._score[rank, some], nearest = lowest(score)
                self._nearest[rank, some] = nearest
                shared = self._clusterings[:, some] == self._clusterings[:, self._covering[nearest]]
                self._agreement[rank, some] = shared.sum(dim=0, dtype=self._whole).square_()
                score.scatter_(1, nearest[:, None], torch.inf)

    def _agreement_with(self, candidates: Tensor) -> Tensor:
        """Return how much each row agrees with each candidate, (m, c): times in one cluster, squared."""
        shared = times_together(self._clusterings, candidates).T.to(self._whole, memory_format=torch.contiguous_format)
        return shared.square_()


def times_together(clusterings: Tensor, which: Tensor) -> Tensor:
    """Count how often each of some rows shares a cluster with each row, uint8 of shape (c, m).

    `clusterings` are of shape (T, m), T at most 255.
    """
    shape = len(which), clusterings.shape[1]
    count = torch.zeros(shape, dtype=torch.uint8, device=clusterings.device)
    if clusterings.device.type != "cpu":
        for clusters in clusterings:
            count += clusters == clusters[which][:, None]
        return count
    is_shared = np.empty(shape, dtype=bool)  # numpy takes a tenth of torch's time
    for clusters, own in zip(clusterings.numpy(), clusterings[:, which].numpy(), strict=True):
        np.equal(clusters, own[:, None], out=is_shared)
        count.numpy()[...] += is_shared.view(np.uint8)
    return count
