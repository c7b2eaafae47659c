"""One pass of the descent over a block: sums by cluster, rows sorted by group, and the best move of each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from skal._core.anchors import surcharges
from skal._core.blocks import Block
from skal._core.cluster_sums import ClusterSums
from skal._core.distances import half_sq_norms, nearest_center
from skal._core.products import affine
from skal._core.restricted._neighborhoods import ROWS_AT_ONCE, Neighborhoods

__all__ = ["MoveCosts", "best_moves", "look_up", "pieces", "sort_by_group", "sum_by_cluster", "sum_moves"]


@dataclass(frozen=True)
class MoveCosts:
    """What it costs a row to be in each cluster.

    A row of cluster a costs ``wₐ‖x − cₐ‖²`` where it is and ``w‖x − c‖²`` elsewhere: both weights are 1 for
    Lloyd; for Hartigan ``n/(n − 1)`` at home and ``n/(n + 1)`` elsewhere, which counts how the two centers
    follow. An anchored cluster has both weights 1 and its surcharge (`skal._core.anchors`), which is never less
    than what a row costs it. An empty cluster without an anchor costs infinity: all rows would want to go there.
    """

    near: Neighborhoods
    hartigan: bool
    away: Tensor  # (k,)
    home: Tensor  # (k,)
    weighted_centers: Tensor  # (k, d)
    weighted_half_norms: Tensor  # (k,)

    @classmethod
    def of(cls, centers: Tensor, clusters: ClusterSums, near: Neighborhoods, hartigan: bool) -> MoveCosts:
        """Weigh the centers."""
        counts = clusters.counts.to(centers.dtype)
        is_anchored = torch.arange(len(centers), device=centers.device) < clusters.n_anchored
        one = torch.ones_like(counts)
        away = torch.where(is_anchored, one, counts / (counts + 1)) if hartigan else one
        alone = torch.where(counts > 1, counts / (counts - 1).clamp(min=1), 0.0)
        home = torch.where(is_anchored, one, alone) if hartigan else one
        half_norms = away * half_sq_norms(centers) + 0.5 * surcharges(centers, clusters.anchors)
        half_norms = torch.where((counts > 0) | is_anchored, half_norms, torch.inf)
        return cls(near, hartigan, away, home, centers * away[:, None], half_norms)


def best_moves(block: Block, per_row: tuple[Tensor, ...], costs: MoveCosts) -> tuple[Tensor, ...]:
    """Find for each row of a block the best other cluster nearby and what the row would gain there.

    Parameters
    ----------
    per_row : labels, and the groups and the order that `sort_by_group` gave; each (m,) int64

    Returns
    -------
    target : int64 Tensor of shape (m,)
    gain : Tensor of shape (m,)
        Half the fall of the inertia if this row alone moved.
    is_nearer : bool Tensor of shape (m,)
        Whether the target's center is nearer than the row's own: such rows may move all at once.
    cost : Tensor of shape (m,)
        Half of what the row costs where it is.
    """
    labels, groups, order = per_row
    target, gain = torch.empty_like(labels), costs.away.new_empty(block.n_rows)
    is_nearer, cost_now = torch.empty_like(gain, dtype=torch.bool), torch.empty_like(gain)
    n_groups = len(costs.near.candidates)
    for tile in block.tiles():
        tile_order = order[tile.slice]
        sizes = torch.bincount(groups[tile.slice], minlength=n_groups).tolist()
        row_idx = tile_order + tile.start
        label, half_norms = labels[row_idx], tile.half_sq_norms[tile_order]
        goal, stay, leave = torch.empty_like(label), torch.empty_like(half_norms), torch.empty_like(half_norms)
        stop = 0
        for candidates, members in zip(costs.near.candidates, tile_order.split(sizes), strict=True):
            if len(members) == 0:
                continue
            centers, group_half_norms = costs.weighted_centers[candidates].T, costs.weighted_half_norms[candidates]
            group_away = costs.away[candidates]
            for positions in members.split(ROWS_AT_ONCE[block.device.type]):
                piece = slice(stop, stop := stop + len(positions))
                cost = affine(group_half_norms, tile.rows[positions], centers, alpha=-1)
                if costs.hartigan:
                    cost.addr_(half_norms[piece], group_away)
                here = torch.searchsorted(candidates, label[piece])[:, None]
                stay[piece] = cost.gather(1, here).squeeze(1)
                leave[piece], place = cost.scatter_(1, here, torch.inf).min(dim=1)
                goal[piece] = candidates[place]
        if not costs.hartigan:
            stay += half_norms
            leave += half_norms
        stay = stay.clamp_(min=0).div_(costs.away[label].clamp(min=0.5))
        is_nearer[row_idx] = leave / costs.away[goal].clamp(min=0.5) < stay
        stay *= costs.home[label]
        target[row_idx] = goal
        gain[row_idx] = stay - leave
        cost_now[row_idx] = stay
    return target, gain, is_nearer, cost_now


def sort_by_group(block: Block, per_row: tuple[Tensor, ...], group_of_center: Tensor) -> tuple[Tensor, Tensor]:
    """Group of each row's cluster, and in each tile the positions of its rows ordered by group; both (m,) int64."""
    (labels,) = per_row
    groups = group_of_center[labels]
    order = torch.cat([torch.argsort(groups[where], stable=True) for where in block.slices()])
    return groups, order


def sum_by_cluster(block: Block, per_row: tuple[Tensor, ...], shared: tuple[int, tuple[float, ...]]) -> ClusterSums:
    """Add up the rows of a block by their labels; `shared` are the number of clusters and the steps of the sums."""
    (labels,) = per_row
    sums = _empty_sums(block, shared)
    for positions, rows in pieces(block):
        sums.add(rows, labels[positions])
    return sums


def sum_moves(block: Block, per_row: tuple[Tensor, ...], shared: tuple[int, tuple[float, ...]]) -> ClusterSums:
    """What the sums change by where rows of a block go from their labels to others, the second state of rows."""
    labels, goals = per_row
    sums = _empty_sums(block, shared)
    for positions in (labels != goals).nonzero().flatten().split(ROWS_AT_ONCE[block.device.type]):
        rows = block.take(positions)
        sums.add(rows, labels[positions], sign=-1)
        sums.add(rows, goals[positions])
    return sums


def _empty_sums(block: Block, shared: tuple[int, tuple[float, ...]]) -> ClusterSums:
    n_clusters, steps = shared
    return ClusterSums(n_clusters, block.n_features, block.device, steps=steps)


def look_up(block: Block, per_row: tuple[Tensor, ...], weighed: tuple[Tensor, Tensor]) -> tuple[Tensor]:
    """Compare the marked rows of a block with all centers; the others keep their label. Labels (m,) int64.

    `weighed` are the centers and their `half_costs`.
    """
    labels, is_marked = per_row
    found = labels.clone()
    for where in block.slices():
        positions = where.start + is_marked[where].nonzero().flatten()
        for part in positions.split(ROWS_AT_ONCE[block.device.type]):
            found[part], _ = nearest_center(block.take(part), *weighed)
    return (found,)


def pieces(block: Block) -> Iterator[tuple[slice, Tensor]]:
    """Yield a block in pieces that stay in cache: which of its rows, and the rows."""
    for tile in block.tiles():
        start = tile.start
        for rows in tile.rows.split(ROWS_AT_ONCE[tile.rows.device.type]):
            yield slice(start, start + len(rows)), rows
            start += len(rows)
