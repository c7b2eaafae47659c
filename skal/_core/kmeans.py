"""K-means over a pool that is read in tiles.

A pass maps each block of rows to what it adds, labels and sums by cluster, and merges these in the order of
the blocks, so that any executor can run it; nothing of size n × k or n × d is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from skal._core.anchors import half_costs, pull
from skal._core.blocks import Block, Blocks, Tile
from skal._core.cluster_sums import ClusterSums
from skal._core.distances import half_sq_norms, nearest_center, row_sq_dist, to_sq_dist
from skal._core.products import total

__all__ = ["KMeansResult", "Partition", "empty_labels", "lloyd", "partition"]

_MOST_FOR_SUMS_OF_A_TILE = 256  # clusters; the sums of more are no less work than the rows of a tile


class LloydPass(NamedTuple):
    """What one pass over some rows found."""

    labels: Tensor  # (m,) int64
    sq_dist: Tensor  # (m,) float32
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


def lloyd_pass(block: Block, per_row: tuple[Tensor, ...], weighed: tuple[Tensor, Tensor]) -> LloydPass:
    """Assign every row of a block to its cheapest center and sum the rows by cluster. 2·m·k·d operations.

    `weighed` are the centers and their `half_costs`; without anchors the cheapest center is the nearest.
    """
    centers, half_norms = weighed
    k = len(centers)
    found = ClusterSums(k, block.n_features, block.device)
    labels, sq_dist = empty_labels(block.n_rows, block.device)
    inertia: list[float] = []

    def assign(tile: Tile) -> tuple[Tile, ClusterSums | None]:
        labels[tile.slice], score = nearest_center(tile.rows, centers, half_norms)
        sq_dist[tile.slice] = to_sq_dist(score, tile.half_sq_norms)
        if k > _MOST_FOR_SUMS_OF_A_TILE:
            return tile, None
        of_tile = ClusterSums(k, block.n_features, block.device)
        of_tile.add(tile.rows, labels[tile.slice])
        return tile, of_tile

    def merge(result: tuple[Tile, ClusterSums | None]) -> None:
        nonlocal found
        tile, of_tile = result
        inertia.append(total(sq_dist[tile.slice]))
        if of_tile is None:
            found.add(tile.rows, labels[tile.slice])
        else:
            found += of_tile

    block.reduce_tiles(assign, merge)
    return LloydPass(labels, sq_dist, found.sums, found.counts, sum(inertia))


def merge_lloyd_passes(first: LloydPass, second: LloydPass) -> LloydPass:
    """Merge what two consecutive blocks found."""
    return LloydPass(
        torch.cat([first.labels, second.labels]),
        torch.cat([first.sq_dist, second.sq_dist]),
        first.sums + second.sums,
        first.counts + second.counts,
        first.inertia + second.inertia,
    )


def partition(pool: Blocks, centers: Tensor) -> Partition:
    """Assign every row to its nearest center, ties to the lowest, with distances free of cancellation.

    2·n·k·d operations; n int64 and n float32 beside the pool.
    """
    return pool.map_reduce(partition_block, merge_partitions, centers)


def partition_block(block: Block, per_row: tuple[Tensor, ...], centers: Tensor) -> Partition:
    """Do what `partition` does for the rows of one block."""
    half_norms = half_sq_norms(centers)
    labels, sq_dist = empty_labels(block.n_rows, block.device)

    def assign(tile: Tile) -> float:
        labels[tile.slice], _ = nearest_center(tile.rows, centers, half_norms)
        sq_dist[tile.slice] = row_sq_dist(tile.rows, centers.index_select(0, labels[tile.slice]))
        return total(sq_dist[tile.slice])

    return Partition(labels, sq_dist, sum(block.map_tiles(assign)))


def merge_partitions(first: Partition, second: Partition) -> Partition:
    """Join the partitions of two consecutive blocks."""
    return Partition(
        torch.cat([first.labels, second.labels]),
        torch.cat([first.sq_dist, second.sq_dist]),
        first.inertia + second.inertia,
    )


def empty_labels(n_rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Make room for the label and the squared distance of each row."""
    return (
        torch.empty(n_rows, dtype=torch.int64, device=device),
        torch.empty(n_rows, dtype=torch.float32, device=device),
    )


def lloyd(
    pool: Blocks,
    centers: Tensor,
    *,
    max_iter: int,
    max_sq_shift: float,
    anchors: Tensor | None = None,
    on_iteration: Callable[[int, float], object] = lambda iteration, inertia: None,
) -> KMeansResult:
    """Run Lloyd's iterations from `centers` of shape (k, d) until the labels or the centers stand still.

    An empty cluster without an anchor moves to the row that lies farthest from its center. ``max_iter + 1`` passes
    of 2·n·k·d operations at the most. The partition is that into nearest centers, anchored or not.

    Parameters
    ----------
    max_sq_shift : float
        Stop when the summed squared movement of the centers is at most this.
    anchors : Tensor of shape (m, d), default=None
        The anchors of the first m clusters, see `skal._core.anchors`.
    on_iteration : callable of (iteration, inertia before the update)
    """
    labels = torch.full((pool.n_rows,), -1, dtype=torch.int64, device=pool.device)
    n_iter = 0
    for n_iter in range(1, max_iter + 1):
        weighed = centers, half_costs(centers, anchors)
        found = pool.map_reduce(lloyd_pass, merge_lloyd_passes, weighed)
        on_iteration(n_iter, found.inertia)
        if torch.equal(found.labels, labels):
            break
        labels = found.labels
        sums, counts = _refill_empty(pool, centers, found, 0 if anchors is None else len(anchors))
        moved = (sums / counts.clamp(min=1)[:, None]).to(centers.dtype)
        moved = pull(torch.where((counts > 0)[:, None], moved, centers), anchors)
        sq_shift = total((moved - centers).square())
        centers = moved
        if sq_shift <= max_sq_shift:
            break
    return KMeansResult(centers, partition(pool, centers), n_iter)


def _refill_empty(pool: Blocks, centers: Tensor, found: LloydPass, n_anchored: int) -> tuple[Tensor, Tensor]:
    """Give each empty cluster the row farthest from its center, anchored ones nothing; return new sums and counts."""
    labels, sq_dist, sums, counts, _ = found
    empty = n_anchored + (counts[n_anchored:] == 0).nonzero().flatten()
    if len(empty) == 0:
        return sums, counts
    farthest = torch.argsort(sq_dist, descending=True, stable=True)[: len(empty)]
    rows = pool.take(farthest.cpu())
    donors = labels[farthest]
    is_away = row_sq_dist(rows, centers[donors]) > 0  # a copy of its center would only trade labels with it
    for cluster, donor, row in zip(empty.tolist(), donors[is_away].tolist(), rows[is_away].double(), strict=False):
        if counts[donor] > 1:
            sums[donor] -= row
            counts[donor] -= 1
            sums[cluster] += row
            counts[cluster] += 1
    return sums, counts
