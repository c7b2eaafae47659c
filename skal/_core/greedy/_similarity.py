"""Similarities between the rows of a pool and some candidates, never all pairs at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks

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
        """Turn products (t, m) into similarities (t, m), in place where that is easier.

        `sq_norms` is (t, 1), `candidate_sq_norms` is (m,), and all three are float64.
        """
        ...


class RowSimilarity:
    """Similarities computed from the rows in float64, tile by tile.

    Parameters
    ----------
    blocks : Blocks of shape (n, d)
        For instance ``pool.view("cosine").blocks``.
    kernel : Kernel
        For instance `RBF`.

    Examples
    --------
    >>> import numpy as np
    >>> import skal
    >>> from skal.greedy import RBF, RowSimilarity
    >>> pool = skal.Pool(np.array([[0.0], [1.0], [3.0]]), metric="euclidean")
    >>> [(_, tile)] = RowSimilarity(pool.view().blocks, RBF(sigma=1.0)).tiles(np.array([1]))
    >>> tile.numpy().round(3)
    array([[0.368],
           [1.   ],
           [0.018]])
    """

    def __init__(self, blocks: Blocks, kernel: Kernel) -> None:
        self.n_rows, self.device = blocks.n_rows, blocks.device
        self._blocks = blocks
        self._kernel = kernel
        (self._sq_norms,) = blocks.map_gather(_sq_norms)

    def tiles(self, candidate_idx: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
        """Yield which rows, and their similarities to the candidates, float64 of shape (len(rows), m)."""
        candidates = self._blocks.take(candidate_idx).double()
        candidate_sq_norms = self._sq_norms[torch.from_numpy(candidate_idx).to(self.device)]
        for tile in self._blocks.tiles():
            products = tile.rows.double() @ candidates.T
            yield tile.slice, self._kernel(products, self._sq_norms[tile.slice, None], candidate_sq_norms)


@dataclass(frozen=True)
class RBF:
    """``exp(-‖x - y‖² / sigma²)``.

    Parameters
    ----------
    sigma : float, default=1.0
        In the units of the rows. Rows much longer than that lose digits, 2⁻⁵²·(‖x‖ / sigma)², to cancellation:
        centre them first, as the blocks of ``pool.view("euclidean")`` are.
    """

    sigma: float = 1.0

    def __call__(self, products: Tensor, sq_norms: Tensor, candidate_sq_norms: Tensor) -> Tensor:
        sq_dist = products.mul_(-2.0).add_(sq_norms).add_(candidate_sq_norms).clamp_(min=0)
        return sq_dist.mul_(-1.0 / self.sigma**2).exp_()


def _sq_norms(block: Block, per_row: tuple[Tensor, ...], shared: None) -> tuple[Tensor]:
    return (torch.cat([tile.rows.double().square().sum(dim=1) for tile in block.tiles()]),)
