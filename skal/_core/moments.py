"""Means and variances of a pool's features."""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.blocks import Pool

__all__ = ["pool_moments"]


def pool_moments(pool: Pool) -> tuple[Tensor, Tensor]:
    """Mean and variance (ddof = 0) of each feature, both float64 of shape (d,), in one pass.

    Tiles are merged by their means (Chan, Golub and LeVeque, 1983), so a common offset costs no digits.
    """
    mean = torch.zeros(pool.n_features, dtype=torch.float64, device=pool.device)
    spread = torch.zeros_like(mean)
    n_seen = 0
    for _, rows in pool.tiles():
        n_both = n_seen + len(rows)
        tile_mean = rows.mean(dim=0, dtype=torch.float64)
        deviation = tile_mean - mean
        spread += (rows - tile_mean.to(rows.dtype)).square().sum(dim=0, dtype=torch.float64)
        spread += deviation.square() * (n_seen * len(rows) / n_both)
        mean += deviation * (len(rows) / n_both)
        n_seen = n_both
    return mean, spread / n_seen
