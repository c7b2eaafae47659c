"""Sums and counts of rows by cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skal._core.anchors import anchored_scatter, pull
from skal._core.exact_sums import round_to
from skal._core.workers import parallel_accumulate, parallel_map

__all__ = ["ClusterSums", "SumsOfMoves"]

_NUMBERS_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 24}  # of rows, converted to float64
_SUMS_AT_ONCE = 1 << 16


class ClusterSums:
    """Sums and counts of rows by cluster.

    With `steps` (`skal._core.exact_sums`) the sums are the same in any order of addition; without, rows have to be
    added in one that never varies. `anchors`, of shape (m, d), are those of the first m clusters
    (`skal._core.anchors`), whose centers and costs follow them.
    """

    def __init__(
        self,
        n_clusters: int,
        n_features: int,
        device: torch.device,
        *,
        steps: tuple[float, ...] = (),
        anchors: Tensor | None = None,
    ) -> None:
        self.anchors = anchors
        self.steps = steps
        self.counts = torch.zeros(n_clusters, dtype=torch.int64, device=device)
        shape = n_clusters, n_features
        self._parts = [torch.zeros(shape, dtype=torch.float64, device=device) for _ in steps or (None,)]

    @property
    def sums(self) -> Tensor:
        """Float64 of shape (k, d); not to be changed."""
        return self._sums_of(slice(None))

    def _sums_of(self, some: slice) -> Tensor:
        first, *others = (part[some] for part in self._parts)
        return first + others[0] if others else first

    @property
    def n_anchored(self) -> int:
        return 0 if self.anchors is None else len(self.anchors)

    def are_anchored(self) -> Tensor:
        """Mask of the anchored clusters, (k,)."""
        return torch.arange(len(self.counts), device=self.counts.device) < self.n_anchored

    def __iadd__(self, other: ClusterSums) -> ClusterSums:
        self.counts += other.counts

        def add(some: slice) -> None:
            for part, of_other in zip(self._parts, other._parts, strict=True):
                part[some] += of_other[some]

        self.map_clusters(add)
        return self

    def add(self, rows: Tensor, labels: Tensor, *, sign: int = 1) -> None:
        """Add each row (m, d) to the cluster its label names, or take it away where `sign` is -1.

        With steps, many rows are added on workers.
        """
        self.accumulate(len(rows), lambda sums, where: sums.add_few(rows[where], (labels[where], sign)))

    def accumulate(self, n_rows: int, add: Callable[[ClusterSums, slice], None]) -> None:
        """Add so many rows, some at a time: `add` adds those of a slice to the sums that it is given, by `add_few`.

        With steps no order counts, and workers add rows to sums of their own, which are added up.
        """
        device = self.counts.device.type
        at_once = max(1, _NUMBERS_AT_ONCE[device] // max(1, self.shape[1]))
        pieces = [slice(start, min(start + at_once, n_rows)) for start in range(0, n_rows, at_once)]
        if device != "cpu" or not self.steps:
            for piece in pieces:
                add(self, piece)
            return
        ready = [self]

        def make() -> ClusterSums:
            with suppress(IndexError):
                return ready.pop()
            return self._like(torch.zeros_like(self.counts), [torch.zeros_like(part) for part in self._parts])

        for own in parallel_accumulate(make, add, pieces):
            if own is not self:
                self += own

    def add_few(self, rows: Tensor, *labels_and_signs: tuple[Tensor, int]) -> None:
        """Add rows (m, d) to the clusters that some labels name, and take them away from others, where a sign is -1."""
        for labels, sign in labels_and_signs:
            self.counts += sign * torch.bincount(labels, minlength=len(self.counts))
        for sums, part in self._in_steps(rows, _room.of(rows)):
            for labels, sign in labels_and_signs:
                _add_in_order(sums, part, labels, sign)

    @property
    def shape(self) -> tuple[int, int]:
        """Clusters and features."""
        n_clusters, n_features = self._parts[0].shape
        return n_clusters, n_features

    def _in_steps(self, rows: Tensor, part: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each part of the sums, and what the rows add to it, in `part` (m, d) float64."""
        for sums, step in zip(self._parts, self.steps or (None,), strict=True):
            part.copy_(rows)
            if step is not None:
                round_to(step, part)
            yield sums, part
            if sums is not self._parts[-1]:
                rows = rows.double() - part

    def plus(self, other: ClusterSums, *, sign: int = 1) -> ClusterSums:
        """Sums and counts of the rows of both, or with `sign` -1 of those that are not in the other."""
        result = self._like(self.counts + sign * other.counts, [torch.empty_like(part) for part in self._parts])

        def add(some: slice) -> None:
            for sums, part, of_other in zip(result._parts, self._parts, other._parts, strict=True):
                torch.add(part[some], of_other[some], alpha=sign, out=sums[some])

        self.map_clusters(add)
        return result

    def changed(self, clusters: Tensor, changes: ClusterSums) -> ClusterSums:
        """Sums and counts of some clusters, ascending, with their anchors, after changes, whose memory they take."""

        def add(some: slice) -> None:
            for change, part in zip(changes._parts, self._parts, strict=True):
                change[some] += part.index_select(0, clusters[some])

        changes.map_clusters(add)
        changes.counts += self.counts[clusters]
        changes.anchors = None if self.anchors is None else self.anchors[clusters[clusters < len(self.anchors)]]
        return changes

    def put(self, clusters: Tensor, sums: ClusterSums) -> None:
        """Replace the sums and counts of some clusters."""
        for each, other in zip((self.counts, *self._parts), (sums.counts, *sums._parts), strict=True):
            each.index_copy_(0, clusters, other)

    def spread(self, clusters: Tensor, n_clusters: int) -> ClusterSums:
        """Give these clusters other places among so many, the others of which are empty."""
        counts, *parts = (
            each.new_zeros(n_clusters, *each.shape[1:]).index_copy_(0, clusters, each)
            for each in (self.counts, *self._parts)
        )
        return self._like(counts, parts)

    def _like(self, counts: Tensor, parts: list[Tensor]) -> ClusterSums:
        result = object.__new__(ClusterSums)
        result.anchors, result.steps, result.counts, result._parts = self.anchors, self.steps, counts, parts
        return result

    def map_clusters(self, work: Callable[[slice], None]) -> None:
        """Do some work for each cluster, on workers where they are many."""
        k, n_features = self.shape
        if self.counts.device.type != "cpu":
            work(slice(0, k))
            return
        size = max(1, _SUMS_AT_ONCE // max(1, n_features))
        parallel_map(work, [slice(start, min(start + size, k)) for start in range(0, k, size)])

    def __getstate__(self) -> dict[str, object]:
        """Leave out the clusters that nothing was added to: from most blocks, and of few moves, only some come.

        Sums of few rows are few steps, which half the bytes hold.
        """
        touched = torch.stack([part.any(dim=1) for part in self._parts]).any(dim=0) | (self.counts != 0)
        touched = touched.nonzero().flatten()
        parts = [_in_steps(part[touched], step) for part, step in zip(self._parts, self.steps or (0.0,), strict=True)]
        state = {**vars(self), "counts": self.counts[touched], "_parts": parts}
        return {**state, "touched": touched, "shape": self._parts[0].shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        touched, shape, counts, parts = (state.pop(name) for name in ("touched", "shape", "counts", "_parts"))
        vars(self).update(state)
        self.counts = counts.new_zeros(shape[0]).index_copy_(0, touched, counts)
        self._parts = []
        for part, step in zip(parts, self.steps or (0.0,), strict=True):
            if part.dtype == torch.int32:
                part = part.double().mul_(step)
            self._parts.append(part.new_zeros(shape).index_copy_(0, touched, part))

    def tensors(self) -> dict[str, Tensor]:
        """Counts and sums by name, for `of_tensors`."""
        return {"counts": self.counts, "coarse_sums": self._parts[0], "fine_sums": self._parts[-1]}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], steps: tuple[float, ...]) -> ClusterSums:
        """Make the same sums again, in the same steps, without anchors."""
        n_clusters, n_features = tensors["coarse_sums"].shape
        sums = cls(n_clusters, n_features, tensors["counts"].device, steps=steps)
        sums.counts = tensors["counts"]
        sums._parts = [tensors["coarse_sums"], tensors["fine_sums"]][: len(sums._parts)]
        return sums

    def means(self, where_empty: Tensor) -> Tensor:
        """Center of each cluster, float32 of shape (k, d): its mean, drawn to its anchor if it has one.

        A row of `where_empty`, or its anchor, for an empty one.
        """
        means = torch.empty_like(where_empty)

        def put(some: slice) -> None:
            means[some] = self._means_of(some, where_empty[some])

        self.map_clusters(put)
        return means

    def put_means(self, clusters: Tensor, centers: Tensor) -> None:
        """Write what `means` says to the rows `clusters` of `centers`; that of an empty cluster stays as it is."""

        def put(some: slice) -> None:
            which = clusters[some]
            centers.index_copy_(0, which, self._means_of(some, centers.index_select(0, which)))

        self.map_clusters(put)

    def _means_of(self, some: slice, where_empty: Tensor) -> Tensor:
        counts = self.counts[some, None]
        means = (self._sums_of(some) / counts.clamp(min=1)).to(where_empty.dtype)
        anchors = None if self.anchors is None else self.anchors[some]
        if anchors is not None:
            where_empty = torch.cat([anchors, where_empty[len(anchors) :]])
        return pull(torch.where(counts > 0, means, where_empty), anchors)

    def scatter(self) -> Tensor:
        """``‖sum‖² / count`` of each cluster, or `anchored_scatter`; float64 of shape (k,), 0 for an empty one."""
        scatter = self._parts[0].new_empty(len(self.counts))

        def measure(some: slice) -> None:
            scatter[some] = torch.linalg.vector_norm(self._sums_of(some), dim=1).square_() / self.counts[some].clamp(
                min=1
            )

        self.map_clusters(measure)
        if self.anchors is not None:
            m = len(self.anchors)
            scatter[:m] = anchored_scatter(self._sums_of(slice(0, m)), self.counts[:m], self.anchors)
        return scatter


@dataclass
class SumsOfMoves:
    """What moves of rows change the sums by, of the clusters that they touch."""

    touched: Tensor  # (t,) int64, ascending
    sums: ClusterSums  # of these

    @classmethod
    def between(
        cls, labels: Tensor, goals: Tensor, n_clusters: int, n_features: int, steps: tuple[float, ...]
    ) -> SumsOfMoves:
        """Make room for moves from some clusters to others."""
        is_touched = torch.zeros(n_clusters, dtype=torch.bool, device=labels.device)
        touched = is_touched.index_fill_(0, labels, True).index_fill_(0, goals, True).nonzero().flatten()
        return cls(touched, ClusterSums(len(touched), n_features, labels.device, steps=steps))

    def places(self, clusters: Tensor) -> Tensor:
        """Say where among those that are touched these clusters are."""
        return torch.searchsorted(self.touched, clusters)

    def __iadd__(self, other: SumsOfMoves) -> SumsOfMoves:
        if torch.equal(self.touched, other.touched):
            self.sums += other.sums
            return self
        touched = torch.cat([self.touched, other.touched]).unique()
        self.sums, of_other = (
            each.sums.spread(torch.searchsorted(touched, each.touched), len(touched)) for each in (self, other)
        )
        self.sums += of_other
        self.touched = touched
        return self


class _Room(threading.local):
    """Memory of a thread for rows in float64: to ask for it each time would cost more than the sums."""

    memory = torch.empty(0, dtype=torch.float64)

    def of(self, rows: Tensor) -> Tensor:
        if rows.device.type != "cpu":
            return torch.empty_like(rows, dtype=torch.float64)
        if len(self.memory) < rows.numel():
            self.memory = torch.empty(rows.numel(), dtype=torch.float64)
        return self.memory[: rows.numel()].view(rows.shape)


_room = _Room()


def _add_in_order(sums: Tensor, rows: Tensor, labels: Tensor, sign: int) -> None:
    if rows.device.type == "cpu":
        sums.index_add_(0, labels, rows, alpha=sign)
        return
    sizes = torch.bincount(labels, minlength=len(sums))  # atomics would add in a random order
    present = sizes > 0
    ordered = rows[torch.argsort(labels, stable=True)]
    sums[present] += sign * torch.segment_reduce(ordered, "sum", lengths=sizes[present], axis=0)


def _in_steps(sums: Tensor, step: float) -> Tensor:
    """Return sums as whole numbers of a step where int32 holds them, else as they are."""
    if not step or sums.numel() == 0 or float(sums.abs().max()) >= 2.0**31 * step:
        return sums
    return (sums / step).to(torch.int32)
