"""The leading principal directions of a pool, and its rows on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks

__all__ = ["PrincipalAxes", "principal_axes", "project"]

_SAMPLE_ROWS = 8192


class PrincipalAxes(NamedTuple):
    """Coordinates of a row x are ``(x - mean) @ directions``."""

    mean: Tensor  # (d,)
    directions: Tensor  # (d, n_components), orthonormal
    captured: float  # share of the variance along them


def principal_axes(pool: Blocks, n_components: int) -> PrincipalAxes:
    """Fit the leading principal directions to evenly spaced rows of the pool.

    2·m·d² operations for a sample of m ≤ 8192 rows and an eigendecomposition of d × d.
    """
    n_sampled = min(pool.n_rows, _SAMPLE_ROWS)
    sample = pool.take(np.linspace(0, pool.n_rows - 1, n_sampled).astype(np.int64))
    mean = sample.mean(dim=0)
    centered = sample - mean
    variances, directions = torch.linalg.eigh(centered.T @ centered / n_sampled)
    total = float(variances.sum())
    captured = float(variances[-n_components:].sum()) / total if total > 0 else 1.0
    return PrincipalAxes(mean, directions[:, -n_components:].contiguous(), captured)


def project(block: Block, per_row: tuple[Tensor, ...], axes: PrincipalAxes) -> tuple[Tensor]:
    """Coordinates of the rows of a block on the axes, float32 of shape (m, n_components)."""
    offset = axes.mean @ axes.directions
    coordinates = torch.empty((block.n_rows, axes.directions.shape[1]), dtype=torch.float32, device=block.device)
    for tile in block.tiles():
        torch.addmm(-offset, tile.rows, axes.directions, out=coordinates[tile.slice])
    return (coordinates,)
