"""One pass of the descent over a block: sums by cluster, rows sorted by group, and the best move of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skal._core.anchors import surcharges
from skal._core.blocks import Block, SomeRows, Tile
from skal._core.cluster_sums import ClusterSums, SumsOfMoves
from skal._core.distances import half_sq_norms, lowest_into, nearest_center
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
_ROWS_COMPARED_AT_ONCE = {"cpu": 1024, "cuda": 65536}
_ROWS_WEIGHED_AT_ONCE = {"cpu": 8192, "cuda": 1 << 20}
_DTYPES_OF_GAINING = torch.int64, torch.float32, torch.int64, torch.bool


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
        half_surcharges = 0.5 * surcharges(centers, clusters.anchors)
        weighted, half_norms = torch.empty_like(centers), torch.empty_like(away)

        def weigh(some: slice) -> None:
            torch.mul(centers[some], away[some, None], out=weighted[some])
            half_norms[some] = away[some] * half_sq_norms(centers[some]) + half_surcharges[some]

        clusters.map_clusters(weigh)
        half_norms[(clusters.counts == 0) & ~clusters.are_anchored()] = torch.inf
        return cls(near, hartigan, away, home, weighted, half_norms)


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
    estimates = torch.empty((2, len(rows)), dtype=torch.uint8, device=block.device)  # of cost and loss
    gaining = [_nothing_gains(block.device)]
    n_before = 0
    for where in block.slices():
        of_tile = rows[where]
        if len(of_tile):
            gaining += _best_moves_in_tile(block, block.tile(where), of_tile, costs, unit, estimates, n_before)
            n_before += len(of_tile)
    which, gain, target, is_nearer = (torch.cat(parts) for parts in zip(*gaining, strict=True))
    which, order = which.sort()
    gains = torch.zeros(len(rows), dtype=torch.bool, device=block.device).index_fill_(0, which, True)
    return estimates[0], estimates[1], gains, gain[order], target[order], is_nearer[order]


Part = tuple[Any, ...]  # the number of a group, and tensors of some of its rows


class Gaining(NamedTuple):
    """Rows that gain by a move, as `best_moves` says."""

    which: Tensor  # int64, of the rows that were looked at
    gain: Tensor
    target: Tensor
    is_nearer: Tensor


def _nothing_gains(device: torch.device) -> Gaining:
    return Gaining(*(torch.empty(0, dtype=dtype, device=device) for dtype in _DTYPES_OF_GAINING))


def _best_moves_in_tile(
    block: Block, tile: Tile, rows: SomeRows, costs: MoveCosts, unit: float, estimates: Tensor, n_before: int
) -> list[Gaining]:
    """Find what `best_moves` says for some rows of a tile, which stand after so many others in `estimates`.

    A worker compares rows with centers in few operations a product, for each of which it waits until it may use Python;
    the rest is done for many rows at a time.
    """
    (labels,), near = rows.values, costs.near
    order, sizes = near.rows_by_group(labels)
    positions, label = rows.row_idx[order], labels[order]
    half_norms, place = tile.half_sq_norms[positions], near.place_of_center[label][:, None]
    stay, leave = (half_norms.new_empty(len(rows), 1) for _ in range(2))
    there = torch.empty_like(place)
    of_group = list(
        zip(near.candidates, near.of_candidates(costs.weighted_half_norms), near.of_candidates(costs.away), strict=True)
    )

    def compare(parts: list[Part]) -> None:
        for group, positions, half_norms, place, stay, leave, there in parts:
            candidates, weighted_half_norms, away = of_group[group]
            centers = costs.weighted_centers.index_select(0, candidates).T
            cost = affine(weighted_half_norms, tile.rows.index_select(0, positions), centers, alpha=-1)
            if costs.hartigan:
                cost.addr_(half_norms, away)
            torch.gather(cost, 1, place, out=stay)
            lowest_into(cost.scatter_(1, place, torch.inf), leave, there)

    def weigh(part: slice) -> Gaining:
        at_home, elsewhere, own, which = stay[part, 0], leave[part, 0], label[part], order[part] + n_before
        if not costs.hartigan:
            at_home, elsewhere = at_home + half_norms[part], elsewhere + half_norms[part]
        at_home = at_home.clamp(min=0).div_(costs.away[own].clamp_(min=0.5))
        cost_now = at_home * costs.home[own]
        loss = elsewhere - cost_now
        estimates[:, which] = encode(torch.stack((cost_now, loss)), unit)
        gains = (loss < 0).nonzero().flatten()
        target = near.candidate(own[gains], there[part, 0][gains])
        is_nearer = elsewhere[gains] / costs.away[target].clamp_(min=0.5) < at_home[gains]
        return Gaining(which[gains], -loss[gains], target, is_nearer)

    block.map(
        compare,
        stretches(sizes, _ROWS_COMPARED_AT_ONCE[block.device.type], (positions, half_norms, place, stay, leave, there)),
    )
    at_once = _ROWS_WEIGHED_AT_ONCE[block.device.type]
    return block.map(weigh, [slice(start, start + at_once) for start in range(0, len(rows), at_once)])


def stretches(sizes: list[int], most: int, per_row: Sequence[Tensor]) -> Iterator[list[Part]]:
    """Part tensors of rows that are ordered by group, so many in each, into stretches of about `most` rows.

    A stretch is what a worker takes: parts of one group each, with the number of the group first.
    """
    groups, n_rows = [], []
    for group, size in enumerate(sizes):
        of_group = [most] * (size // most) + [size % most] * (size % most > 0)
        groups += [group] * len(of_group)
        n_rows += of_group
    stretch: list[Part] = []
    n_together = 0
    for part in zip(groups, *(each.split(n_rows) for each in per_row), strict=True):
        if stretch and n_together + len(part[1]) > most:
            yield stretch
            stretch, n_together = [], 0
        stretch.append(part)
        n_together += len(part[1])
    if stretch:
        yield stretch


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
