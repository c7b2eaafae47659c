"""Tiles of squared Euclidean distances, and the nearest of many centroids."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skal._core.products import affine

__all__ = [
    "half_sq_norms",
    "k_lowest",
    "kth_lowest",
    "least_score",
    "lowest",
    "lowest_into",
    "nearest_center",
    "pairwise_sq_dist",
    "row_sq_dist",
    "sq_dist_of_pairs",
    "to_sq_dist",
]

_CENTERS_AT_ONCE = {"cpu": 1024, "cuda": 8192}
_PAIR_ELEMENTS_AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 24}  # on a CPU they stay in its cache


def half_sq_norms(centers: Tensor) -> Tensor:
    """Half the squared norm of each row, accumulated in float64, shape (k,)."""
    norms: Tensor = torch.linalg.vector_norm(centers, dim=1, dtype=torch.float64)
    return norms.square_().mul_(0.5).to(centers.dtype)


def nearest_center(rows: Tensor, centers: Tensor, half_norms: Tensor) -> tuple[Tensor, Tensor]:
    """Find the nearest center of each row; ties go to the lowest index.

    Parameters
    ----------
    rows : Tensor of shape (m, d)
    centers : Tensor of shape (k, d)
    half_norms : Tensor of shape (k,)
        ``half_sq_norms(centers)``.

    Returns
    -------
    labels : int64 Tensor of shape (m,)
    score : Tensor of shape (m,)
        ``½‖c‖² − x·c`` of that center; the squared distance is ``‖x‖² + 2 · score``.
    """
    n_at_once = _CENTERS_AT_ONCE[rows.device.type]
    best, labels = lowest(affine(half_norms[:n_at_once], rows, centers[:n_at_once].T, alpha=-1))
    for first in range(n_at_once, len(centers), n_at_once):
        chunk = slice(first, first + n_at_once)
        score, local = lowest(affine(half_norms[chunk], rows, centers[chunk].T, alpha=-1))
        closer = score < best
        best = torch.where(closer, score, best)
        labels = torch.where(closer, local + first, labels)
    return labels, best


def least_score(rows: Tensor, centers: Tensor, half_norms: Tensor) -> Tensor:
    """Return the score that `nearest_center` finds, (m,), in less time."""
    parts = zip(*(part.split(_CENTERS_AT_ONCE[rows.device.type]) for part in (centers, half_norms)), strict=True)
    scores = [affine(norms, rows, some.T, alpha=-1).amin(dim=1) for some, norms in parts]
    return scores[0] if len(scores) == 1 else torch.stack(scores).amin(dim=0)


def lowest(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest of each row of scores (m, k), and its position, the first of equal ones; both (m,)."""
    values, positions = scores.new_empty(len(scores), 1), scores.new_empty((len(scores), 1), dtype=torch.int64)
    lowest_into(scores, values, positions)
    return values.squeeze(1), positions.squeeze(1)


def lowest_into(scores: Tensor, values: Tensor, positions: Tensor) -> None:
    """Write what `lowest` finds to tensors of shape (m, 1)."""
    if scores.device.type != "cpu":
        torch.min(scores, dim=1, keepdim=True, out=(values, positions))
        return
    scores.numpy().argmin(axis=1, out=positions.numpy()[:, 0])  # many times faster than torch's
    torch.gather(scores, 1, positions, out=values)


def k_lowest(scores: Tensor, k: int) -> Tensor:
    """Return the k lowest of each row of scores (m, n) in any order, shape (m, k)."""
    if scores.device.type != "cpu":
        return scores.topk(k, dim=1, largest=False, sorted=False).values
    return torch.from_numpy(np.partition(scores.numpy(), k - 1, axis=1)[:, :k])


def kth_lowest(scores: Tensor, k: int) -> Tensor:
    """Return the k-th lowest of each row of scores (m, n), shape (m,)."""
    if scores.device.type != "cpu":
        return scores.kthvalue(k, dim=1).values
    return torch.from_numpy(np.partition(scores.numpy(), k - 1, axis=1)[:, k - 1])


def to_sq_dist(score: Tensor, row_half_sq_norms: Tensor) -> Tensor:
    """Complete the score of `nearest_center` to a squared distance, never negative, shape (m,)."""
    return (2.0 * (score + row_half_sq_norms)).clamp_(min=0)


def row_sq_dist(rows: Tensor, centers: Tensor) -> Tensor:
    """Squared distance between row i and center i, by differences (no cancellation), shape (m,)."""
    return (rows - centers).square().sum(dim=1)


def sq_dist_of_pairs(rows: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Squared distances between the rows at `first` and those at `second`, both (m,), by differences, shape (m,)."""
    sq_dist = rows.new_empty(len(first))
    at_once = max(1, _PAIR_ELEMENTS_AT_ONCE[rows.device.type] // max(1, rows.shape[1]))
    for start in range(0, len(first), at_once):
        part = slice(start, start + at_once)
        difference = rows.index_select(0, first[part]).sub_(rows.index_select(0, second[part]))
        torch.sum(difference.square_(), dim=1, out=sq_dist[part])
    return sq_dist


def pairwise_sq_dist(rows: Tensor, centers: Tensor) -> Tensor:
    """Squared distances of shape (m, k), never negative; exact zero for equal rows is not promised."""
    cross = affine(half_sq_norms(centers), rows, centers.T, alpha=-1)
    return (2.0 * (cross + half_sq_norms(rows)[:, None])).clamp_(min=0)
