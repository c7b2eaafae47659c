"""Sums and counts of rows by cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any

import torch
from torch import Tensor

from skal._core.anchors import anchored_scatter, pull
from skal._core.exact_sums import round_to
from skal._core.products import total
from skal._core.workers import parallel_map

__all__ = ["ClusterSums"]

_ROWS_AT_ONCE = 2048  # converted to float64


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
        return self._parts[0] if len(self._parts) == 1 else self._parts[0] + self._parts[1]

    @property
    def n_anchored(self) -> int:
        return 0 if self.anchors is None else len(self.anchors)

    def are_anchored(self) -> Tensor:
        """Mask of the anchored clusters, (k,)."""
        return torch.arange(len(self.counts), device=self.counts.device) < self.n_anchored

    def __iadd__(self, other: ClusterSums) -> ClusterSums:
        self.counts += other.counts
        for part, of_other in zip(self._parts, other._parts, strict=True):
            part += of_other
        return self

    def add(self, rows: Tensor, labels: Tensor, *, sign: int = 1) -> None:
        """Add each row (m, d) to the cluster its label names, or take it away where `sign` is -1.

        Many rows are added on workers, each of which has some of the clusters.
        """
        if len(labels) == 0:
            return
        counts = torch.bincount(labels, minlength=len(self.counts))
        self.counts += sign * counts
        if rows.device.type == "cpu" and len(rows) <= _ROWS_AT_ONCE:
            self._add(rows, labels, sign)
            return
        order = torch.argsort(labels, stable=True)
        if rows.device.type != "cpu":  # atomics would add in a random order
            present = counts > 0
            for sums, part in self._in_steps(rows[order], torch.empty_like(rows, dtype=torch.float64)):
                sums[present] += sign * torch.segment_reduce(part, "sum", lengths=counts[present], axis=0)
            return

        def add_of_some_clusters(where: slice) -> None:
            for positions in order[where].split(_ROWS_AT_ONCE):
                self._add(rows.index_select(0, positions), labels[positions], sign)

        parallel_map(add_of_some_clusters, _whole_clusters(counts))

    def _add(self, rows: Tensor, labels: Tensor, sign: int) -> None:
        for sums, part in self._in_steps(rows, _room.of(rows)):
            sums.index_add_(0, labels, part, alpha=sign)

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
        result = copy(self)
        result.counts = self.counts + sign * other.counts
        result._parts = [
            torch.add(part, of_other, alpha=sign) for part, of_other in zip(self._parts, other._parts, strict=True)
        ]
        return result

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
        means = (self.sums / self.counts.clamp(min=1)[:, None]).to(where_empty.dtype)
        if self.anchors is not None:
            where_empty = torch.cat([self.anchors, where_empty[len(self.anchors) :]])
        return pull(torch.where((self.counts > 0)[:, None], means, where_empty), self.anchors)

    def scatter(self) -> Tensor:
        """``‖sum‖² / count`` of each cluster, or `anchored_scatter`; float64 of shape (k,), 0 for an empty one."""
        sums = self.sums
        scatter: Tensor = torch.linalg.vector_norm(sums, dim=1).square_() / self.counts.clamp(min=1)
        if self.anchors is not None:
            m = len(self.anchors)
            scatter[:m] = anchored_scatter(sums[:m], self.counts[:m], self.anchors)
        return scatter

    def between(self) -> float:
        """What the squared norms of all rows are more than the inertia."""
        return total(self.scatter())


class _Room(threading.local):
    """Memory of a thread for rows in float64: to ask for it each time would cost more than the sums."""

    memory = torch.empty(0, dtype=torch.float64)

    def of(self, rows: Tensor) -> Tensor:
        if len(self.memory) < rows.numel():
            self.memory = torch.empty(rows.numel(), dtype=torch.float64)
        return self.memory[: rows.numel()].view(rows.shape)


_room = _Room()


def _in_steps(sums: Tensor, step: float) -> Tensor:
    """Return sums as whole numbers of a step where int32 holds them, else as they are."""
    if not step or sums.numel() == 0 or float(sums.abs().max()) >= 2.0**31 * step:
        return sums
    return (sums / step).to(torch.int32)


def _whole_clusters(counts: Tensor) -> list[slice]:
    """Part rows that are sorted by cluster, at least 2048 together, and all of one cluster."""
    ends = counts.cumsum(dim=0)
    parts, start = [], 0
    while start < int(ends[-1]):
        cluster = int(torch.searchsorted(ends, start + _ROWS_AT_ONCE))
        stop = int(ends[min(cluster, len(ends) - 1)])
        parts.append(slice(start, stop))
        start = stop
    return parts
