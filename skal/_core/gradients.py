"""Gradients of a linear layer as points, which are never formed.

The gradient of the log loss of a row h, were its most probable class its label, is the outer product g = a ⊗ h with
a = p − e_ŷ. So ``g_i · g_j = (a_i · a_j)(h_i · h_j)`` and ``‖g‖² = ‖a‖²‖h‖²``.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.products import product

__all__ = ["GradientSpace"]

_OTHERS_AT_ONCE = 1024
_ROUNDING = 2.0**-20  # a smaller share of two squared norms is what float32 leaves of no distance


class GradientSpace:
    """Outer products of two vectors a row, and their squared distances: a `Space` for `draw_far_apart`.

    Parameters
    ----------
    errors : float32 Tensor of shape (n, n_classes)
    blocks : Blocks of shape (n, d), float32

    Notes
    -----
    A distance takes n_classes + d multiplications in place of n_classes · d.
    """

    def __init__(self, errors: Tensor, blocks: Blocks) -> None:
        self.n_rows, self.device = blocks.n_rows, blocks.device
        self._errors, self._blocks = errors, blocks
        error_sq_norms = torch.cat([some.square().sum(dim=1) for some in errors.split(blocks.tile_rows)])
        self.sq_norms = 2.0 * blocks.half_sq_norms() * error_sq_norms

    def lower(self, new: list[int], sq_dist: Tensor) -> Tensor:
        """Return the smaller of `sq_dist` (n,) and the squared distance to the nearest of the rows `new`."""
        lowered = sq_dist.clone()
        for start in range(0, len(new), _OTHERS_AT_ONCE):
            others = np.array(new[start : start + _OTHERS_AT_ONCE], dtype=np.int64)
            on_device = torch.from_numpy(others).to(self.device)
            errors, rows = self._errors[on_device], self._blocks.take(others)
            for tile in self._blocks.tiles():
                products = product(self._errors[tile.slice], errors.T).mul_(product(tile.rows, rows.T))
                nearest = self._sq_dist(products, self.sq_norms[tile.slice], self.sq_norms[on_device]).amin(dim=1)
                lowered[tile.slice] = torch.minimum(lowered[tile.slice], nearest)
        return lowered

    def between(self, row_idx: np.ndarray) -> np.ndarray:
        """Return the squared distances between some rows, float64 of shape (m, m)."""
        on_device = torch.from_numpy(row_idx).to(self.device)
        errors, rows = self._errors[on_device], self._blocks.take(row_idx)
        sq_norms = self.sq_norms[on_device]
        products = product(errors, errors.T).mul_(product(rows, rows.T))
        found: np.ndarray = self._sq_dist(products, sq_norms, sq_norms).double().cpu().numpy()
        return found

    def _sq_dist(self, products: Tensor, sq_norms: Tensor, other_sq_norms: Tensor) -> Tensor:
        both = sq_norms[:, None] + other_sq_norms
        sq_dist = both - 2.0 * products
        return torch.where(sq_dist > _ROUNDING * both, sq_dist, 0.0)
