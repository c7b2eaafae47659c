"""First centers: k-means++ in few passes over the pool, or greedily in one pass a center."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks
from skal._core.distances import half_sq_norms, nearest_center, pairwise_sq_dist, to_sq_dist
from skal._core.products import total

__all__ = ["greedy_kmeans_plus_plus", "kmeans_plus_plus"]

_MOST_DRAWS = 4096  # their mutual distances are kept as one square


def kmeans_plus_plus(
    pool: Blocks, n_clusters: int, rng: np.random.Generator, given: Tensor | None = None
) -> np.ndarray:
    """Draw `n_clusters` distinct rows, each with probability proportional to its squared distance to those before.

    Exactly the distribution of k-means++ (Arthur and Vassilvitskii, 2007), in few passes: candidates
    are drawn from the distances of the last pass, which bound today's from above, and each is kept with
    probability today's / last. Where the pool has fewer distinct rows than `n_clusters`, the rest is
    drawn uniformly.

    Parameters
    ----------
    given : Tensor of shape (m, d), default=None
        Centers that are there already; the first row is then drawn by its distance to them too.

    Returns
    -------
    ndarray of shape (n_clusters,), int64
        Row numbers in drawing order. About ``2·n·n_clusters·d`` operations in about
        ``5 · log(n_clusters)`` passes.
    """
    sq_dist = torch.full((pool.n_rows,), torch.inf, dtype=torch.float32, device=pool.device)
    if given is None or len(given) == 0:
        chosen = [int(rng.integers(pool.n_rows))]
    else:
        (sq_dist,) = pool.map_gather(lower_to_nearest_block, given, [sq_dist])
        chosen = []
    new = list(chosen)
    while True:
        sq_dist = _lower_to_nearest(pool, new, sq_dist)
        sq_dist[torch.tensor(new, dtype=torch.int64, device=pool.device)] = 0.0
        n_missing = n_clusters - len(chosen)
        cumulative = sq_dist.double().cumsum(dim=0)
        left = float(cumulative[-1])
        if n_missing == 0 or left <= 0.0:
            break
        new = _accept_by_rejection(
            pool, sq_dist, cumulative, left, n_missing, min(1 + len(chosen) // 4, _MOST_DRAWS), rng
        )
        chosen += new
    if n_missing:
        unchosen = np.setdiff1d(np.arange(pool.n_rows), chosen)
        chosen += rng.choice(unchosen, size=n_missing, replace=False).tolist()
    return np.array(chosen, dtype=np.int64)


def greedy_kmeans_plus_plus(
    pool: Blocks, n_clusters: int, rng: np.random.Generator, given: Tensor, n_candidates: int = 8
) -> np.ndarray:
    """Draw `n_clusters` distinct rows as k-means++ does, each the best of several draws.

    The best draw is the one that leaves the least sum of squared distances. Where the pool has fewer distinct rows
    than `n_clusters`, the rest is drawn uniformly.

    Parameters
    ----------
    given : Tensor of shape (m, d)
        Centers that are there already, at least one.

    Returns
    -------
    ndarray of shape (n_clusters,), int64
        Row numbers in drawing order. ``2·n·n_candidates·d`` operations for each in a pass of its own, and
        ``2·n·m·d``; n × (n_candidates + 2) numbers beside the pool.
    """
    sq_dist = torch.full((pool.n_rows,), torch.inf, dtype=torch.float32, device=pool.device)
    (sq_dist,) = pool.map_gather(lower_to_nearest_block, given, [sq_dist])
    chosen: list[int] = []
    while len(chosen) < n_clusters:
        cumulative = sq_dist.double().cumsum(dim=0)
        if float(cumulative[-1]) <= 0.0:
            unchosen = np.setdiff1d(np.arange(pool.n_rows), chosen)
            chosen += rng.choice(unchosen, size=n_clusters - len(chosen), replace=False).tolist()
            break
        draws = torch.from_numpy(rng.random(n_candidates)).to(pool.device) * cumulative[-1]
        drawn = torch.searchsorted(cumulative, draws, right=True).clamp_(max=pool.n_rows - 1)
        (lowered,) = pool.map_gather(lower_to_each_block, pool.take(drawn.cpu()), [sq_dist])
        best = int(np.argmin([total(left) for left in lowered.T]))
        chosen.append(int(drawn[best]))
        sq_dist = lowered[:, best].clone()
        sq_dist[chosen[-1]] = 0.0
    return np.array(chosen, dtype=np.int64)


def _accept_by_rejection(
    pool: Blocks,
    sq_dist: Tensor,
    cumulative: Tensor,
    left: float,
    n_missing: int,
    n_draws: int,
    rng: np.random.Generator,
) -> list[int]:
    draws = torch.from_numpy(rng.random(n_draws) * left).to(pool.device)
    drawn = torch.searchsorted(cumulative, draws, right=True).clamp_(max=pool.n_rows - 1)
    bound = sq_dist[drawn].double().cpu().numpy()
    candidate_rows = pool.take(drawn.cpu())
    between = pairwise_sq_dist(candidate_rows, candidate_rows).double().cpu().numpy()
    keep_below = rng.random(n_draws) * bound
    candidates = drawn.tolist()
    today = bound.copy()
    accepted: list[int] = []
    seen: set[int] = set()
    for position, candidate in enumerate(candidates):
        if candidate not in seen and today[position] > 0 and keep_below[position] < today[position]:
            accepted.append(candidate)
            seen.add(candidate)
            np.minimum(today, between[position], out=today)
            if len(accepted) == n_missing:
                break
    return accepted


def _lower_to_nearest(pool: Blocks, new: list[int], sq_dist: Tensor) -> Tensor:
    """Return the smaller of `sq_dist` (n,) and the squared distance to the nearest of the rows `new`."""
    if not new:
        return sq_dist
    (lowered,) = pool.map_gather(lower_to_nearest_block, pool.take(new), [sq_dist])
    return lowered


def lower_to_nearest_block(block: Block, per_row: tuple[Tensor, ...], centers: Tensor) -> tuple[Tensor]:
    """Do what `_lower_to_nearest` does for the rows of one block."""
    (sq_dist,) = per_row
    half_norms = half_sq_norms(centers)
    lowered = torch.empty_like(sq_dist)
    for tile in block.tiles():
        _, score = nearest_center(tile.rows, centers, half_norms)
        torch.minimum(sq_dist[tile.slice], to_sq_dist(score, tile.half_sq_norms), out=lowered[tile.slice])
    return (lowered,)


def lower_to_each_block(block: Block, per_row: tuple[Tensor, ...], centers: Tensor) -> tuple[Tensor]:
    """The smaller of `sq_dist` and the squared distance to each of a few centers, (m, k), for the rows of one block."""
    (sq_dist,) = per_row
    lowered = sq_dist.new_empty((block.n_rows, len(centers)))
    for tile in block.tiles():
        torch.minimum(sq_dist[tile.slice, None], pairwise_sq_dist(tile.rows, centers), out=lowered[tile.slice])
    return (lowered,)
