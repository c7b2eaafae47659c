"""Similarities between the rows of a pool and some candidates, never all pairs at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks

__all__ = ["RBF", "Kernel", "RowSimilarity", "Similarity"]


class Similarity(Protocol):
    """What `FacilityLocation` needs to know of a kernel: a few of its columns, a tile of rows at a time.

    A kernel that is a matrix, dense or sparse, slices it; one that follows from the rows is a `RowSimilarity`.
    """

    n_rows: int
    device: torch.device

    def tiles(self, candidate_idx: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
        """Yield which rows, and their similarities to the candidates, float64 of shape (len(rows), m)."""
        ...


class Kernel(Protocol):
    """A similarity as a function of inner products and squared norms, never negative."""

    def __call__(self, products: Tensor, sq_norms: Tensor, candidate_sq_norms: Tensor) -> Tensor:
        """Make products (t, m) similarities (t, m), in place if that is easier; the norms are (t, 1) and (m,)."""
        ...


class RowSimilarity:
    """Similarities computed from the rows, tile by tile.

    Parameters
    ----------
    blocks : Blocks of shape (n, d), float64
    kernel : Kernel
    """

    def __init__(self, blocks: Blocks, kernel: Kernel) -> None:
        self.n_rows, self.device = blocks.n_rows, blocks.device
        self._blocks = blocks
        self._kernel = kernel
        self._sq_norms = 2.0 * blocks.half_sq_norms()

    def tiles(self, candidate_idx: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
        candidates = self._blocks.take(candidate_idx)
        candidate_sq_norms = self._sq_norms[torch.from_numpy(candidate_idx).to(self.device)]
        for tile in self._blocks.tiles():
            sq_norms = self._sq_norms[tile.slice, None]
            yield tile.slice, self._kernel(tile.rows @ candidates.T, sq_norms, candidate_sq_norms)


@dataclass(frozen=True)
class RBF:
    """``exp(-‖x - y‖² / sigma²)``."""

    sigma: float = 1.0

    def __call__(self, products: Tensor, sq_norms: Tensor, candidate_sq_norms: Tensor) -> Tensor:
        sq_dist = products.mul_(-2.0).add_(sq_norms).add_(candidate_sq_norms).clamp_(min=0)
        return sq_dist.mul_(-1.0 / self.sigma**2).exp_()
