"""Which centers the rows of which centers are compared with: groups of centers, and the centers around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks, Tile
from skal._core.cluster_sums import ClusterSums
from skal._core.distances import half_sq_norms, kth_lowest, nearest_center
from skal._core.kmeans import lloyd
from skal._core.ordering import positions_by_group
from skal._core.products import affine
from skal._core.run_state import RunState
from skal._core.workers import map_on, one_thread

__all__ = ["ROWS_AT_ONCE", "Neighborhoods", "Surroundings", "assign_by_groups", "group_means"]

ROWS_AT_ONCE = {"cpu": 2048, "cuda": 65536}  # of a group, in one product

_CENTERS_IN_A_GROUP = 48
_ONE_GROUP_UP_TO = 144  # centers; the surroundings of a group would be most of them
_NEIGHBORS_OF_A_CENTER = 24
_CANDIDATES_IN_STEPS_OF = 16  # a product with 165 columns takes longer than one with 176
_GROUPS_SEARCHED_FOR_NEIGHBORS = 12


@dataclass(frozen=True)
class Neighborhoods:
    """Which centers the rows of which centers are compared with."""

    group_of_center: Tensor  # (k,) int64
    candidates: list[Tensor]  # of each group: its own centers and those near them, ascending

    def __getstate__(self) -> dict[str, object]:
        """Send what the rest is made from."""
        return {"group_of_center": self.group_of_center, "candidates": self.candidates}

    @cached_property
    def place_of_center(self) -> Tensor:
        """Where each center stands among the candidates of its own group, (k,) int64."""
        candidates = torch.cat(self.candidates)
        sizes = torch.tensor([len(those) for those in self.candidates], device=candidates.device)
        group = torch.arange(len(sizes), device=candidates.device).repeat_interleave(sizes)
        place = torch.arange(len(candidates), device=candidates.device) - (sizes.cumsum(dim=0) - sizes)[group]
        is_own = self.group_of_center[candidates] == group
        return torch.empty_like(self.group_of_center).index_copy_(0, candidates[is_own], place[is_own])

    @cached_property
    def padded(self) -> Tensor:
        """The candidates of each group in a row, the first of them again where others have more, (n_groups, most)."""
        most = max(len(those) for those in self.candidates)
        padded = torch.stack([those[:1] for those in self.candidates]).repeat(1, most)
        for row, those in zip(padded, self.candidates, strict=True):
            row[: len(those)] = those
        return padded

    def after(self, moved: Tensor, hosts: Tensor) -> Neighborhoods:
        """Return them after some centers have moved, each to a host of its own, which stayed where it was."""
        if len(self.candidates) == 1 or len(moved) == 0:
            return self
        guest = torch.full_like(self.group_of_center, -1).index_copy_(0, hosts, moved)
        has_moved = torch.zeros_like(guest, dtype=torch.bool).index_fill_(0, moved, True)
        group_of_center = self.group_of_center.index_copy(0, moved, self.group_of_center[hosts])
        candidates = []
        for those in self.candidates:
            guests = guest[those]
            candidates.append(torch.cat([those[~has_moved[those]], guests[guests >= 0]]).sort().values)
        is_left = torch.bincount(group_of_center, minlength=len(candidates)) > 0
        new_number = is_left.cumsum(dim=0) - 1
        return Neighborhoods(
            new_number[group_of_center],
            [those for those, stays in zip(candidates, is_left.tolist(), strict=True) if stays],
        )


def make_neighborhoods(centers: Tensor) -> Neighborhoods:
    half_norms = half_sq_norms(centers)
    members = _group_centers(centers)
    group_of_center = torch.empty(len(centers), dtype=torch.int64, device=centers.device)
    for group, positions in enumerate(members):
        group_of_center[positions] = group
    group_centers = torch.stack([centers[positions].mean(dim=0) for positions in members])
    to_groups = affine(half_sq_norms(group_centers), group_centers, group_centers.T, alpha=-1)
    to_groups.fill_diagonal_(-torch.inf)
    n_near_groups = min(len(members), _GROUPS_SEARCHED_FOR_NEIGHBORS)
    near_groups = to_groups.topk(n_near_groups, dim=1, largest=False).indices.tolist()

    def around(group: int) -> Tensor:
        own = members[group]
        near = torch.cat([members[other] for other in near_groups[group]])  # begins with its own
        first, second = centers.index_select(0, own), centers.index_select(0, near)
        score = affine(half_norms[near], first, second.T, alpha=-1)
        n_nearest = min(_NEIGHBORS_OF_A_CENTER, len(near))
        too_far = (score - kth_lowest(score, n_nearest)[:, None]).amin(dim=0)
        too_far[: len(own)] = -torch.inf
        n_candidates = int((too_far <= 0).sum())
        n_candidates = min(n_candidates + -n_candidates % _CANDIDATES_IN_STEPS_OF, len(near))
        return near[too_far.topk(n_candidates, largest=False).indices].sort().values

    return Neighborhoods(group_of_center, map_on(centers.device, around, range(len(members))))


def _group_centers(centers: Tensor) -> list[Tensor]:
    """Positions of the centers of each group: by Lloyd's iterations, and what is too large for that by halves."""
    k = len(centers)
    if k <= _ONE_GROUP_UP_TO:
        return [torch.arange(k, device=centers.device)]
    n_groups = round(k / _CENTERS_IN_A_GROUP)
    center_pool = Blocks(centers, centers.device)
    evenly = np.linspace(0, k - 1, n_groups).astype(np.int64)
    labels = lloyd(center_pool, center_pool.take(evenly), max_iter=4, max_sq_shift=0.0).partition.labels
    groups = [positions for positions in positions_by_group(labels, n_groups) if len(positions)]
    return [half for positions in groups for half in _halve_until(centers, positions, 2 * _CENTERS_IN_A_GROUP)]


def _halve_until(centers: Tensor, positions: Tensor, most: int) -> list[Tensor]:
    """Parts of at most that many, split at the median of the direction in which the centers spread."""
    if len(positions) <= most:
        return [positions]
    centered = centers[positions] - centers[positions].mean(dim=0)
    direction = centered[centered.square().sum(dim=1).argmax()]
    with one_thread():  # more round differently
        along = centered @ (centered.T @ (centered @ direction))
    order = torch.argsort(along, stable=True)
    low, high = order[: len(order) // 2].sort().values, order[len(order) // 2 :].sort().values
    return [*_halve_until(centers, positions[low], most), *_halve_until(centers, positions[high], most)]


class Surroundings:
    """Neighborhoods that outlive the change from one space to another, and their age in passes."""

    def __init__(self, centers: Tensor) -> None:
        self.renew(centers)

    def renew(self, centers: Tensor) -> None:
        self.near = make_neighborhoods(centers)
        self.age = 0

    def follow(self, moved: Tensor, hosts: Tensor) -> None:
        """Compare the rows of some centers with those around the hosts, one each, which they have moved to."""
        self.near = self.near.after(moved, hosts)

    def state(self) -> RunState:
        """Say all, for `of_state`."""
        candidates = self.near.candidates
        tensors = {"group_of_center": self.near.group_of_center, "candidates": torch.cat(candidates)}
        return RunState(tensors, {"n_candidates": [len(those) for those in candidates], "age": self.age})

    @classmethod
    def of_state(cls, state: RunState) -> Surroundings:
        """Make the same again."""
        surroundings = object.__new__(cls)
        candidates = list(state.tensors["candidates"].split(state.facts["n_candidates"]))
        surroundings.near = Neighborhoods(state.tensors["group_of_center"], candidates)
        surroundings.age = state.facts["age"]
        return surroundings


@dataclass(frozen=True)
class GroupMeans:
    """What a row needs to find its center by way of the nearest group."""

    near: Neighborhoods
    centers: Tensor  # (k, d)
    half_norms: Tensor  # (k,)
    group_centers: Tensor  # (n_groups, d)
    group_half_norms: Tensor  # (n_groups,)


def group_means(centers: Tensor, near: Neighborhoods) -> GroupMeans:
    """Compute the mean of the centers of each group."""
    n_groups, n_features = len(near.candidates), centers.shape[1]
    sums = ClusterSums(n_groups, n_features, centers.device)
    sums.add(centers, near.group_of_center)
    group_centers = sums.means(torch.zeros((n_groups, n_features), device=centers.device))
    return GroupMeans(near, centers, half_sq_norms(centers), group_centers, half_sq_norms(group_centers))


def assign_by_groups(block: Block, per_row: tuple[Tensor, ...], means: GroupMeans) -> tuple[Tensor]:
    """Find for each row of a block the nearest center among those around the nearest group, shape (m,) int64."""
    labels = torch.empty(block.n_rows, dtype=torch.int64, device=block.device)
    at_once = ROWS_AT_ONCE[block.device.type]
    for tile in block.tiles():

        def nearest_group(rows: Tensor) -> Tensor:
            return nearest_center(rows, means.group_centers, means.group_half_norms)[0]

        def assign(part: tuple[Tensor, Tensor], tile: Tile = tile) -> None:
            candidates, positions = part
            rows, centers = tile.rows.index_select(0, positions), means.centers.index_select(0, candidates)
            local, _ = nearest_center(rows, centers, means.half_norms[candidates])
            labels[tile.start + positions] = candidates[local]

        groups = torch.cat(block.map(nearest_group, tile.rows.split(at_once)))
        members_of_groups = positions_by_group(groups, len(means.group_centers))
        block.map(
            assign,
            [
                (candidates, positions)
                for candidates, members in zip(means.near.candidates, members_of_groups, strict=True)
                for positions in members.split(at_once)
                if len(positions)
            ],
        )
    return (labels,)
