"""K-means over a pool that is read in tiles.

A pass is a map of tiles to ``(sums, counts, inertia)`` and a sum over tiles, so that any executor
can run it; nothing of size n × k or n × d is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Pool
from skal._core.distances import half_sq_norms, nearest_center, pairwise_sq_dist, row_sq_dist

__all__ = ["KMeansResult", "Partition", "kmeans_plus_plus", "lloyd", "partition"]


_MOST_DRAWS = 4096  # their mutual distances are kept as one square


class BlockStatistics(NamedTuple):
    """What one block of rows adds to a pass."""

    sums: Tensor  # (k, d) float64
    counts: Tensor  # (k,) int64
    inertia: float


@dataclass(frozen=True)
class Partition:
    """Every row's nearest center and the exact squared distance to it."""

    labels: Tensor  # (n,) int64
    sq_dist: Tensor  # (n,) float32
    inertia: float


@dataclass(frozen=True)
class KMeansResult:
    """Where a run ended."""

    centers: Tensor  # (k, d) float32
    partition: Partition
    n_iter: int


class ClusterSums:
    """Sums and counts of rows by cluster, in an order of addition that never varies.

    Sums are float64; unless `precise`, about k rows at a time are added in float32 first.
    """

    def __init__(self, n_clusters: int, n_features: int, device: torch.device, *, precise: bool = False) -> None:
        self.sums = torch.zeros((n_clusters, n_features), dtype=torch.float64, device=device)
        self.counts = torch.zeros(n_clusters, dtype=torch.int64, device=device)
        self._partial = self.sums if precise else torch.zeros_like(self.sums, dtype=torch.float32)
        self._n_partial = 0

    def copy(self) -> ClusterSums:
        """A precise copy, to try moves on."""
        self.flush()
        copied = ClusterSums(len(self.counts), self.sums.shape[1], self.sums.device, precise=True)
        copied.sums += self.sums
        copied.counts += self.counts
        return copied

    def add(self, rows: Tensor, labels: Tensor, *, sign: int = 1) -> None:
        """Add each row (m, d) to the cluster its label names, or take it away where `sign` is -1."""
        if len(labels) == 0:
            return
        counts = torch.bincount(labels, minlength=len(self.counts))
        self.counts += sign * counts
        rows = rows.to(self._partial.dtype)
        if rows.device.type == "cpu":
            self._partial.index_add_(0, labels, rows, alpha=sign)
        else:  # atomics would add in a random order
            order = torch.argsort(labels, stable=True)
            present = counts > 0
            segment_sums = torch.segment_reduce(rows[order], "sum", lengths=counts[present], axis=0)
            self._partial[present] += sign * segment_sums
        self._n_partial += len(rows)
        if self._n_partial >= len(self.counts):
            self.flush()

    def flush(self) -> None:
        """Bring `sums` up to date."""
        self._n_partial = 0
        if self._partial is not self.sums:
            self.sums += self._partial
            self._partial.zero_()

    def means(self, where_empty: Tensor) -> Tensor:
        """Mean of each cluster, float32 of shape (k, d); a row of `where_empty` for an empty one."""
        means = (self.sums / self.counts.clamp(min=1)[:, None]).to(where_empty.dtype)
        return torch.where((self.counts > 0)[:, None], means, where_empty)

    def between(self) -> float:
        """``Σ ‖sum‖² / count``: what the squared norms of the rows are more than the inertia."""
        return float((self.sums.square().sum(dim=1) / self.counts.clamp(min=1)).sum())


def lloyd_pass(pool: Pool, centers: Tensor, labels: Tensor, sq_dist: Tensor) -> BlockStatistics:
    """Assign every row of one block to its nearest center and sum the rows by cluster.

    Fills `labels` (n,) int64 and `sq_dist` (n,) float32. 2·n·k·d operations. Blocks may live
    anywhere: their statistics add up.
    """
    half_norms = half_sq_norms(centers)
    cluster_sums = ClusterSums(len(centers), pool.n_features, pool.device)
    inertia = 0.0
    for tile in pool.tiles():
        tile_labels, score = nearest_center(tile.rows, centers, half_norms)
        tile_sq_dist = (2.0 * (score + pool.half_sq_norms[tile.slice])).clamp_(min=0)
        labels[tile.slice] = tile_labels
        sq_dist[tile.slice] = tile_sq_dist
        cluster_sums.add(tile.rows, tile_labels)
        inertia += float(tile_sq_dist.sum(dtype=torch.float64))
    cluster_sums.flush()
    return BlockStatistics(cluster_sums.sums, cluster_sums.counts, inertia)


def partition(pool: Pool, centers: Tensor) -> Partition:
    """Assign every row to its nearest center, ties to the lowest, with distances free of cancellation.

    2·n·k·d operations; n int64 and n float32 beside the pool.
    """
    half_norms = half_sq_norms(centers)
    labels = torch.empty(pool.n_rows, dtype=torch.int64, device=pool.device)
    sq_dist = torch.empty(pool.n_rows, dtype=torch.float32, device=pool.device)
    inertia = 0.0
    for tile in pool.tiles():
        tile_labels, _ = nearest_center(tile.rows, centers, half_norms)
        tile_sq_dist = row_sq_dist(tile.rows, centers[tile_labels])
        labels[tile.slice] = tile_labels
        sq_dist[tile.slice] = tile_sq_dist
        inertia += float(tile_sq_dist.sum(dtype=torch.float64))
    return Partition(labels, sq_dist, inertia)


def lloyd(
    pool: Pool,
    centers: Tensor,
    *,
    max_iter: int,
    max_sq_shift: float,
    on_iteration: Callable[[int, float], object] = lambda iteration, inertia: None,
) -> KMeansResult:
    """Run Lloyd's iterations from `centers` of shape (k, d) until the labels or the centers stand still.

    An empty cluster moves to the row that lies farthest from its center. ``max_iter + 1`` passes of
    2·n·k·d operations at the most.

    Parameters
    ----------
    max_sq_shift : float
        Stop when the summed squared movement of the centers is at most this.
    on_iteration : callable of (iteration, inertia before the update)
    """
    labels = torch.full((pool.n_rows,), -1, dtype=torch.int64, device=pool.device)
    sq_dist = torch.empty(pool.n_rows, dtype=torch.float32, device=pool.device)
    n_iter = 0
    for n_iter in range(1, max_iter + 1):
        previous_labels = labels.clone()
        statistics = lloyd_pass(pool, centers, labels, sq_dist)
        on_iteration(n_iter, statistics.inertia)
        if torch.equal(labels, previous_labels):
            break
        sums, counts = _refill_empty(pool, centers, statistics, labels, sq_dist)
        moved = (sums / counts.clamp(min=1)[:, None]).to(centers.dtype)
        moved = torch.where((counts > 0)[:, None], moved, centers)
        sq_shift = float((moved - centers).square().sum(dtype=torch.float64))
        centers = moved
        if sq_shift <= max_sq_shift:
            break
    return KMeansResult(centers, partition(pool, centers), n_iter)


def _refill_empty(
    pool: Pool, centers: Tensor, statistics: BlockStatistics, labels: Tensor, sq_dist: Tensor
) -> tuple[Tensor, Tensor]:
    sums, counts = statistics.sums, statistics.counts
    empty = (counts == 0).nonzero().flatten()
    if len(empty) == 0:
        return sums, counts
    farthest = torch.argsort(sq_dist, descending=True, stable=True)[: len(empty)]
    rows = pool.rows(farthest.cpu())
    donors = labels[farthest]
    is_away = row_sq_dist(rows, centers[donors]) > 0  # a copy of its center would only trade labels with it
    for cluster, donor, row in zip(empty.tolist(), donors[is_away].tolist(), rows[is_away].double(), strict=False):
        if counts[donor] > 1:
            sums[donor] -= row
            counts[donor] -= 1
            sums[cluster] += row
            counts[cluster] += 1
    return sums, counts


def kmeans_plus_plus(pool: Pool, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `n_clusters` distinct rows, each with probability proportional to its squared distance to those before.

    Exactly the distribution of k-means++ (Arthur and Vassilvitskii, 2007), in few passes: candidates
    are drawn from the distances of the last pass, which bound today's from above, and each is kept with
    probability today's / last. Where the pool has fewer distinct rows than `n_clusters`, the rest is
    drawn uniformly.

    Returns
    -------
    ndarray of shape (n_clusters,), int64
        Row numbers in drawing order. About ``2·n·n_clusters·d`` operations in about
        ``5 · log(n_clusters)`` passes.
    """
    chosen = [int(rng.integers(pool.n_rows))]
    sq_dist = torch.full((pool.n_rows,), torch.inf, dtype=torch.float32, device=pool.device)
    new = list(chosen)
    while True:
        _lower_to_nearest(pool, new, sq_dist)
        sq_dist[torch.tensor(new, dtype=torch.int64, device=pool.device)] = 0.0
        n_missing = n_clusters - len(chosen)
        cumulative = sq_dist.double().cumsum(dim=0)
        total = float(cumulative[-1])
        if n_missing == 0 or total <= 0.0:
            break
        new = _accept_by_rejection(
            pool, sq_dist, cumulative, total, n_missing, min(1 + len(chosen) // 4, _MOST_DRAWS), rng
        )
        chosen += new
    if n_missing:
        unchosen = np.setdiff1d(np.arange(pool.n_rows), chosen)
        chosen += rng.choice(unchosen, size=n_missing, replace=False).tolist()
    return np.array(chosen, dtype=np.int64)


def _accept_by_rejection(
    pool: Pool,
    sq_dist: Tensor,
    cumulative: Tensor,
    total: float,
    n_missing: int,
    n_draws: int,
    rng: np.random.Generator,
) -> list[int]:
    draws = torch.from_numpy(rng.random(n_draws) * total).to(pool.device)
    drawn = torch.searchsorted(cumulative, draws, right=True).clamp_(max=pool.n_rows - 1)
    bound = sq_dist[drawn].double().cpu().numpy()
    candidate_rows = pool.rows(drawn.cpu())
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


def _lower_to_nearest(pool: Pool, new: list[int], sq_dist: Tensor) -> None:
    """Lower `sq_dist` (n,) to the squared distance to the rows `new` where that is smaller, in place."""
    if not new:
        return
    centers = pool.rows(new)
    half_norms = half_sq_norms(centers)
    for tile in pool.tiles():
        _, score = nearest_center(tile.rows, centers, half_norms)
        tile_sq_dist = (2.0 * (score + pool.half_sq_norms[tile.slice])).clamp_(min=0)
        torch.minimum(sq_dist[tile.slice], tile_sq_dist, out=sq_dist[tile.slice])
