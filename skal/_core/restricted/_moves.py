"""One pass of the descent over a block: sums by cluster, rows sorted by group, and the best move of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from skal._core.anchors import surcharges
from skal._core.blocks import Block, SomeRows, Tile
from skal._core.cluster_sums import ClusterSums, SumsOfMoves
from skal._core.distances import half_sq_norms, lowest, nearest_center
from skal._core.ordering import stable_order
from skal._core.products import affine
from skal._core.restricted._estimates import encode
from skal._core.restricted._neighborhoods import ROWS_AT_ONCE, Neighborhoods

__all__ = [
    "MoveCosts",
    "best_moves",
    "look_up",
    "map_pieces",
    "sum_by_cluster",
    "sum_moves",
    "weights",
]

_ROWS_LOOKED_UP_AT_ONCE = {"cpu": 256, "cuda": 65536}


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


def best_moves(
    block: Block, per_row: tuple[SomeRows], shared: tuple[MoveCosts, float]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Find for some rows of a block the best other cluster nearby and what the row would gain there.

    Parameters
    ----------
    per_row : m rows, with the label of each, int64.
    shared : what clusters cost, and the unit in which numbers are encoded (`skal._core.restricted._estimates`).

    Returns
    -------
    cost : uint8 Tensor of shape (m,)
        Half of what the row costs where it is, encoded.
    loss : uint8 Tensor of shape (m,)
        Half the rise of the inertia if this row alone moved, encoded; 0 if it falls.
    gains : bool Tensor of shape (m,)
        Whether it falls.
    gain : Tensor, of the rows that gain
        Half its fall.
    target : int64 Tensor, of the rows that gain
    is_nearer : bool Tensor, of the rows that gain
        Whether the target's center is nearer than the row's own: such rows may move all at once.
    """
    (rows,), (costs, unit) = per_row, shared
    target = rows.values[0].clone()
    loss = torch.empty(len(rows), dtype=costs.away.dtype, device=block.device)
    estimates = torch.empty((2, len(rows)), dtype=torch.uint8, device=block.device)  # of cost and loss
    is_nearer = torch.zeros(len(rows), dtype=torch.bool, device=block.device)
    n_groups, n_before = len(costs.near.candidates), 0
    for where in block.slices():
        of_tile = rows[where]
        if len(of_tile) == 0:
            continue
        (labels,) = of_tile.values
        groups = costs.near.group_of_center[labels]
        order = stable_order(groups, n_groups)
        sizes = torch.bincount(groups, minlength=n_groups).tolist()
        tile = block.tile(where)

        def move(
            stretch: Stretch,
            tile: Tile = tile,
            row_idx: Tensor = of_tile.row_idx,
            labels: Tensor = labels,
            order: Tensor = order,
            n_before: int = n_before,
        ) -> None:
            which = order[stretch.where]
            positions, label = row_idx[which], labels[which]
            goal, stay, leave = _compare(tile.rows, positions, label, tile.half_sq_norms[positions], stretch, costs)
            which = which + n_before
            stay = stay.clamp_(min=0).div_(costs.away[label].clamp_(min=0.5))
            is_nearer[which] = leave / costs.away[goal].clamp_(min=0.5) < stay
            stay *= costs.home[label]
            target[which] = goal
            lost = leave - stay
            loss[which] = lost
            estimates[:, which] = encode(torch.stack((stay, lost)), unit)

        block.map(move, stretches(sizes, ROWS_AT_ONCE[block.device.type]))
        n_before += len(of_tile)
    gains = loss < 0
    return estimates[0], estimates[1], gains, -loss[gains], target[gains], is_nearer[gains]


def _compare(
    rows: Tensor, positions: Tensor, label: Tensor, half_norms: Tensor, stretch: Stretch, costs: MoveCosts
) -> tuple[Tensor, Tensor, Tensor]:
    """Find for some rows the best other cluster, and half of what the row costs, weighed, at home and there."""
    goal, stay, leave = torch.empty_like(label), torch.empty_like(half_norms), torch.empty_like(half_norms)
    place = costs.near.place_of_center[label]
    for group, where in stretch.parts:
        candidates = costs.near.candidates[group]
        centers = costs.weighted_centers.index_select(0, candidates).T
        cost = affine(costs.weighted_half_norms[candidates], rows.index_select(0, positions[where]), centers, alpha=-1)
        if costs.hartigan:
            cost.addr_(half_norms[where], costs.away[candidates])
        here = place[where, None]
        stay[where] = cost.gather(1, here).squeeze(1)
        leave[where], there = lowest(cost.scatter_(1, here, torch.inf))
        goal[where] = candidates[there]
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


def sum_by_cluster(block: Block, per_row: tuple[Tensor, ...], shared: tuple[int, tuple[float, ...]]) -> ClusterSums:
    """Add up the rows of a block by their labels; `shared` are the number of clusters and the steps of the sums."""
    (labels,) = per_row
    n_clusters, steps = shared
    sums = ClusterSums(n_clusters, block.n_features, block.device, steps=steps)
    for tile in block.tiles():
        sums.add(tile.rows, labels[tile.slice])
    return sums


def sum_moves(block: Block, per_row: tuple[SomeRows], shared: tuple[int, tuple[float, ...]]) -> SumsOfMoves:
    """What the sums change by where some rows of a block, each with its label and its goal, go."""
    (moves,) = per_row
    n_clusters, steps = shared
    labels, goals = moves.values
    changes = SumsOfMoves.between(labels, goals, n_clusters, block.n_features, steps)
    sources, targets = changes.places(labels), changes.places(goals)

    def move(sums: ClusterSums, where: slice) -> None:
        sums.add_few(block.take(moves.row_idx[where]), (sources[where], -1), (targets[where], 1))

    changes.sums.accumulate(len(moves), move)
    return changes


def look_up(block: Block, per_row: tuple[SomeRows], weighed: tuple[Tensor, Tensor]) -> tuple[Tensor]:
    """Compare some rows of a block with all centers. Labels of these rows, int64.

    `weighed` are the centers and their `half_costs`.
    """
    (rows,) = per_row

    def find(positions: Tensor) -> Tensor:
        return nearest_center(block.take(positions), *weighed)[0]

    found = [rows.row_idx[:0]]
    for where in block.slices():
        positions = where.start + rows[where].row_idx
        found += block.map(find, positions.split(_ROWS_LOOKED_UP_AT_ONCE[block.device.type]))
    return (torch.cat(found),)


def map_pieces(block: Block, work: Callable[[slice, Tensor], None]) -> None:
    """Hand a block to workers in pieces that stay in cache: which of its rows, and the rows."""
    size = ROWS_AT_ONCE[block.device.type]
    for tile in block.tiles():

        def work_on(part: slice, tile: Tile = tile) -> None:
            work(slice(tile.start + part.start, tile.start + part.stop), tile.rows[part])

        parts = [slice(start, min(start + size, len(tile.rows))) for start in range(0, len(tile.rows), size)]
        block.map(work_on, parts)
