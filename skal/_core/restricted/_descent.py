"""Labels of a pool, lowered in inertia pass by pass."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skal._core.anchors import half_costs
from skal._core.blocks import Blocks, SomeRows
from skal._core.cluster_sums import ClusterSums
from skal._core.ordering import rank_within
from skal._core.products import total
from skal._core.restricted._estimates import decode, unit_above
from skal._core.restricted._moves import (
    MoveCosts,
    best_moves,
    look_up,
    sum_by_cluster,
    sum_moves,
    weights,
)
from skal._core.restricted._neighborhoods import (
    Surroundings,
    group_means,
    look_up_by_groups,
    pays_to_look_up_by_groups,
)
from skal._core.restricted._swaps import best_merges, best_splits, choose_swaps, swap_targets
from skal._core.run_state import Keep, RunState, keep_nothing

__all__ = ["Descent", "OnIteration"]

_PASSES_BETWEEN_REGROUPINGS = 5
_SHARE_THAT_MAY_MOVE = 3  # one member in so many, a pass and cluster
_SHARE_OF_SHIFT, _SHARE_OF_COST = 0.3, 0.1  # with half of the first or all, the inertia differed by less than 0.1 %
_MOST_ROUNDS_OF_SWAPS, _LEAST_GAIN_OF_A_ROUND, _ROWS_OF_A_SMALL_CLUSTER = 10, 0.01, 10
_MOST_COST_OF_HALF_NORM = 8.0  # of the longest row: twice half the square of twice its length
_ROUNDING = 2.0**-20  # a gain below this share of a row's squared norm may be float32's rounding

# Of the state, as they are.
_KEPT = ("labels", "centers", "could_gain", "cost")
_KEPT_FACTS = ("inertia", "n_rounds", "n_passes", "has_begun")

OnIteration = Callable[[int, float], object]


class Moves(NamedTuple):
    """Rows that may go to other clusters, each on its own account."""

    row_idx: Tensor
    goal: Tensor
    gain: Tensor
    is_nearer: Tensor

    def at(self, which: Tensor) -> Moves:
        """Return those at some positions, or under a mask."""
        return Moves(*(each[which] for each in self))

    def without(self, row_idx: Tensor) -> Moves:
        """Leave some rows out."""
        return self if len(row_idx) == 0 else self.at(~torch.isin(self.row_idx, row_idx))


class Descent:
    """Labels, sums and centers of a clustering, and the passes that lower its inertia."""

    def __init__(
        self,
        pool: Blocks,
        labels: Tensor,
        n_clusters: int,
        surroundings: Surroundings,
        n_looked_up: int = 0,
        anchors: Tensor | None = None,
        clusters: ClusterSums | None = None,
    ) -> None:
        self.pool = pool
        self.labels = labels.clone()
        self.surroundings = surroundings
        self.n_looked_up = n_looked_up
        self._of_sums = n_clusters, pool.sum_steps()
        self.clusters = clusters or pool.map_reduce(sum_by_cluster, operator.iadd, self._of_sums, [labels])
        self.clusters.anchors = anchors
        self.centers = self.clusters.means(
            torch.zeros((n_clusters, pool.n_features), dtype=torch.float32, device=pool.device)
        )
        self.half_sq_norms = pool.half_sq_norms()
        self.total_sq_norm = 2.0 * total(self.half_sq_norms)
        self.scatter = self.clusters.scatter()
        self.inertia = self.total_sq_norm - total(self.scatter)
        self.unit = unit_above(_MOST_COST_OF_HALF_NORM * float(self.half_sq_norms.max()))
        self.could_gain = torch.full_like(self.half_sq_norms, torch.inf)  # in the next pass, for all that is known
        self.cost = torch.zeros_like(self.half_sq_norms)
        self.n_rounds = self.n_passes = 0  # of swaps, and of passes after them
        self.has_begun = False  # whether swaps are over, where there are any, and passes have begun

    def state(self) -> RunState:
        """Say where the descent is, between two passes or rounds of swaps, for `of_state`."""
        tensors = {name: getattr(self, name) for name in _KEPT} | self.clusters.tensors()
        around = self.surroundings.state()
        facts = {name: getattr(self, name) for name in _KEPT_FACTS}
        return RunState(tensors | around.tensors, facts | around.facts)

    @classmethod
    def of_state(cls, pool: Blocks, state: RunState, n_looked_up: int, anchors: Tensor | None) -> Descent:
        """Go on from there; the pool, the number of rows to look up and the anchors are the same."""
        clusters = ClusterSums.of_tensors(state.tensors, pool.sum_steps())
        surroundings = Surroundings.of_state(state)
        labels = state.tensors["labels"]
        descent = cls(pool, labels, len(clusters.counts), surroundings, n_looked_up, anchors, clusters)
        for name in _KEPT:
            setattr(descent, name, state.tensors[name])
        for name in _KEPT_FACTS:
            setattr(descent, name, state.facts[name])
        return descent

    def run(
        self,
        n_passes: int,
        hartigan: bool,
        min_improvement: float,
        n_before: int,
        on_iteration: OnIteration,
        keep: Keep = keep_nothing,
    ) -> int:
        """Make passes until there are `n_passes`, after `n_before` of others; return how many there are."""
        self.has_begun = True
        for step in range(self.n_passes, n_passes):
            keep(self.state)
            if self.surroundings.age >= _PASSES_BETWEEN_REGROUPINGS and len(self.surroundings.near.candidates) > 1:
                self.surroundings.renew(self.centers)
            before = self.inertia
            costs = MoveCosts.of(self.centers, self.clusters, self.surroundings.near, hartigan)
            moves = self._find_moves(costs)
            centers = self.centers.clone()
            filling_idx = self._fill_empty(self.cost)
            moves = moves.without(filling_idx)
            if step == 0 and (hartigan or not self._looks_up_by_groups()):
                moves = moves.without(self._look_up_costliest(self.cost))
            self._move(moves, hartigan)
            self._raise_gains(costs, centers, hartigan)
            self.surroundings.age += 1
            self.n_passes += 1
            on_iteration(n_before + self.n_passes, self.inertia)
            if before - self.inertia <= min_improvement * before:
                break
        return self.n_passes

    def swap(self, rng: np.random.Generator, keep: Keep = keep_nothing) -> None:
        """Merge and split clusters in rounds, until one lowers the inertia by less than a hundredth.

        Where clusters hold fewer than ten rows, a round takes longer beside a pass, and has to lower it by more.
        """
        least_gain = _LEAST_GAIN_OF_A_ROUND * max(1.0, _ROWS_OF_A_SMALL_CLUSTER * len(self.centers) / self.pool.n_rows)
        while self.n_rounds < _MOST_ROUNDS_OF_SWAPS:
            keep(self.state)
            self.n_rounds += 1
            before = self.inertia
            if self.n_rounds == 1 and self.surroundings.age > 1:  # after one pass they are as good as new
                self.surroundings.renew(self.centers)
            splits = best_splits(self.pool, self.labels, self.clusters, self.centers, rng)
            merges = best_merges(self.clusters, self.centers, self.surroundings.near)
            swaps = choose_swaps(splits, merges)
            if not swaps and self.n_rounds == 1:
                return  # and the surroundings are good
            if not swaps:
                break
            target = swap_targets(self.labels, splits.is_second, swaps, len(self.centers))
            moved = (target != self.labels).nonzero().flatten()
            if not self._try_move(moved, target[moved]):
                break
            freed, _, split = torch.tensor(swaps, device=self.labels.device).T
            self.surroundings.follow(freed, split)
            if before - self.inertia < least_gain * before:
                break
        self.surroundings.renew(self.centers)

    def _raise_gains(self, before: MoveCosts, centers: Tensor, hartigan: bool) -> None:
        """Raise the gains of the rows that stayed by what they may have risen as centers moved and weights changed.

        A center that moves by δ changes half the squared distance r²/2 of a row by at most r·δ + δ²/2, and by much less
        where there are many features. So a share of r·δ is taken.
        """
        shift = torch.linalg.vector_norm(self.centers - centers, dim=1)
        away, home = weights(self.clusters, hartigan)
        away_change, home_change = (away - before.away).abs_(), (home - before.home).abs_()
        near = self.surroundings.near
        most_shift, most_change = (
            change[near.padded].amax(dim=1)[near.group_of_center] for change in (shift, away_change)
        )
        distance = (2.0 * self.cost).sqrt_()
        self.could_gain += _SHARE_OF_SHIFT * distance * (shift + most_shift)[self.labels]
        self.could_gain += _SHARE_OF_SHIFT * self.cost * (home_change + most_change)[self.labels]

    def take_over(self, on_sketch: Descent) -> None:
        """Leave rows alone at first that could not gain on a sketch, with some share of their cost to spare."""
        self.cost = on_sketch.cost
        self.could_gain = on_sketch.could_gain + _SHARE_OF_COST * on_sketch.cost

    def _find_moves(self, costs: MoveCosts) -> Moves:
        """Find the moves that gain; rows that could not, for all that is known, are left alone."""
        row_idx = (self.could_gain > 0).nonzero().flatten()
        rows = SomeRows(row_idx, (self.labels[row_idx],), self.pool.n_rows)
        cost, loss, gains, gain, goal, is_nearer = self.pool.map_gather(best_moves, (costs, self.unit), [rows])
        self.cost[row_idx] = decode(cost, self.unit)
        self.could_gain[row_idx] = decode(loss, self.unit).neg_().masked_scatter_(gains, gain)
        return Moves(row_idx[gains], goal, gain, is_nearer)

    def _fill_empty(self, cost: Tensor) -> Tensor:
        """Give each empty cluster one of the costliest rows, no two from one cluster; return those rows.

        Anchored clusters may stay empty.
        """
        n_anchored = self.clusters.n_anchored
        empty = n_anchored + (self.clusters.counts[n_anchored:] == 0).nonzero().flatten()
        if len(empty) == 0:
            return empty
        is_spare = (self.clusters.counts[self.labels] > 1) & (cost > _ROUNDING * self.half_sq_norms)
        row_idx = is_spare.nonzero().flatten()
        row_idx = row_idx[torch.argsort(cost[row_idx], descending=True, stable=True)]
        row_idx = row_idx[rank_within(self.labels[row_idx], len(self.centers)) == 0][: len(empty)]
        filled, left = empty[: len(row_idx)], self.labels[row_idx]
        if not self._try_move(row_idx, filled):
            return row_idx[:0]
        self.surroundings.follow(filled, left)
        return row_idx

    def _look_up_costliest(self, cost: Tensor) -> Tensor:
        """Compare the costliest rows with all or many centers and move them to the nearest; return those that moved."""
        row_idx = cost.topk(self.n_looked_up).indices.sort().values
        half_norms = torch.where(self.clusters.counts > 0, half_costs(self.centers, self.clusters.anchors), torch.inf)
        rows = SomeRows(row_idx, (self.labels[row_idx],), self.pool.n_rows)
        if self._looks_up_by_groups():
            means = group_means(self.centers, self.surroundings.near, half_norms)
            (found,) = self.pool.map_gather(look_up_by_groups, means, [rows])
        else:
            (found,) = self.pool.map_gather(look_up, (self.centers, half_norms), [rows])
        moves = found != self.labels[row_idx]
        moved = row_idx[moves]
        return moved if self._try_move(moved, found[moves]) else moved[:0]

    def _looks_up_by_groups(self) -> bool:
        return pays_to_look_up_by_groups(self.pool.device, self.surroundings.near, self.n_looked_up)

    def _move(self, moves: Moves, hartigan: bool) -> None:
        """Apply the moves that gain.

        Rows that are nearer to their target's center never spoil one another, as in Lloyd's iterations. Of the
        moves that only Hartigan's rule makes, as many are applied as hardly do.
        """
        moves = moves.at(moves.gain > _ROUNDING * self.half_sq_norms[moves.row_idx])
        if not hartigan:
            self._try_move(moves.row_idx, moves.goal)
            return
        moves = moves.at(torch.argsort(moves.gain, descending=True, stable=True))
        most = (self.clusters.counts // _SHARE_THAT_MAY_MOVE).clamp(min=1)
        source, goal, nearer = self.labels[moves.row_idx], moves.goal, moves.is_nearer
        k = len(self.centers)
        are_few = (rank_within(source, k) < most[source]) & (rank_within(goal, k) < most[goal])
        for chosen in (are_few | nearer, nearer, touch_each_cluster_once(source, goal, k)):
            if bool(chosen.any()) and self._try_move(moves.row_idx[chosen], goal[chosen]):
                return

    def _try_move(self, row_idx: Tensor, goal: Tensor) -> bool:
        """Move rows, each to its goal, if that lowers the inertia, counted in float64."""
        if len(row_idx) == 0:
            return True
        row_idx, order = row_idx.sort()
        goal = goal[order]
        moves = SomeRows(row_idx, (self.labels[row_idx], goal), self.pool.n_rows)
        changes = self.pool.map_reduce(sum_moves, operator.iadd, self._of_sums, [moves])
        touched = changes.touched
        moved = self.clusters.changed(touched, changes.sums)
        scatter = self.scatter.index_copy(0, touched, moved.scatter())
        inertia = self.total_sq_norm - total(scatter)
        if inertia > self.inertia:
            return False
        self.clusters.put(touched, moved)
        self.scatter, self.inertia = scatter, inertia
        moved.put_means(touched, self.centers)
        self.labels[row_idx] = goal
        self.could_gain[row_idx] = torch.inf
        return True


def touch_each_cluster_once(source: Tensor, goal: Tensor, n_clusters: int) -> Tensor:
    """Which moves are the first to touch both their clusters; such moves gain exactly what each gains alone."""
    turn = torch.arange(len(source), device=source.device)
    first = torch.full((n_clusters,), len(source), dtype=torch.int64, device=source.device)
    first = first.scatter_reduce(0, source, turn, "amin").scatter_reduce(0, goal, turn, "amin")
    return (first[source] == turn) & (first[goal] == turn)
