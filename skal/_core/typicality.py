"""The rows of a cluster in the densest places: least mean distance to their nearest neighbours within it.

Float32 products bound that mean for every row, and float64 decides among the rows that the bounds leave. Means are
compared in float32, so that the last digits of a sum decide nothing; ties go to the lowest row.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.distances import k_lowest
from skal._core.greedy._sq_dist import Float32Bounds

__all__ = ["TypicalRows"]

_ELEMENTS_AT_ONCE = 1 << 24
_PAIR_ELEMENTS_AT_ONCE = 1 << 22


class TypicalRows:
    """The most typical rows of one cluster, one after the other.

    Parameters
    ----------
    blocks : Blocks of shape (n, d)
    member_idx : int64 ndarray of shape (m,)
        Rows of the cluster, ascending.
    n_neighbors : int
        How many the mean is over, at most the other members.

    Notes
    -----
    ``2·m²·d`` operations in float32, and ``m·d`` in float64 for each row that the bounds leave. Memory at work: the
    rows of the cluster in float64 and, for some of them at a time, their distances to all; afterwards two vectors.
    """

    def __init__(self, blocks: Blocks, member_idx: np.ndarray, n_neighbors: int) -> None:
        self._blocks, self._member_idx = blocks, member_idx
        self._n_neighbors = min(n_neighbors, len(member_idx) - 1)
        self._lower, self._upper = self._bounds()
        self._is_exact = np.zeros(len(member_idx), dtype=bool)

    def next(self, is_candidate: np.ndarray) -> int:
        """Return the most typical of the members marked in a mask of shape (m,), which marks one at least."""
        while True:
            least_upper = self._upper[is_candidate].min()
            contenders = np.flatnonzero(is_candidate & (self._lower <= least_upper))
            undecided = contenders[~self._is_exact[contenders]]
            if len(undecided) == 0:
                return int(self._member_idx[contenders[self._lower[contenders].argmin()]])
            self._lower[undecided] = self._upper[undecided] = self._exact(undecided)
            self._is_exact[undecided] = True

    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the mean distances, rounded as the means are, two of shape (m,)."""
        n_members = len(self._member_idx)
        lower, upper = np.zeros(n_members), np.full(n_members, np.inf)
        if self._n_neighbors < 1:
            return lower, upper
        rows = self._blocks.take(self._member_idx).float()
        bounds = Float32Bounds(rows.shape[1])
        sq_norms = rows.double().square().sum(dim=1)
        error = 2.0 * bounds.share * float(sq_norms.max()) + bounds.underflow
        for rows_at in torch.arange(n_members, device=rows.device).split(max(1, _ELEMENTS_AT_ONCE // n_members)):
            sq_dist = torch.addmm(sq_norms.float(), rows[rows_at], rows.T, alpha=-2)
            sq_dist[torch.arange(len(rows_at)), rows_at] = torch.inf
            nearest = k_lowest(sq_dist, self._n_neighbors).double() + sq_norms[rows_at, None]
            least, most = ((nearest + slack).clamp_(min=0).sqrt().mean(dim=1) for slack in (-error, error))
            part = rows_at.cpu().numpy()
            lower[part], upper[part] = _rounded(least), _rounded(most)
        return lower, upper

    def _exact(self, positions: np.ndarray) -> np.ndarray:
        """Mean distance to the nearest neighbours, by differences in float64, of shape (len(positions),)."""
        if self._n_neighbors < 1:
            return np.zeros(len(positions))
        rows = self._blocks.take(self._member_idx).double()
        rows_at = torch.from_numpy(positions).to(rows.device)
        means = []
        for part in rows_at.split(max(1, _PAIR_ELEMENTS_AT_ONCE // len(rows))):
            distances = torch.cdist(rows[part], rows, compute_mode="donot_use_mm_for_euclid_dist")
            distances[torch.arange(len(part)), part] = torch.inf
            means.append(distances.topk(self._n_neighbors, dim=1, largest=False).values.mean(dim=1))
        return _rounded(torch.cat(means))


def _rounded(means: Tensor) -> np.ndarray:
    rounded: np.ndarray = means.float().double().cpu().numpy()
    return rounded
