"""The row nearest the mean: where Core-set starts if nothing is labelled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks
from skal._core.distances import half_sq_norms
from skal._core.greedy._exact_rows import ExactRows
from skal._core.greedy._sq_dist import Float32Bounds

__all__ = ["row_nearest_mean"]

_ROWS_AT_ONCE = 2048


def row_nearest_mean(blocks: Blocks, exact_rows: ExactRows, *, origin_norm: float = 0.0) -> int:
    """Find the row nearest the mean of all rows, ties to the lowest.

    The definition: the row x of least ``((n·x - Σ) ** 2).sum()`` in float64, Σ being the rows added one after the
    other. Two passes in float32; a third one, in float64, only where they leave more than copies of one row.

    Parameters
    ----------
    blocks : Blocks of shape (n, d), float32
    exact_rows : ExactRows of the same rows
    origin_norm : float
        Norm of what was subtracted from the rows in `blocks`.
    """
    candidate_idx = _rows_that_could_be(blocks, origin_norm)
    if _are_copies(exact_rows, candidate_idx):
        return int(candidate_idx[0])
    total = np.zeros((1, exact_rows.n_features))
    for rows in exact_rows.tiles():
        total = np.cumsum(np.concatenate([total, rows]), axis=0)[-1:]
    best_score, best_row = np.inf, int(candidate_idx[0])
    for row_idx in _split(candidate_idx):
        score = np.square(exact_rows.n_rows * exact_rows.take(row_idx) - total).sum(axis=1)
        if score.min() < best_score:
            best_score, best_row = float(score.min()), int(row_idx[score.argmin()])
    return best_row


def _rows_that_could_be(blocks: Blocks, origin_norm: float) -> np.ndarray:
    """Rows that float32 cannot tell from the one nearest the mean, ascending."""
    total = blocks.map_reduce(_sum_of_rows, torch.add)
    (sq_dist,) = blocks.map_gather(_sq_dist_to, (total / blocks.n_rows).to(blocks.dtype))
    sq_norms = 2.0 * blocks.half_sq_norms().double().cpu().numpy()
    longest = float(sq_norms.max()) ** 0.5
    rounding_of_the_sum = 4 * (blocks.n_rows + 4) * 2.0**-53 * longest * (longest + origin_norm)
    doubt = Float32Bounds(blocks.n_features).width(sq_norms, longest**2) + rounding_of_the_sum
    about = sq_dist.double().cpu().numpy()
    with np.errstate(invalid="ignore"):
        is_beaten = about - doubt > np.nanmin(about + doubt)
    return np.flatnonzero(~is_beaten)


def _sum_of_rows(block: Block, per_row: tuple[Tensor, ...], shared: None) -> Tensor:
    total = torch.zeros(block.n_features, dtype=torch.float64, device=block.device)
    block.reduce_tiles(lambda tile: tile.rows.sum(dim=0, dtype=torch.float64), total.add_)
    return total


def _sq_dist_to(block: Block, per_row: tuple[Tensor, ...], mean: Tensor) -> tuple[Tensor]:
    """Squared distance of each row to the mean."""
    half_norm = half_sq_norms(mean[None])
    found = block.map_tiles(lambda tile: 2.0 * (half_norm - tile.rows @ mean + tile.half_sq_norms))
    return (torch.cat(found),)


def _are_copies(exact_rows: ExactRows, row_idx: np.ndarray) -> bool:
    first = exact_rows.take(row_idx[:1])
    return all(bool((exact_rows.take(part) == first).all()) for part in _split(row_idx))


def _split(row_idx: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(row_idx), _ROWS_AT_ONCE):
        yield row_idx[start : start + _ROWS_AT_ONCE]
