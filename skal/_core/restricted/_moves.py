"""One pass of the descent over a block: sums by cluster, rows sorted by group, and the best move of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from skal._core.anchors import surcharges
from skal._core.blocks import Block, Tile
from skal._core.cluster_sums import ClusterSums
from skal._core.distances import half_sq_norms, lowest
from skal._core.products import affine
from skal._core.restricted._neighborhoods import ROWS_AT_ONCE, Neighborhoods

__all__ = ["MoveCosts", "add_cluster_sums", "best_moves", "map_pieces", "sort_by_group", "sum_by_cluster", "weights"]


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
        away, home = weights(clusters, hartigan)
        half_norms = away * half_sq_norms(centers) + 0.5 * surcharges(centers, clusters.anchors)
        half_norms = torch.where((clusters.counts > 0) | clusters.are_anchored(), half_norms, torch.inf)
        return cls(near, hartigan, away, home, centers * away[:, None], half_norms)


def weights(clusters: ClusterSums, hartigan: bool) -> tuple[Tensor, Tensor]:
    """Return the weights of squared distances away and at home, as `MoveCosts` says, float32 of shape (k,)."""
    counts = clusters.counts.float()
    one = torch.ones_like(counts)
    if not hartigan:
        return one, one
    alone = torch.where(counts > 1, counts / (counts - 1).clamp(min=1), 0.0)
    is_anchored = clusters.are_anchored()
    return torch.where(is_anchored, one, counts / (counts + 1)), torch.where(is_anchored, one, alone)


def best_moves(block: Block, per_row: tuple[Tensor, ...], costs: MoveCosts) -> tuple[Tensor, ...]:
    """Find for each row of a block the best other cluster nearby and what the row would gain there.

    Parameters
    ----------
    per_row : labels, and the groups and the order that `sort_by_group` gave, each (m,) int64; gain and cost of the last
        pass, the gain raised by what it may have risen since. Rows that could not gain even so are left alone.

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
    labels, groups, order, could_gain, cost_before = per_row
    target, gain, cost_now = labels.clone(), could_gain.clone(), cost_before.clone()
    is_nearer = torch.zeros_like(gain, dtype=torch.bool)
    n_groups = len(costs.near.candidates)
    for tile in block.tiles():
        tile_order = order[tile.slice]
        tile_order = tile_order[could_gain[tile.slice][tile_order] > 0]
        sizes = torch.bincount(groups[tile.slice][tile_order], minlength=n_groups).tolist()

        def move(stretch: Stretch, tile: Tile = tile, tile_order: Tensor = tile_order) -> None:
            positions = tile_order[stretch.where]
            row_idx = positions + tile.start
            label, half_norms = labels[row_idx], tile.half_sq_norms[positions]
            goal, stay, leave = _compare(tile.rows, positions, label, half_norms, stretch, costs)
            stay = stay.clamp_(min=0).div_(costs.away[label].clamp_(min=0.5))
            is_nearer[row_idx] = leave / costs.away[goal].clamp_(min=0.5) < stay
            stay *= costs.home[label]
            target[row_idx] = goal
            gain[row_idx] = stay - leave
            cost_now[row_idx] = stay

        block.map(move, stretches(sizes, ROWS_AT_ONCE[block.device.type]))
    return target, gain, is_nearer, cost_now


def _compare(
    rows: Tensor, positions: Tensor, label: Tensor, half_norms: Tensor, stretch: Stretch, costs: MoveCosts
) -> tuple[Tensor, Tensor, Tensor]:
    """Find for some rows the best other cluster, and half of what the row costs, weighed, at home and there."""
    goal, stay, leave = torch.empty_like(label), torch.empty_like(half_norms), torch.empty_like(half_norms)
    for group, where in stretch.parts:
        candidates = costs.near.candidates[group]
        centers = costs.weighted_centers.index_select(0, candidates).T
        cost = affine(costs.weighted_half_norms[candidates], rows.index_select(0, positions[where]), centers, alpha=-1)
        if costs.hartigan:
            cost.addr_(half_norms[where], costs.away[candidates])
        here = torch.searchsorted(candidates, label[where])[:, None]
        stay[where] = cost.gather(1, here).squeeze(1)
        leave[where], place = lowest(cost.scatter_(1, here, torch.inf))
        goal[where] = candidates[place]
    if not costs.hartigan:
        stay += half_norms
        leave += half_norms
    return goal, stay, leave


class Stretch(NamedTuple):
    """Consecutive rows of those that are ordered by group."""

    where: slice
    parts: list[tuple[int, slice]]  # each of one group: which, and its rows, counted from the stretch's first


def stretches(sizes: list[int], most: int) -> Iterator[Stretch]:
    """Part rows that are ordered by group, so many in each, into stretches of about `most` rows."""
    start = stop = 0
    parts: list[tuple[int, slice]] = []
    for group, size in enumerate(sizes):
        for n_rows in [most] * (size // most) + [size % most] * (size % most > 0):
            if parts and stop + n_rows - start > most:
                yield Stretch(slice(start, stop), parts)
                start, parts = stop, []
            parts.append((group, slice(stop - start, stop - start + n_rows)))
            stop += n_rows
    if parts:
        yield Stretch(slice(start, stop), parts)


def sort_by_group(block: Block, per_row: tuple[Tensor, ...], group_of_center: Tensor) -> tuple[Tensor, Tensor]:
    """Group of each row's cluster, and in each tile the positions of its rows ordered by group; both (m,) int64."""
    (labels,) = per_row
    groups = group_of_center[labels]
    order = torch.cat([torch.argsort(groups[where], stable=True) for where in block.slices()])
    return groups, order


def sum_by_cluster(block: Block, per_row: tuple[Tensor, ...], n_clusters: int) -> ClusterSums:
    """Add up the rows of a block by their labels."""
    (labels,) = per_row
    sums = ClusterSums(n_clusters, block.n_features, block.device)
    for tile in block.tiles():
        sums.add(tile.rows, labels[tile.slice])
    return sums


def add_cluster_sums(first: ClusterSums, second: ClusterSums) -> ClusterSums:
    """Merge the sums of two blocks."""
    first += second
    return first


def map_pieces(block: Block, work: Callable[[slice, Tensor], None]) -> None:
    """Hand a block to workers in pieces that stay in cache: which of its rows, and the rows."""
    size = ROWS_AT_ONCE[block.device.type]
    for tile in block.tiles():

        def work_on(part: slice, tile: Tile = tile) -> None:
            work(slice(tile.start + part.start, tile.start + part.stop), tile.rows[part])

        parts = [slice(start, min(start + size, len(tile.rows))) for start in range(0, len(tile.rows), size)]
        block.map(work_on, parts)
