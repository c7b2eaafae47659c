"""Swaps: two clusters that cost little as one are merged, and the center that is free splits a costly cluster.

Lloyd's and Hartigan's rules move rows between neighbours, so a pool with separate groups keeps the fault of its
seeds: two centers in one group, one center for two others. A swap mends that. For every cluster its best split is
tried at once, by 2-means from a second center drawn from its rows.
"""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skal._core.anchors import surcharges
from skal._core.blocks import Block, Blocks
from skal._core.cluster_sums import ClusterSums
from skal._core.distances import half_sq_norms, lowest_into, row_sq_dist, sq_dist_of_pairs
from skal._core.products import affine
from skal._core.restricted._moves import map_pieces
from skal._core.restricted._neighborhoods import Neighborhoods
from skal._core.workers import map_on

__all__ = ["Merges", "Splits", "best_merges", "best_splits", "choose_swaps", "swap_targets"]

_TWO_MEANS_PASSES = 3
_ALL_PAIRS_UP_TO = 1024  # centers
_MARGIN = 1.05  # a split must gain so much more than the merge costs


class Splits(NamedTuple):
    """The best split found of each cluster."""

    gain: Tensor  # (k,) float64: what the inertia falls
    is_second: Tensor  # (n,) bool: whether a row goes with the second center


class Merges(NamedTuple):
    """The cheapest partner of each cluster."""

    cost: Tensor  # (k,) float64: what the inertia rises
    partner: Tensor  # (k,) int64


def best_splits(
    pool: Blocks, labels: Tensor, clusters: ClusterSums, centers: Tensor, rng: np.random.Generator
) -> Splits:
    """Split every cluster in two by 2-means; the second center starts at a row drawn by its squared distance.

    About ``8·n·d`` operations in four passes.
    """
    (sq_dist,) = pool.map_gather(sq_dist_to_own, centers, [labels])
    drawn, is_filled = _draw_one_each(labels, sq_dist, len(centers), rng)
    first, second = centers, pool.take(drawn.cpu())
    for _ in range(_TWO_MEANS_PASSES):
        directions = second - first
        shared = directions, 0.5 * (directions * (first + second)).sum(dim=1)
        (is_second,) = pool.map_gather(is_nearer_to_second, shared, [labels])
        shared_by_sums = len(centers), clusters.steps
        of_second = pool.map_reduce(sum_second, operator.iadd, shared_by_sums, [labels, is_second])
        of_first = clusters.plus(of_second, sign=-1)
        first, second = of_first.means(first), of_second.means(second)
    gain = of_first.scatter() + of_second.scatter() - clusters.scatter()
    is_split = is_filled & (of_first.counts > 0) & (of_second.counts > 0)
    return Splits(torch.where(is_split, gain, 0.0), is_second)


def best_merges(clusters: ClusterSums, centers: Tensor, near: Neighborhoods) -> Merges:
    """Find the cheapest partner of each cluster, among all up to 1024 of them, else among those around it.

    An empty cluster is free as it is: it costs nothing and is its own partner. An anchored cluster is never freed;
    one that merges into it pays at the most what its rows cost there before the center follows.
    """
    k, n_anchored = len(centers), clusters.n_anchored
    is_empty = clusters.counts == 0
    inverse_counts = 1.0 / clusters.counts.clamp(min=1).to(centers.dtype)
    half_surcharge = 0.5 * surcharges(centers, clusters.anchors)
    half_norms = half_sq_norms(centers)
    if_filled = half_norms.masked_fill(is_empty, torch.inf)
    everyone = torch.arange(k, device=centers.device)
    place = everyone if k <= _ALL_PAIRS_UP_TO else near.place_of_center
    order, sizes = near.rows_by_group(everyone)
    half_norms_of_own, inverse_counts_of_own, place_of_own = (
        each[order][:, None] for each in (half_norms, inverse_counts, place)
    )
    lowest_rise, position = torch.empty_like(half_norms_of_own), torch.empty_like(place_of_own)

    def rise(others: Tensor, half_sq_dist: Tensor, inverse_counts_of_own: Tensor) -> Tensor:
        """Half of what a merge costs."""
        merged = half_sq_dist / (inverse_counts_of_own + inverse_counts[others])
        if not n_anchored:
            return merged
        is_anchored = others < n_anchored
        return torch.where(is_anchored, (half_sq_dist + half_surcharge[others]) / inverse_counts_of_own, merged)

    def find(group_and_where: tuple[int, slice]) -> None:
        group, where = group_and_where
        others = everyone if k <= _ALL_PAIRS_UP_TO else near.candidates[group]
        first, second = centers.index_select(0, order[where]), centers.index_select(0, others)
        half_sq_dist = affine(if_filled[others], first, second.T, alpha=-1).add_(half_norms_of_own[where])
        rises = rise(others, half_sq_dist, inverse_counts_of_own[where])
        lowest_into(rises.scatter_(1, place_of_own[where], torch.inf), lowest_rise[where], position[where])

    ends = np.cumsum([0, *sizes]).tolist()
    map_on(centers.device, find, [(group, slice(*ends[group : group + 2])) for group in range(len(sizes))])
    lowest_rise, position = (
        torch.empty_like(each[:, 0]).index_copy_(0, order, each[:, 0]) for each in (lowest_rise, position)
    )
    partner = position if k <= _ALL_PAIRS_UP_TO else near.candidate(everyone, position)
    cost = 2.0 * rise(partner, 0.5 * sq_dist_of_pairs(centers, everyone, partner), inverse_counts).double()
    cost[torch.isinf(lowest_rise)] = torch.inf
    cost[:n_anchored] = torch.inf
    is_empty[:n_anchored] = False
    return Merges(torch.where(is_empty, 0.0, cost), torch.where(is_empty, everyone, partner))


def choose_swaps(splits: Splits, merges: Merges) -> list[tuple[int, int, int]]:
    """Pair the best splits with the cheapest merges, as long as one gains more than the other costs.

    Returns
    -------
    list of (freed, kept, split)
        Cluster `freed` merges into `kept`, itself if it is empty, and takes the second half of `split`; otherwise
        no cluster occurs twice, so that the gains add up.
    """
    gain, cost, partner = splits.gain.tolist(), merges.cost.tolist(), merges.partner.tolist()
    waiting = iter(torch.argsort(splits.gain, descending=True, stable=True).tolist())
    split = next(waiting)
    taken: set[int] = set()
    swaps = []
    for freed in torch.argsort(merges.cost, stable=True).tolist():
        kept = partner[freed]
        while split in taken:
            split = next(waiting, -1)
        if split < 0 or gain[split] <= _MARGIN * cost[freed] or gain[split] <= 0:
            break
        if split in (freed, kept) or freed in taken or kept in taken:
            continue
        taken |= {freed, kept, split}
        swaps.append((freed, kept, split))
    return swaps


def swap_targets(labels: Tensor, is_second: Tensor, swaps: list[tuple[int, int, int]], n_clusters: int) -> Tensor:
    """Cluster of each row after the swaps, shape (n,)."""
    freed, kept, split = torch.tensor(swaps, device=labels.device).T
    merged_into = torch.arange(n_clusters, device=labels.device)
    merged_into[freed] = kept
    half_goes_to = torch.full_like(merged_into, -1)
    half_goes_to[split] = freed
    goes = half_goes_to[labels]
    return torch.where(is_second & (goes >= 0), goes, merged_into[labels])


def sq_dist_to_own(block: Block, per_row: tuple[Tensor, ...], centers: Tensor) -> tuple[Tensor]:
    """Squared distance of each row of a block to the center of its cluster, shape (m,)."""
    (labels,) = per_row
    sq_dist = torch.empty(block.n_rows, dtype=torch.float32, device=block.device)

    def measure(where: slice, rows: Tensor) -> None:
        sq_dist[where] = row_sq_dist(rows, centers.index_select(0, labels[where]))

    map_pieces(block, measure)
    return (sq_dist,)


def is_nearer_to_second(block: Block, per_row: tuple[Tensor, ...], shared: tuple[Tensor, Tensor]) -> tuple[Tensor]:
    """Whether each row of a block is nearer to the second of its cluster's two centers, shape (m,) bool.

    `shared` holds the second center minus the first, and half the difference of their squared norms.
    """
    (labels,) = per_row
    directions, thresholds = shared
    is_second = torch.empty(block.n_rows, dtype=torch.bool, device=block.device)

    def compare(where: slice, rows: Tensor) -> None:
        label = labels[where]
        is_second[where] = (rows * directions.index_select(0, label)).sum(dim=1) > thresholds[label]

    map_pieces(block, compare)
    return (is_second,)


def sum_second(block: Block, per_row: tuple[Tensor, ...], shared: tuple[int, tuple[float, ...]]) -> ClusterSums:
    """Add up by cluster those rows of a block that go with the second center; `shared` as for `sum_by_cluster`."""
    labels, is_second = per_row
    n_clusters, steps = shared
    sums = ClusterSums(n_clusters, block.n_features, block.device, steps=steps)
    for tile in block.tiles():
        chosen = is_second[tile.slice].nonzero().flatten()
        sums.add(tile.rows.index_select(0, chosen), labels[tile.slice][chosen])
    return sums


def _draw_one_each(labels: Tensor, sq_dist: Tensor, n_clusters: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw a row of each cluster with probability proportional to `sq_dist`; say which clusters have rows."""
    waits = torch.from_numpy(rng.exponential(size=len(labels))).to(labels.device)
    waits /= sq_dist.double().clamp(min=torch.finfo(torch.float64).tiny)
    least = waits.new_full((n_clusters,), torch.inf).scatter_reduce(0, labels, waits, "amin")
    is_least = (waits == least[labels]).nonzero().flatten()
    none = len(labels)
    first = torch.full((n_clusters,), none, dtype=torch.int64, device=labels.device)
    first = first.scatter_reduce(0, labels[is_least], is_least, "amin")
    return first.clamp(max=none - 1), first < none
