"""Which centers the rows of which centers are compared with: groups of centers, and the centers around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks, SomeRows, Tile
from skal._core.cluster_sums import ClusterSums
from skal._core.distances import half_sq_norms, kth_lowest, lowest, nearest_center
from skal._core.kmeans import lloyd
from skal._core.ordering import positions_by_group, stable_order
from skal._core.products import affine
from skal._core.run_state import RunState
from skal._core.workers import map_on, one_thread

__all__ = [
    "ROWS_AT_ONCE",
    "Neighborhoods",
    "Surroundings",
    "assign_by_groups",
    "group_means",
    "look_up_by_groups",
    "pays_to_look_up_by_groups",
]

ROWS_AT_ONCE = {"cpu": 2048, "cuda": 65536}  # of a group, in one product

_CENTERS_IN_A_GROUP = 48
_ONE_GROUP_UP_TO = 144  # centers; the surroundings of a group would be most of them
_NEIGHBORS_OF_A_CENTER = 24
_CANDIDATES_IN_STEPS_OF = 16  # a product with 165 columns takes longer than one with 176
_GROUPS_SEARCHED_FOR_NEIGHBORS = 12
_GROUPS_LOOKED_UP = 24  # with 32 inertias were the same, with 16 higher by 0.1 %
_LEAST_GROUPS, _LEAST_ROWS_A_GROUP = 96, 16  # for fewer, all centers are compared as fast


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
        every, first = self._joined
        everywhere = torch.arange(len(every), device=every.device)
        group = torch.searchsorted(first, everywhere, right=True) - 1
        is_own = self.group_of_center[every] == group
        place = (everywhere - first[group])[is_own]
        return torch.empty_like(self.group_of_center).index_copy_(0, every[is_own], place)

    def rows_by_group(self, labels: Tensor) -> tuple[Tensor, list[int]]:
        """Order rows by the groups of their labels (m,): their positions, and how many are of each group."""
        groups, n_groups = self.group_of_center[labels], len(self.candidates)
        return stable_order(groups, n_groups), torch.bincount(groups, minlength=n_groups).tolist()

    def candidate(self, own: Tensor, place: Tensor) -> Tensor:
        """Return the center at some place among the candidates of the group of another, (m,) each."""
        every, first = self._joined
        return every[first[self.group_of_center[own]] + place]

    def of_candidates(self, values: Tensor) -> tuple[Tensor, ...]:
        """Return for each group the values (k,) of its candidates."""
        every, _ = self._joined
        parts: tuple[Tensor, ...] = values[every].split([len(those) for those in self.candidates])
        return parts

    @cached_property
    def _joined(self) -> tuple[Tensor, Tensor]:
        """All candidates, one group after the other, and where each group begins."""
        every = torch.cat(self.candidates)
        sizes = torch.tensor([len(those) for those in self.candidates], device=every.device)
        return every, sizes.cumsum(dim=0) - sizes

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
    """What a row needs to find its center by way of the nearest groups."""

    near: Neighborhoods
    centers: Tensor  # (k, d)
    half_norms: Tensor  # (k,), or `half_costs`
    group_centers: Tensor  # (n_groups, d)
    group_half_norms: Tensor  # (n_groups,)


def group_means(centers: Tensor, near: Neighborhoods, half_norms: Tensor | None = None) -> GroupMeans:
    """Compute the mean of the centers of each group; half the norms of centers may be given, or what they cost."""
    n_groups, n_features = len(near.candidates), centers.shape[1]
    sums = ClusterSums(n_groups, n_features, centers.device)
    sums.add(centers, near.group_of_center)
    group_centers = sums.means(torch.zeros((n_groups, n_features), device=centers.device))
    half_norms = half_sq_norms(centers) if half_norms is None else half_norms
    return GroupMeans(near, centers, half_norms, group_centers, half_sq_norms(group_centers))


def assign_by_groups(block: Block, per_row: tuple[Tensor, ...], means: GroupMeans) -> tuple[Tensor]:
    """Find for each row of a block the nearest center among those around the nearest group, shape (m,) int64."""
    labels = torch.empty(block.n_rows, dtype=torch.int64, device=block.device)
    at_once = ROWS_AT_ONCE[block.device.type]
    for tile in block.tiles():
        if len(means.near.candidates) == 1:
            nearest = block.map(
                partial(nearest_center, centers=means.centers, half_norms=means.half_norms), tile.rows.split(at_once)
            )
            labels[tile.slice] = torch.cat([found for found, _ in nearest])
            continue

        def nearest_group(rows: Tensor) -> Tensor:
            return nearest_center(rows, means.group_centers, means.group_half_norms)[0]

        def assign(part: tuple[int, Tensor], tile: Tile = tile) -> None:
            group, positions = part
            candidates, rows = means.near.candidates[group], tile.rows.index_select(0, positions)
            centers = means.centers.index_select(0, candidates)
            local, _ = nearest_center(rows, centers, means.half_norms[candidates])
            labels[tile.start + positions] = candidates[local]

        groups = torch.cat(block.map(nearest_group, tile.rows.split(at_once)))
        block.map(assign, _parts_by_group(groups, len(means.group_centers), at_once))
    return (labels,)


def pays_to_look_up_by_groups(device: torch.device, near: Neighborhoods, n_rows: int) -> bool:
    """Say whether that takes less time than to compare so many rows with all centers."""
    n_groups = len(near.candidates)
    return device.type == "cpu" and n_groups >= _LEAST_GROUPS and n_rows >= _LEAST_ROWS_A_GROUP * n_groups


def look_up_by_groups(block: Block, per_row: tuple[SomeRows], means: GroupMeans) -> tuple[Tensor]:
    """Find the nearest center of some rows of a block, each with its label, in its own group and the nearest others.

    Labels of these rows, int64.
    """
    (rows,) = per_row
    members = positions_by_group(means.near.group_of_center, len(means.group_centers))
    n_searched, at_once = min(len(members), _GROUPS_LOOKED_UP), ROWS_AT_ONCE[block.device.type]
    found = [rows.row_idx[:0]]
    for where in block.slices():
        of_tile = rows[where]
        if len(of_tile) == 0:
            continue
        own, home = block.take(where.start + of_tile.row_idx), means.near.group_of_center[of_tile.values[0]]

        def nearest_groups(part: tuple[Tensor, Tensor]) -> Tensor:
            some, home = part
            score = affine(means.group_half_norms, some, means.group_centers.T, alpha=-1)
            score.scatter_(1, home[:, None], -torch.inf)
            return score.topk(n_searched, dim=1, largest=False, sorted=False).indices

        groups = torch.cat(
            block.map(nearest_groups, zip(own.split(at_once), home.split(at_once), strict=True))
        ).flatten()
        nearest, score = torch.empty_like(groups), own.new_empty(len(groups))

        def search(
            part: tuple[int, Tensor], own: Tensor = own, nearest: Tensor = nearest, score: Tensor = score
        ) -> None:
            group, pairs = part
            candidates, some = members[group], own.index_select(0, pairs // n_searched)
            centers, half_norms = means.centers.index_select(0, candidates), means.half_norms[candidates, None]
            # Of a product with few columns, the transpose takes less time.
            score[pairs], local = affine(half_norms, centers, some.T, alpha=-1).min(dim=0)
            nearest[pairs] = candidates[local]

        block.map(search, _parts_by_group(groups, len(members), at_once))
        _, best = lowest(score.view(-1, n_searched))
        found.append(nearest.view(-1, n_searched).gather(1, best[:, None]).squeeze(1))
    return (torch.cat(found),)


def _parts_by_group(groups: Tensor, n_groups: int, most: int) -> list[tuple[int, Tensor]]:
    """Positions of the entries of each group, parted where they are more than `most`, and which group it is."""
    members = positions_by_group(groups, n_groups)
    return [(group, part) for group in range(n_groups) for part in members[group].split(most) if len(part)]
