"""The leading principal directions of a pool, and its rows on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Pool

__all__ = ["PrincipalAxes", "principal_axes", "project"]

_SAMPLE_ROWS = 8192


class PrincipalAxes(NamedTuple):
    """Coordinates of a row x are ``(x - mean) @ directions``."""

    mean: Tensor  # (d,)
    directions: Tensor  # (d, n_components), orthonormal
    captured: float  # share of the variance along them


def principal_axes(pool: Pool, n_components: int) -> PrincipalAxes:
    """Fit the leading principal directions to evenly spaced rows of the pool.

    2·m·d² operations for a sample of m ≤ 8192 rows and an eigendecomposition of d × d.
    """
    n_sampled = min(pool.n_rows, _SAMPLE_ROWS)
    sample = pool.rows(np.linspace(0, pool.n_rows - 1, n_sampled).astype(np.int64))
    if not bool(torch.isfinite(sample.sum())):
        _ = pool.half_sq_norms  # raises where a row is to blame
    mean = sample.mean(dim=0)
    centered = sample - mean
    variances, directions = torch.linalg.eigh(centered.T @ centered / n_sampled)
    total = float(variances.sum())
    captured = float(variances[-n_components:].sum()) / total if total > 0 else 1.0
    return PrincipalAxes(mean, directions[:, -n_components:].contiguous(), captured)


def project(pool: Pool, axes: PrincipalAxes) -> Tensor:
    """Coordinates of every row on the axes, float32 of shape (n, n_components), in one pass."""
    offset = axes.mean @ axes.directions
    coordinates = torch.empty((pool.n_rows, axes.directions.shape[1]), dtype=torch.float32, device=pool.device)
    for tile in pool.tiles():
        torch.addmm(-offset, tile.rows, axes.directions, out=coordinates[tile.slice])
    return coordinates
