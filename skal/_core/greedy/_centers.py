"""The rows that are centers of k-center, in both precisions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.distances import half_sq_norms
from skal._core.greedy._exact_rows import ExactRows

__all__ = ["Centers"]


class Centers:
    """Centers in float32 on the device, where products are made, and in float64 once they are asked for.

    Parameters
    ----------
    blocks : Blocks of shape (n, d), float32
    exact_rows : ExactRows of the same rows
    center_idx : int64 ndarray of shape (n_centers,)
        The first ones.
    n_more : int
        At most how many will be added.
    """

    def __init__(self, blocks: Blocks, exact_rows: ExactRows, center_idx: np.ndarray, n_more: int) -> None:
        n_most = len(center_idx) + n_more
        self.count = 0
        self.largest_sq_norm = 0.0
        self._exact_rows = exact_rows
        self._row_idx = np.empty(n_most, dtype=np.int64)
        self._vectors = torch.empty((n_most, blocks.n_features), dtype=blocks.dtype, device=blocks.device)
        self._half_norms = self._vectors.new_empty(n_most)
        self._exact = np.empty((n_most, blocks.n_features))
        self._is_exact = np.zeros(n_most, dtype=bool)
        vectors = blocks.take(center_idx)
        self.add(center_idx, vectors, half_sq_norms(vectors))

    def add(self, row_idx: np.ndarray, vectors: Tensor, half_norms: Tensor) -> None:
        new = slice(self.count, self.count + len(row_idx))
        self._row_idx[new] = row_idx
        self._vectors[new], self._half_norms[new] = vectors, half_norms
        self.largest_sq_norm = max(self.largest_sq_norm, 2.0 * float(half_norms.max()))
        self.count = new.stop

    def since(self, first: int) -> tuple[Tensor, Tensor]:
        """Centers from the first on in float32, (c, d), and half their squared norms, (c,)."""
        return self._vectors[first : self.count], self._half_norms[first : self.count]

    def exact(self, positions: np.ndarray) -> np.ndarray:
        """All centers in float64, (n_most, d), of which those at `positions` are filled in."""
        missing = np.unique(positions)
        missing = missing[~self._is_exact[missing]]
        if len(missing):
            self._exact[missing] = self._exact_rows.take(self._row_idx[missing])
            self._is_exact[missing] = True
        return self._exact
