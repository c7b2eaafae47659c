"""Sums and counts of rows by cluster."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from torch import Tensor

from skal._core.anchors import anchored_scatter, pull
from skal._core.exact_sums import round_to
from skal._core.products import total

__all__ = ["ClusterSums"]

_ROWS_AT_ONCE = {"cpu": 2048, "cuda": 65536}


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
        self._room: Tensor | None = None

    @property
    def sums(self) -> Tensor:
        """Float64 of shape (k, d); not to be changed."""
        return self._parts[0] if len(self._parts) == 1 else self._parts[0] + self._parts[1]

    @property
    def n_anchored(self) -> int:
        return 0 if self.anchors is None else len(self.anchors)

    def add(self, rows: Tensor, labels: Tensor, *, sign: int = 1) -> None:
        """Add each row (m, d) to the cluster its label names, or take it away where `sign` is -1."""
        if len(labels) == 0:
            return
        self.counts += sign * torch.bincount(labels, minlength=len(self.counts))
        at_once = _ROWS_AT_ONCE[rows.device.type]
        for some, some_labels in zip(rows.split(at_once), labels.split(at_once), strict=True):
            self._add(some, some_labels, sign)

    def _add(self, rows: Tensor, labels: Tensor, sign: int) -> None:
        if self._room is None or len(self._room) < len(rows):  # new memory each time would cost more than the sums
            self._room = torch.empty(rows.shape, dtype=torch.float64, device=rows.device)
        part = self._room[: len(rows)]
        for sums, step in zip(self._parts, self.steps or (None,), strict=True):
            part.copy_(rows)
            if step is not None:
                round_to(step, part)
            self._add_part(sums, part, labels, sign)
            if sums is not self._parts[-1]:
                rows = rows.double() - part

    def _add_part(self, sums: Tensor, part: Tensor, labels: Tensor, sign: int) -> None:
        if part.device.type == "cpu":
            sums.index_add_(0, labels, part, alpha=sign)
            return
        order = torch.argsort(labels, stable=True)  # atomics would add in a random order
        counts = torch.bincount(labels, minlength=len(self.counts))
        present = counts > 0
        sums[present] += sign * torch.segment_reduce(part[order], "sum", lengths=counts[present], axis=0)

    def plus(self, other: ClusterSums, *, sign: int = 1) -> ClusterSums:
        """Sums and counts of the rows of both, or with `sign` -1 of those that are not in the other."""
        result = copy(self)
        result._room = None
        result.counts = self.counts + sign * other.counts
        result._parts = [
            torch.add(part, of_other, alpha=sign) for part, of_other in zip(self._parts, other._parts, strict=True)
        ]
        return result

    def __getstate__(self) -> dict[str, object]:
        """Leave out the clusters that nothing was added to: from most blocks, and of few moves, only some come."""
        touched = torch.stack([part.any(dim=1) for part in self._parts]).any(dim=0) | (self.counts != 0)
        touched = touched.nonzero().flatten()
        parts = [part[touched] for part in self._parts]
        shape = self._parts[0].shape
        state = {**vars(self), "counts": self.counts[touched], "_parts": parts, "_room": None}
        return {**state, "touched": touched, "shape": shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        touched, shape, counts, parts = (state.pop(name) for name in ("touched", "shape", "counts", "_parts"))
        vars(self).update(state)
        self.counts = counts.new_zeros(shape[0]).index_copy_(0, touched, counts)
        self._parts = [part.new_zeros(shape).index_copy_(0, touched, part) for part in parts]

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
        scatter = sums.square().sum(dim=1) / self.counts.clamp(min=1)
        if self.anchors is not None:
            m = len(self.anchors)
            scatter[:m] = anchored_scatter(sums[:m], self.counts[:m], self.anchors)
        return scatter

    def between(self) -> float:
        """What the squared norms of all rows are more than the inertia."""
        return total(self.scatter())
