"""K-means for many centroids: each row is compared with the centroids around its own, not with all.

Centroids are grouped, some forty neighbours a group. The rows of a group are compared with the
centroids of the group and those nearest to them, as one dense product, so that a pass costs
``2·n·c·d`` operations with c ≈ 200 in place of k. The first passes run on a few principal
coordinates. Rows move by the rule of Hartigan, which leaves optima in which Lloyd's iterations stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Pool, Tile
from skal._core.distances import half_sq_norms, nearest_center, row_sq_dist
from skal._core.kmeans import ClusterSums, KMeansResult, Partition, kmeans_plus_plus, lloyd
from skal._core.projection import PrincipalAxes, principal_axes, project

__all__ = ["Sketch", "enough_passes", "restricted_kmeans", "sketch_pool", "tile_rows_of"]

_CENTERS_IN_A_GROUP = 48
_NEIGHBORS_OF_A_CENTER = 24
_GROUPS_SEARCHED_FOR_NEIGHBORS = 12
_PASSES_BETWEEN_REGROUPINGS = 5
_ROWS_AT_ONCE = {"cpu": 2048, "cuda": 65536}
_SEED_SAMPLE = (16384, 2)  # rows at least, rows a centroid
_STARTS, _START_PASSES = 5, 8  # tried on the sample where it holds enough rows a centroid to tell them apart:
_ROWS_TO_CHOOSE_A_START = 100
_LEAST_COMPONENTS, _MOST_COMPONENTS = 64, 128
_SHARE_THAT_MAY_MOVE = 8  # one member in so many, a pass and cluster
_TILE_ELEMENTS = 1 << 25
_ROUNDING = 2.0**-20  # a gain below this share of a row's squared norm may be float32's rounding

OnIteration = Callable[[int, float], object]


@dataclass(frozen=True)
class Sketch:
    """A pool on its leading principal directions."""

    axes: PrincipalAxes
    coordinates: Tensor  # (n, n_components) float32


def sketch_pool(pool: Pool) -> Sketch:
    """Project the pool to a quarter of its features, within 64 and 128, in one pass, which checks every row."""
    n_components = min(pool.n_features, max(_LEAST_COMPONENTS, min(pool.n_features // 4, _MOST_COMPONENTS)))
    axes = principal_axes(pool, n_components)
    return Sketch(axes, project(pool, axes))


def enough_passes(n_rows: int, n_clusters: int) -> int:
    """Eight passes for clusters of up to 25 rows, eleven for 50, eleven more for each factor of ten above."""
    return round(max(8, 11 * (math.log10(n_rows / n_clusters) - 0.7)))


def tile_rows_of(n_features: int) -> int:
    """Rows a tile: many, so that the rows of a group lie together in few products."""
    return max(2048, _TILE_ELEMENTS // n_features)


def restricted_kmeans(
    pool: Pool,
    sketch: Sketch,
    n_clusters: int,
    rng: np.random.Generator,
    *,
    init: str | Tensor = "k-means++",
    max_iter: int,
    min_improvement: float,
    on_iteration: OnIteration = lambda iteration, inertia: None,
) -> KMeansResult:
    """Cluster a pool into many clusters.

    Parameters
    ----------
    pool : Pool of shape (n, d)
        With `tile_rows_of` rows a tile.
    sketch : Sketch
        Of the same pool.
    n_clusters : int
    rng : numpy.random.Generator
    init : "k-means++", "random" or Tensor of shape (n_clusters, d)
    max_iter : int
        Passes at the most: a sixth by Lloyd's rule on the sketch, then by Hartigan's; the last sixth
        in all dimensions, or half the share of the variance that the sketch leaves out if that is more.
        Where the sketch leaves out much, groups of centers mislead some rows: in the first pass of each
        phase the costliest rows, half the square of that share, are compared with all centers.
    min_improvement : float
        A phase ends with a pass that lowers its inertia by less than this fraction.
    on_iteration : callable of (pass, inertia after it in the space it works in)

    Returns
    -------
    KMeansResult
        Centers are the means of their rows, that of an empty cluster a copy of the largest cluster's;
        a row's label need not be the nearest of all centers.
        Memory beside pool and sketch: 60 bytes a row and five arrays of n_clusters × d.
    """
    small = Pool(sketch.coordinates, pool.device, tile_rows=tile_rows_of(sketch.coordinates.shape[1]))
    centers = _first_centers(small, sketch.axes, n_clusters, init, rng)
    surroundings = _Surroundings(centers)
    labels = _assign_by_groups(small, centers, surroundings.near)
    n_lloyd = max(1, max_iter // 6)
    n_full = max(n_lloyd, round(max_iter * (1 - sketch.axes.captured) / 2))
    n_done = 0
    n_looked_up = round(pool.n_rows * (1 - sketch.axes.captured) ** 2 / 2)
    for space, n_passes, hartigan in (
        (small, min(n_lloyd, max_iter - 1), False),
        (small, max(0, max_iter - n_lloyd - n_full), True),
        (pool, n_full, True),
    ):
        descent = _Descent(space, labels, n_clusters, surroundings, n_looked_up)
        n_done = descent.run(n_passes, hartigan, min_improvement, n_done, on_iteration)
    counts = descent.clusters.counts  # where there are fewer distinct rows than clusters, some stay empty
    centers = torch.where((counts > 0)[:, None], descent.centers, descent.centers[counts.argmax()])
    return _measure(pool, labels, centers, n_done)


def _first_centers(
    small: Pool, axes: PrincipalAxes, n_clusters: int, init: str | Tensor, rng: np.random.Generator
) -> Tensor:
    if isinstance(init, Tensor):
        return (init - axes.mean) @ axes.directions
    if init == "random":
        return small.rows(rng.choice(small.n_rows, size=n_clusters, replace=False))
    at_least, per_center = _SEED_SAMPLE
    n_sampled = min(small.n_rows, max(at_least, per_center * n_clusters))
    sample = small.rows(rng.choice(small.n_rows, size=n_sampled, replace=False))
    sample_pool = Pool(sample, small.device)
    if n_sampled < _ROWS_TO_CHOOSE_A_START * n_clusters:
        leading = Pool(sample[:, -_LEAST_COMPONENTS:].contiguous(), small.device)
        return sample_pool.rows(kmeans_plus_plus(leading, n_clusters, rng))
    sample_pool = Pool(sample[: _ROWS_TO_CHOOSE_A_START * n_clusters], small.device)
    starts = (sample_pool.rows(kmeans_plus_plus(sample_pool, n_clusters, rng)) for _ in range(_STARTS))
    runs = (lloyd(sample_pool, start, max_iter=_START_PASSES, max_sq_shift=0.0) for start in starts)
    return min(runs, key=lambda run: run.partition.inertia).centers


@dataclass(frozen=True)
class _Neighborhoods:
    """Which centers the rows of which centers are compared with."""

    group_of_center: Tensor  # (k,) int64
    candidates: list[Tensor]  # of each group: its own centers and those near them, ascending


def _make_neighborhoods(centers: Tensor) -> _Neighborhoods:
    half_norms = half_sq_norms(centers)
    members = _group_centers(centers)
    group_of_center = torch.empty(len(centers), dtype=torch.int64, device=centers.device)
    for group, positions in enumerate(members):
        group_of_center[positions] = group
    group_centers = torch.stack([centers[positions].mean(dim=0) for positions in members])
    to_groups = torch.addmm(half_sq_norms(group_centers), group_centers, group_centers.T, alpha=-1)
    n_near = min(len(members), _GROUPS_SEARCHED_FOR_NEIGHBORS)
    near_groups = to_groups.topk(n_near, dim=1, largest=False).indices.tolist()
    candidates = []
    for positions, near in zip(members, near_groups, strict=True):
        around = torch.cat([members[other] for other in near])
        score = torch.addmm(half_norms[around], centers[positions], centers[around].T, alpha=-1)
        nearest = score.topk(min(_NEIGHBORS_OF_A_CENTER, len(around)), dim=1, largest=False).indices
        candidates.append(torch.cat([positions, around[nearest].flatten()]).unique())
    return _Neighborhoods(group_of_center, candidates)


def _group_centers(centers: Tensor) -> list[Tensor]:
    """Positions of the centers of each group: by Lloyd's iterations, and what is too large for that by halves."""
    k = len(centers)
    n_groups = max(1, round(k / _CENTERS_IN_A_GROUP))
    center_pool = Pool(centers, centers.device)
    evenly = np.linspace(0, k - 1, n_groups).astype(np.int64)
    labels = lloyd(center_pool, center_pool.rows(evenly), max_iter=4, max_sq_shift=0.0).partition.labels
    groups = [positions for positions in _rows_by_group(labels, n_groups) if len(positions)]
    return [half for positions in groups for half in _halve_until(centers, positions, 2 * _CENTERS_IN_A_GROUP)]


def _halve_until(centers: Tensor, positions: Tensor, most: int) -> list[Tensor]:
    """Parts of at most that many, split at the median of the direction in which the centers spread."""
    if len(positions) <= most:
        return [positions]
    centered = centers[positions] - centers[positions].mean(dim=0)
    direction = centered[centered.square().sum(dim=1).argmax()]
    order = torch.argsort(centered @ (centered.T @ (centered @ direction)), stable=True)
    low, high = order[: len(order) // 2].sort().values, order[len(order) // 2 :].sort().values
    return [*_halve_until(centers, positions[low], most), *_halve_until(centers, positions[high], most)]


def _rows_by_group(groups: Tensor, n_groups: int) -> list[Tensor]:
    """Positions in `groups` (m,) of each group, ascending."""
    order = torch.argsort(groups, stable=True)
    return list(order.split(torch.bincount(groups, minlength=n_groups).tolist()))


class _Surroundings:
    """Neighborhoods that outlive the change from one space to another, and their age in passes."""

    def __init__(self, centers: Tensor) -> None:
        self.renew(centers)

    def renew(self, centers: Tensor) -> None:
        self.near = _make_neighborhoods(centers)
        self.age = 0


def _assign_by_groups(pool: Pool, centers: Tensor, near: _Neighborhoods) -> Tensor:
    """Nearest center of each row among those around the nearest group of centers, shape (n,) int64."""
    n_groups = len(near.candidates)
    sums = ClusterSums(n_groups, pool.n_features, pool.device, precise=True)
    sums.add(centers, near.group_of_center)
    group_centers = sums.means(torch.zeros((n_groups, pool.n_features), device=pool.device))
    group_norms, half_norms = half_sq_norms(group_centers), half_sq_norms(centers)
    labels = torch.empty(pool.n_rows, dtype=torch.int64, device=pool.device)
    at_once = _ROWS_AT_ONCE[pool.device.type]
    for tile in pool.tiles():
        groups = torch.cat([nearest_center(rows, group_centers, group_norms)[0] for rows in tile.rows.split(at_once)])
        for candidates, members in zip(near.candidates, _rows_by_group(groups, n_groups), strict=True):
            for positions in members.split(at_once) if len(members) else ():
                local, _ = nearest_center(tile.rows[positions], centers[candidates], half_norms[candidates])
                labels[tile.start + positions] = candidates[local]
    return labels


class _Descent:
    """Labels of a pool, lowered in inertia pass by pass; writes to the labels it is given."""

    def __init__(
        self, pool: Pool, labels: Tensor, n_clusters: int, surroundings: _Surroundings, n_looked_up: int = 0
    ) -> None:
        self.pool = pool
        self.labels = labels
        self.surroundings = surroundings
        self.n_looked_up = n_looked_up
        self.clusters = ClusterSums(n_clusters, pool.n_features, pool.device)
        for tile in pool.tiles():
            for positions, rows in _pieces(tile):
                self.clusters.add(rows, labels[positions])
        self.clusters.flush()
        self.centers = self.clusters.means(
            torch.zeros((n_clusters, pool.n_features), dtype=torch.float32, device=pool.device)
        )
        self.total_sq_norm = 2.0 * float(pool.half_sq_norms.sum(dtype=torch.float64))
        self.inertia = self.total_sq_norm - self.clusters.between()

    def run(self, n_passes: int, hartigan: bool, min_improvement: float, n_done: int, on_iteration: OnIteration) -> int:
        """Make up to `n_passes` passes; return how many there have been in all."""
        self._sort_by_group()
        for step in range(n_passes):
            if self.surroundings.age >= _PASSES_BETWEEN_REGROUPINGS:
                self.surroundings.renew(self.centers)
                self._sort_by_group()
            before = self.inertia
            target, gain, cost = self._best_moves(hartigan)
            filling_idx = self._fill_empty(cost)
            gain[filling_idx] = 0.0
            if step == 0:
                gain[self._look_up_costliest(cost)] = 0.0
            self._move(target, gain, hartigan)
            are_strangers = len(filling_idx) > 0  # to the groups that the centers they fill lie in
            self.surroundings.age += _PASSES_BETWEEN_REGROUPINGS if are_strangers else 1
            n_done += 1
            on_iteration(n_done, self.inertia)
            if before - self.inertia <= min_improvement * before:
                break
        return n_done

    def _sort_by_group(self) -> None:
        near = self.surroundings.near
        self.members = [
            _rows_by_group(near.group_of_center[self.labels[tile_slice]], len(near.candidates))
            for tile_slice in self.pool.tile_slices()
        ]

    def _best_moves(self, hartigan: bool) -> tuple[Tensor, Tensor, Tensor]:
        """For each row: the best other cluster nearby, half the fall of the inertia if it moved there, and its cost.

        A row of cluster a costs ``wₐ‖x − cₐ‖²`` where it is and ``w‖x − c‖²`` elsewhere: both weights
        are 1 for Lloyd; for Hartigan ``n/(n − 1)`` at home and ``n/(n + 1)`` elsewhere, which counts how
        the two centers follow. No row is sent to an empty cluster: all of them would want to go.
        """
        centers, counts = self.centers, self.clusters.counts.to(self.centers.dtype)
        away = counts / (counts + 1) if hartigan else torch.ones_like(counts)
        home = torch.where(counts > 1, counts / (counts - 1).clamp(min=1), 0.0) if hartigan else torch.ones_like(counts)
        weighted_centers = centers * away[:, None]
        weighted_half_norms = torch.where(counts > 0, away * half_sq_norms(centers), torch.inf)
        target = torch.empty_like(self.labels)
        gain = torch.empty(self.pool.n_rows, dtype=centers.dtype, device=centers.device)
        cost_now = torch.empty_like(gain)
        for tile, tile_members in zip(self.pool.tiles(), self.members, strict=True):
            order = torch.cat(tile_members)
            row_idx = order + tile.start
            label, half_norms = self.labels[row_idx], self.pool.half_sq_norms[row_idx]
            goal, stay, leave = torch.empty_like(label), torch.empty_like(half_norms), torch.empty_like(half_norms)
            stop = 0
            for candidates, members in zip(self.surroundings.near.candidates, tile_members, strict=True):
                if len(members) == 0:
                    continue
                group_centers, group_half_norms = weighted_centers[candidates].T, weighted_half_norms[candidates]
                group_away = away[candidates]
                for positions in members.split(_ROWS_AT_ONCE[centers.device.type]):
                    piece = slice(stop, stop := stop + len(positions))
                    cost = torch.addmm(group_half_norms, tile.rows[positions], group_centers, alpha=-1)
                    if hartigan:
                        cost.addr_(half_norms[piece], group_away)
                    here = torch.searchsorted(candidates, label[piece])[:, None]
                    stay[piece] = cost.gather(1, here).squeeze(1)
                    leave[piece], place = cost.scatter_(1, here, torch.inf).min(dim=1)
                    goal[piece] = candidates[place]
            if not hartigan:
                stay += half_norms
                leave += half_norms
            stay = stay.clamp_(min=0).div_(away[label].clamp(min=0.5)).mul_(home[label])
            target[row_idx] = goal
            gain[row_idx] = stay - leave
            cost_now[row_idx] = stay
        return target, gain, cost_now

    def _fill_empty(self, cost: Tensor) -> Tensor:
        """Give each empty cluster one of the costliest rows, no two from one cluster; return those rows."""
        empty = (self.clusters.counts == 0).nonzero().flatten()
        if len(empty) == 0:
            return empty
        is_spare = (self.clusters.counts[self.labels] > 1) & (cost > _ROUNDING * self.pool.half_sq_norms)
        row_idx = is_spare.nonzero().flatten()
        row_idx = row_idx[torch.argsort(cost[row_idx], descending=True, stable=True)]
        row_idx = row_idx[_rank_within(self.labels[row_idx]) == 0][: len(empty)]
        target = self.labels.clone()
        target[row_idx] = empty[: len(row_idx)]
        return row_idx if self._try_move(row_idx, target) else row_idx[:0]

    def _look_up_costliest(self, cost: Tensor) -> Tensor:
        """Compare the costliest rows with all centers and move them to the nearest; return those that moved."""
        costliest = cost.topk(self.n_looked_up).indices.sort().values
        half_norms = torch.where(self.clusters.counts > 0, half_sq_norms(self.centers), torch.inf)
        target = self.labels.clone()
        for part in costliest.split(_ROWS_AT_ONCE[cost.device.type]):
            target[part], _ = nearest_center(self.pool.rows(part.cpu()), self.centers, half_norms)
        moved = costliest[target[costliest] != self.labels[costliest]]
        if not self._try_move(moved, target):
            return moved[:0]
        self._sort_by_group()
        return moved

    def _move(self, target: Tensor, gain: Tensor, hartigan: bool) -> None:
        """Apply the moves that gain; of Hartigan's as many as do not spoil one another."""
        row_idx = (gain > _ROUNDING * self.pool.half_sq_norms).nonzero().flatten()
        if hartigan:
            row_idx = row_idx[torch.argsort(gain[row_idx], descending=True, stable=True)]
            most = (self.clusters.counts // _SHARE_THAT_MAY_MOVE).clamp(min=1)
            source, goal = self.labels[row_idx], target[row_idx]
            spread = row_idx[(_rank_within(source) < most[source]) & (_rank_within(goal) < most[goal])]
            if self._try_move(spread, target):
                return
            row_idx = row_idx[_touch_each_cluster_once(source, goal, len(self.centers))]
        self._try_move(row_idx, target)

    def _try_move(self, row_idx: Tensor, target: Tensor) -> bool:
        """Move rows to their targets if that lowers the inertia, counted in float64."""
        moved = self.clusters.copy()
        for part in row_idx.split(_ROWS_AT_ONCE[row_idx.device.type]):
            rows = self.pool.rows(part.cpu())
            moved.add(rows, self.labels[part], sign=-1)
            moved.add(rows, target[part])
        moved.flush()
        inertia = self.total_sq_norm - moved.between()
        if inertia > self.inertia:
            return False
        self.clusters, self.inertia = moved, inertia
        self.centers = moved.means(self.centers)
        self.labels[row_idx] = target[row_idx]
        return True


def _rank_within(keys: Tensor) -> Tensor:
    """How many earlier entries have the same key, shape (m,)."""
    order = torch.argsort(keys, stable=True)
    ordered = keys[order]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(keys), device=keys.device) - torch.searchsorted(ordered, ordered)
    return rank


def _touch_each_cluster_once(source: Tensor, goal: Tensor, n_clusters: int) -> Tensor:
    """Which moves are the first to touch both their clusters; such moves gain exactly what each gains alone."""
    turn = torch.arange(len(source), device=source.device)
    first = torch.full((n_clusters,), len(source), dtype=torch.int64, device=source.device)
    first = first.scatter_reduce(0, source, turn, "amin").scatter_reduce(0, goal, turn, "amin")
    return (first[source] == turn) & (first[goal] == turn)


def _measure(pool: Pool, labels: Tensor, centers: Tensor, n_iter: int) -> KMeansResult:
    """Every row's exact distance to the center of its cluster."""
    sq_dist = torch.empty(pool.n_rows, dtype=torch.float32, device=pool.device)
    for tile in pool.tiles():
        for positions, rows in _pieces(tile):
            sq_dist[positions] = row_sq_dist(rows, centers[labels[positions]])
    return KMeansResult(centers, Partition(labels, sq_dist, float(sq_dist.sum(dtype=torch.float64))), n_iter)


def _pieces(tile: Tile) -> Iterator[tuple[slice, Tensor]]:
    """A tile in pieces that stay in cache: which rows of the pool, and the rows."""
    start = tile.start
    for rows in tile.rows.split(_ROWS_AT_ONCE[tile.rows.device.type]):
        yield slice(start, start + len(rows)), rows
        start += len(rows)
