"""First centers: k-means++ in few passes over the pool, or greedily in one pass a center."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks, Tile
from skal._core.distances import half_sq_norms, least_score, pairwise_sq_dist, to_sq_dist
from skal._core.products import affine, total

__all__ = ["Space", "draw_far_apart", "greedy_kmeans_plus_plus", "kmeans_plus_plus"]

_MOST_AS_MANY_AGAIN = 512  # draws as many as there are chosen; of more at once, too many are refused
_MOST_DRAWS = 4096  # their mutual distances are kept as one square


class Space(Protocol):
    """Where `draw_far_apart` draws: rows and their squared distances."""

    n_rows: int
    device: torch.device

    def lower(self, new: list[int], sq_dist: Tensor) -> Tensor:
        """Return the smaller of `sq_dist` (n,) and the squared distance to the nearest of the rows `new`."""
        ...

    def between(self, row_idx: np.ndarray) -> np.ndarray:
        """Return the squared distances between some rows, float64 of shape (m, m)."""
        ...


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
        Row numbers in drawing order. About ``2·n·n_clusters·d`` operations, in about ``log2(n_clusters) + 1`` passes up
        to 1,000 clusters and ``6 · log(n_clusters / 1000)`` more.
    """
    space = _RowSpace(pool)
    sq_dist = torch.full((pool.n_rows,), torch.inf, dtype=torch.float32, device=pool.device)
    if given is None or len(given) == 0:
        return draw_far_apart(space, n_clusters, rng, sq_dist, first=[int(rng.integers(pool.n_rows))])
    (sq_dist,) = pool.map_gather(lower_to_nearest_block, given, [sq_dist])
    return draw_far_apart(space, n_clusters, rng, sq_dist)


def draw_far_apart(
    space: Space, n_rows: int, rng: np.random.Generator, sq_dist: Tensor, first: list[int] | None = None
) -> np.ndarray:
    """Draw distinct rows, each with probability proportional to its squared distance to what is there already.

    Parameters
    ----------
    space : Space of n rows
    n_rows : int
        How many to draw, those in `first` included.
    rng : numpy.random.Generator
    sq_dist : float32 Tensor of shape (n,)
        To what is there before; 0 keeps a row from being drawn as long as another is not 0.
    first : list of int, default=None
        Rows that are drawn already.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        In drawing order.
    """
    chosen = list(first or [])
    new = list(chosen)
    while True:
        sq_dist = space.lower(new, sq_dist) if new else sq_dist
        sq_dist[torch.tensor(new, dtype=torch.int64, device=space.device)] = 0.0
        n_missing = n_rows - len(chosen)
        cumulative = sq_dist.double().cumsum(dim=0)
        left = float(cumulative[-1])
        if n_missing == 0 or left <= 0.0:
            break
        n_draws = max(min(1 + len(chosen), _MOST_AS_MANY_AGAIN), min(1 + len(chosen) // 8, _MOST_DRAWS))
        new = _accept_by_rejection(space, sq_dist, cumulative, left, n_missing, n_draws, rng)
        chosen += new
    if n_missing:
        unchosen = np.setdiff1d(np.arange(space.n_rows), chosen)
        chosen += rng.choice(unchosen, size=n_missing, replace=False).tolist()
    return np.array(chosen, dtype=np.int64)


class _RowSpace:
    """The rows of a pool."""

    def __init__(self, pool: Blocks) -> None:
        self.n_rows, self.device = pool.n_rows, pool.device
        self._pool = pool

    def lower(self, new: list[int], sq_dist: Tensor) -> Tensor:
        (lowered,) = self._pool.map_gather(lower_to_nearest_block, self._pool.take(new), [sq_dist])
        return lowered

    def between(self, row_idx: np.ndarray) -> np.ndarray:
        rows = self._pool.take(row_idx)
        sq_dist: np.ndarray = pairwise_sq_dist(rows, rows).double().cpu().numpy()
        return sq_dist


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
    space: Space,
    sq_dist: Tensor,
    cumulative: Tensor,
    left: float,
    n_missing: int,
    n_draws: int,
    rng: np.random.Generator,
) -> list[int]:
    draws = torch.from_numpy(rng.random(n_draws) * left).to(space.device)
    drawn = torch.searchsorted(cumulative, draws, right=True).clamp_(max=space.n_rows - 1)
    bound = sq_dist[drawn].double().cpu().numpy()
    between = space.between(drawn.cpu().numpy())
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


def lower_to_nearest_block(block: Block, per_row: tuple[Tensor, ...], centers: Tensor) -> tuple[Tensor]:
    """Return the smaller of a squared distance (m,) and that to the nearest center, for the rows of one block."""
    (sq_dist,) = per_row
    half_norms = half_sq_norms(centers)
    lowered = torch.empty_like(sq_dist)

    def lower(tile: Tile) -> None:
        score = least_score(tile.rows, centers, half_norms)
        torch.minimum(sq_dist[tile.slice], to_sq_dist(score, tile.half_sq_norms), out=lowered[tile.slice])

    block.map_tiles(lower)
    return (lowered,)


def lower_to_each_block(block: Block, per_row: tuple[Tensor, ...], centers: Tensor) -> tuple[Tensor]:
    """The smaller of `sq_dist` and the squared distance to each of a few centers, (m, k), for the rows of one block."""
    (sq_dist,) = per_row
    half_norms = half_sq_norms(centers)
    lowered = sq_dist.new_empty((block.n_rows, len(centers)))

    def lower(tile: Tile) -> None:
        score = affine(half_norms, tile.rows, centers.T, alpha=-1)
        to_each = to_sq_dist(score, tile.half_sq_norms[:, None])
        torch.minimum(sq_dist[tile.slice, None], to_each, out=lowered[tile.slice])

    block.map_tiles(lower)
    return (lowered,)
