"""How far rows are from rows of other clusters."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks

__all__ = ["distance_to_other_clusters"]

_ROWS_AT_ONCE = 1024


def distance_to_other_clusters(blocks: Blocks, labels: Tensor, row_idx: np.ndarray) -> np.ndarray:
    """Find the distance of some rows to the nearest row of another cluster.

    Parameters
    ----------
    blocks : Blocks of shape (n, d)
    labels : int64 Tensor of shape (n,)
    row_idx : int64 ndarray of shape (m,)

    Returns
    -------
    float64 ndarray of shape (m,)
        Infinite where there is no other cluster. ``2·m·n·d`` operations in float32 propose the nearest row, and its
        distance is taken by differences in float64.
    """
    parts = [row_idx[start : start + _ROWS_AT_ONCE] for start in range(0, len(row_idx), _ROWS_AT_ONCE)]
    return np.concatenate([_of_some(blocks, labels, part) for part in parts])


def _of_some(blocks: Blocks, labels: Tensor, row_idx: np.ndarray) -> np.ndarray:
    rows = blocks.take(row_idx)
    own = labels[torch.from_numpy(row_idx).to(labels.device)]
    least = rows.new_full((len(rows),), torch.inf)
    nearest = torch.full_like(own, -1)
    for tile in blocks.tiles():
        score = torch.addmm(tile.half_sq_norms[:, None], tile.rows, rows.T, alpha=-1)
        score.masked_fill_(labels[tile.slice, None] == own, torch.inf)
        tile_least, position = score.min(dim=0)
        is_nearer = tile_least < least
        least = torch.where(is_nearer, tile_least, least)
        nearest = torch.where(is_nearer, position + tile.start, nearest)
    distances = np.full(len(row_idx), np.inf)
    is_found = (nearest >= 0).cpu().numpy()
    others = blocks.take(nearest.cpu().numpy()[is_found])
    distances[is_found] = (rows[torch.from_numpy(is_found)] - others).double().norm(dim=1).cpu().numpy()
    return distances
