"""K-means over a pool that is read in tiles.

A pass maps each block of rows to what it adds, labels and sums by cluster, and merges these in the order of
the blocks, so that any executor can run it; nothing of size n × k or n × d is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from skal._core.anchors import half_costs, pull
from skal._core.blocks import Block, Blocks, Tile
from skal._core.cluster_sums import ClusterSums
from skal._core.distances import half_sq_norms, nearest_center, row_sq_dist, to_sq_dist
from skal._core.products import total
from skal._core.run_state import Keep, RunState, keep_nothing

__all__ = ["KMeansResult", "Partition", "empty_labels", "lloyd", "partition"]

_MOST_FOR_SUMS_OF_A_TILE = 256  # clusters; the sums of more are no less work than the rows of a tile


class LloydPass(NamedTuple):
    """What one pass over some rows found."""

    labels: list[Tensor]  # of each block (m,) int64
    sq_dist: list[Tensor]  # of each block (m,) float32
    clusters: ClusterSums


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


def lloyd_pass(
    block: Block, per_row: tuple[Tensor, ...], shared: tuple[Tensor, Tensor, tuple[float, ...]]
) -> LloydPass:
    """Assign every row of a block to its cheapest center and sum the rows by cluster. 2·m·k·d operations.

    `shared` are the centers, their `half_costs` (without anchors the cheapest center is the nearest), and the steps
    of the sums.
    """
    centers, half_norms, steps = shared
    k = len(centers)
    found = ClusterSums(k, block.n_features, block.device, steps=steps)
    labels, sq_dist = empty_labels(block.n_rows, block.device)

    def assign(tile: Tile) -> tuple[Tile, ClusterSums | None]:
        labels[tile.slice], score = nearest_center(tile.rows, centers, half_norms)
        sq_dist[tile.slice] = to_sq_dist(score, tile.half_sq_norms)
        if k > _MOST_FOR_SUMS_OF_A_TILE:
            return tile, None
        of_tile = ClusterSums(k, block.n_features, block.device, steps=steps)
        of_tile.add(tile.rows, labels[tile.slice])
        return tile, of_tile

    def merge(result: tuple[Tile, ClusterSums | None]) -> None:
        nonlocal found
        tile, of_tile = result
        if of_tile is None:
            found.add(tile.rows, labels[tile.slice])
        else:
            found += of_tile

    block.reduce_tiles(assign, merge)
    return LloydPass([labels], [sq_dist], found)


def merge_lloyd_passes(first: LloydPass, second: LloydPass) -> LloydPass:
    """Merge what two consecutive blocks found."""
    clusters = first.clusters
    clusters += second.clusters
    return LloydPass(first.labels + second.labels, first.sq_dist + second.sq_dist, clusters)


def partition(pool: Blocks, centers: Tensor) -> Partition:
    """Assign every row to its nearest center, ties to the lowest, with distances free of cancellation.

    2·n·k·d operations; n int64 and n float32 beside the pool.
    """
    labels, sq_dist = pool.map_gather(partition_block, centers)
    return Partition(labels, sq_dist, total(sq_dist))


def partition_block(block: Block, per_row: tuple[Tensor, ...], centers: Tensor) -> tuple[Tensor, Tensor]:
    """Label and squared distance of each row of a block."""
    half_norms = half_sq_norms(centers)
    labels, sq_dist = empty_labels(block.n_rows, block.device)

    def assign(tile: Tile) -> None:
        labels[tile.slice], _ = nearest_center(tile.rows, centers, half_norms)
        sq_dist[tile.slice] = row_sq_dist(tile.rows, centers.index_select(0, labels[tile.slice]))

    block.map_tiles(assign)
    return labels, sq_dist


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
    resume: RunState | None = None,
    keep: Keep = keep_nothing,
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
    resume : RunState, default=None
        What `keep` got from a run of the same pool and parameters; `centers` do not count then.
    keep : callable of a function that returns a RunState
        Called before each pass.
    """
    labels = torch.full((pool.n_rows,), -1, dtype=torch.int64, device=pool.device)
    n_iter = n_done = 0
    if resume is not None:
        centers, labels, n_done = resume.tensors["centers"], resume.tensors["labels"], resume.facts["n_iter"]
    steps = pool.sum_steps()
    for n_iter in range(n_done + 1, max_iter + 1):
        keep(partial(RunState, {"centers": centers, "labels": labels}, {"n_iter": n_iter - 1}))
        shared = centers, half_costs(centers, anchors), steps
        found = pool.map_reduce(lloyd_pass, merge_lloyd_passes, shared)
        new_labels, sq_dist = torch.cat(found.labels), torch.cat(found.sq_dist)
        on_iteration(n_iter, total(sq_dist))
        if torch.equal(new_labels, labels):
            break
        labels = new_labels
        n_anchored = 0 if anchors is None else len(anchors)
        sums, counts = _refill_empty(pool, centers, labels, sq_dist, found.clusters, n_anchored)
        moved = (sums / counts.clamp(min=1)[:, None]).to(centers.dtype)
        moved = pull(torch.where((counts > 0)[:, None], moved, centers), anchors)
        sq_shift = total((moved - centers).square())
        centers = moved
        if sq_shift <= max_sq_shift:
            break
    return KMeansResult(centers, partition(pool, centers), n_iter)


def _refill_empty(
    pool: Blocks, centers: Tensor, labels: Tensor, sq_dist: Tensor, clusters: ClusterSums, n_anchored: int
) -> tuple[Tensor, Tensor]:
    """Give each empty cluster the row farthest from its center, anchored ones nothing; return new sums and counts."""
    sums, counts = clusters.sums.clone(), clusters.counts.clone()
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
