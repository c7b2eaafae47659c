"""The row nearest the mean: where Core-set starts if nothing is labelled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Pool
from skal._core.distances import half_sq_norms
from skal._core.greedy._exact_rows import ExactRows
from skal._core.greedy._sq_dist import Float32Bounds

__all__ = ["row_nearest_mean"]

_EXACT_ROWS_AT_ONCE = 2048


def row_nearest_mean(pool: Pool) -> int:
    """Find the row nearest the mean of all rows, ties to the lowest.

    The definition: the row x of least ``((n·x - Σ) ** 2).sum()`` in float64, Σ being the rows added one after the
    other. Two passes of the pool in float32; a third one, in float64, where rounding leaves it open.
    """
    candidate_idx = _rows_that_could_be(pool)
    exact_rows = ExactRows(pool)
    if _are_copies(exact_rows, candidate_idx):
        return int(candidate_idx[0])
    total = np.zeros((1, pool.n_features))
    for row_idx in _split(np.arange(pool.n_rows)):
        total = np.cumsum(np.concatenate([total, exact_rows.take(row_idx)]), axis=0)[-1:]
    best_score, best_row = np.inf, int(candidate_idx[0])
    for row_idx in _split(candidate_idx):
        score = np.square(pool.n_rows * exact_rows.take(row_idx) - total).sum(axis=1)
        if score.min() < best_score:
            best_score, best_row = float(score.min()), int(row_idx[score.argmin()])
    return best_row


def _rows_that_could_be(pool: Pool) -> np.ndarray:
    """Rows that float32 cannot tell from the one nearest the mean, ascending."""
    total = torch.zeros(pool.n_features, dtype=torch.float64, device=pool.device)
    for tile in pool.tiles():
        total += tile.rows.sum(dim=0, dtype=torch.float64)
    mean = (total / pool.n_rows).to(pool.dtype)
    sq_dist, sq_norms = np.empty(pool.n_rows), np.empty(pool.n_rows)
    for tile in pool.tiles():
        tile_sq_dist, tile_sq_norms = _sq_dist_to(mean, tile.rows)
        sq_dist[tile.slice], sq_norms[tile.slice] = tile_sq_dist.cpu().numpy(), tile_sq_norms.cpu().numpy()
    largest = sq_norms.max()
    offset = 0.0 if pool.shift is None else float(pool.shift.norm())
    of_the_sum = 4 * (pool.n_rows + 4) * 2.0**-53 * np.sqrt(largest) * (np.sqrt(largest) + offset)
    doubt = Float32Bounds(pool.n_features).width(sq_norms, largest) + of_the_sum
    with np.errstate(invalid="ignore"):
        is_beaten = sq_dist - doubt > (sq_dist + doubt).min()
    return np.flatnonzero(~is_beaten)


def _sq_dist_to(mean: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance of each row to the mean, and its squared norm, both (m,)."""
    half_norms = torch.linalg.vector_norm(rows, dim=1).square_().mul_(0.5)
    score = half_sq_norms(mean[None]) - rows @ mean
    return 2.0 * (score + half_norms), 2.0 * half_norms


def _are_copies(exact_rows: ExactRows, row_idx: np.ndarray) -> bool:
    first = exact_rows.take(row_idx[:1])
    return all(bool((exact_rows.take(part) == first).all()) for part in _split(row_idx))


def _split(row_idx: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(row_idx), _EXACT_ROWS_AT_ONCE):
        yield row_idx[start : start + _EXACT_ROWS_AT_ONCE]
