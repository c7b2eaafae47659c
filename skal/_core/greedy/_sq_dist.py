"""Squared distances twice: bounds from float32 matrix products, and float64 differences, which are the definition.

Let X = ‖x‖² and C = ‖c‖² be the squared norms of a row and a center of d features, and u = 2⁻²⁴. The float32 value
of ``‖c‖² − 2·x·c + ‖x‖²``, of rows rounded to float32, differs from the float64 squared distance of the rows as they
were by at most κ·(X + C) with κ = (2.125·d + 96)·u, whatever the order of summation. The matrix product may be off by
2·(d + 1)·u·(√(XC) + C/2), which is at most 1.62·(d + 1)·u·(X + C); the norms take d/8 of κ, rows normalised in
float32 d/4, and the rest is for roundings of single operations. So half norms that are inflated by 1 + κ give upper
bounds, and deflated ones lower bounds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["Float32Bounds", "sq_dist_of_pairs"]

_UNIT = 2.0**-24
_SMALLEST_NORMAL = 2.0**-126
_SAFE_SQ_DIST = 1e37  # rows farther apart may overflow float32 on the way
_PAIR_ELEMENTS_AT_ONCE = 1 << 17
_CENTERS_AT_ONCE = 4096


class Float32Bounds:
    """Bounds on squared distances between rows of `n_features`, from float32 products."""

    def __init__(self, n_features: int) -> None:
        self.share = (2.125 * n_features + 96) * _UNIT
        # What products below the smallest float32 may have lost.
        self.underflow = (n_features + 8) * 64 * _SMALLEST_NORMAL

    def least_score(self, rows: Tensor, centers: Tensor, center_half_norms: Tensor) -> Tensor:
        """Bound ``½‖c‖² − x·c`` of each row's nearest center from above; `complete` makes it a squared distance.

        Parameters
        ----------
        rows : float32 Tensor of shape (m, d)
        centers : float32 Tensor of shape (k, d)
        center_half_norms : float32 Tensor of shape (k,)

        Returns
        -------
        float32 Tensor of shape (m,)
        """
        least = rows.new_full((len(rows),), torch.inf)
        for first in range(0, len(centers), _CENTERS_AT_ONCE):
            chunk = slice(first, first + _CENTERS_AT_ONCE)
            inflated = center_half_norms[chunk, None] * (1 + self.share)
            score = torch.addmm(inflated, centers[chunk], rows.T, alpha=-1).amin(dim=0)
            # fmin passes over the NaN of an overflow: no bound comes from there.
            least = torch.fmin(least, torch.where(score > -torch.inf, score, torch.inf))
        return least

    def complete(self, score: Tensor, half_norms: Tensor) -> Tensor:
        """Add the rows' own norms to scores of shape (..., m): upper bounds, infinite where float32 overflows."""
        sq_dist = (score + half_norms * (1 + self.share)).mul_(2.0).add_(self.underflow)
        return torch.where(sq_dist > -torch.inf, sq_dist, torch.inf).clamp_(min=0)

    def upper_of_each(self, rows: Tensor, half_norms: Tensor, centers: Tensor, center_half_norms: Tensor) -> Tensor:
        """Bound the squared distance of every center to every row from above, shape (k, m)."""
        inflated = center_half_norms[:, None] * (1 + self.share)
        return self.complete(torch.addmm(inflated, centers, rows.T, alpha=-1), half_norms)

    def could_be_within(
        self, sq_dist: Tensor, rows: Tensor, half_norms: Tensor, centers: Tensor, center_half_norms: Tensor
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the pairs of row and center that could be at most `sq_dist` (m,), float64, apart; two int64 ndarrays."""
        limit = (0.5 * sq_dist - (1 - self.share) * half_norms.double() + self.underflow).to(rows.dtype)
        limit = torch.where(sq_dist < _SAFE_SQ_DIST, limit, torch.inf)
        score = torch.addmm(center_half_norms * (1 - self.share), rows, centers.T, alpha=-1)
        # Not ">": the NaN of an overflow could be anything.
        row_pos, center_pos = (~(score > limit[:, None])).nonzero(as_tuple=True)
        return row_pos.cpu().numpy(), center_pos.cpu().numpy()

    def width(self, sq_norms: np.ndarray, center_sq_norms: np.ndarray | float) -> np.ndarray:
        """How far an upper bound may lie above the squared distance."""
        return 2.0 * (self.share * (sq_norms + center_sq_norms) + self.underflow)


def sq_dist_of_pairs(rows: np.ndarray, centers: np.ndarray, row_pos: np.ndarray, center_pos: np.ndarray) -> np.ndarray:
    """Squared distances between pairs of float64 rows, by differences: what Core-set is defined by.

    Parameters
    ----------
    rows : float64 ndarray of shape (m, d), C-contiguous
    centers : float64 ndarray of shape (k, d), C-contiguous
    row_pos, center_pos : int64 ndarrays of shape (p,)

    Returns
    -------
    float64 ndarray of shape (p,)
        Bit by bit ``((rows[i] - centers[j]) ** 2).sum()`` as numpy sums contiguous numbers.
    """
    sq_dist = np.empty(len(row_pos))
    pairs_at_once = max(1, _PAIR_ELEMENTS_AT_ONCE // max(1, rows.shape[1]))
    for first in range(0, len(row_pos), pairs_at_once):
        chunk = slice(first, first + pairs_at_once)
        difference = rows[row_pos[chunk]] - centers[center_pos[chunk]]
        sq_dist[chunk] = np.square(difference, out=difference).sum(axis=1)
    return sq_dist
