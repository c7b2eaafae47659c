"""Sums and counts of rows by cluster."""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.anchors import anchored_scatter, pull
from skal._core.products import total
from skal._core.workers import parallel_map

__all__ = ["ClusterSums"]

_ROWS_AT_ONCE = 2048  # converted to float64


class ClusterSums:
    """Sums and counts of rows by cluster, float64, in an order of addition that never varies.

    `anchors`, of shape (m, d), are those of the first m clusters (`skal._core.anchors`), whose centers and costs follow
    them.
    """

    def __init__(
        self, n_clusters: int, n_features: int, device: torch.device, *, anchors: Tensor | None = None
    ) -> None:
        self.anchors = anchors
        self.sums = torch.zeros((n_clusters, n_features), dtype=torch.float64, device=device)
        self.counts = torch.zeros(n_clusters, dtype=torch.int64, device=device)

    @property
    def n_anchored(self) -> int:
        return 0 if self.anchors is None else len(self.anchors)

    def are_anchored(self) -> Tensor:
        """Mask of the anchored clusters, (k,)."""
        return torch.arange(len(self.counts), device=self.counts.device) < self.n_anchored

    def copy(self) -> ClusterSums:
        """A copy, to try moves on."""
        copied = ClusterSums(len(self.counts), self.sums.shape[1], self.sums.device, anchors=self.anchors)
        copied += self
        return copied

    def __iadd__(self, other: ClusterSums) -> ClusterSums:
        self.sums += other.sums
        self.counts += other.counts
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
            self.sums.index_add_(0, labels, rows.double(), alpha=sign)
            return
        order = torch.argsort(labels, stable=True)
        if rows.device.type != "cpu":  # atomics would add in a random order
            present = counts > 0
            segment_sums = torch.segment_reduce(rows[order].double(), "sum", lengths=counts[present], axis=0)
            self.sums[present] += sign * segment_sums
            return

        def add_of_some_clusters(where: slice) -> None:
            for positions in order[where].split(_ROWS_AT_ONCE):
                some_rows, some_labels = rows.index_select(0, positions), labels[positions]
                self.sums.index_add_(0, some_labels, some_rows.double(), alpha=sign)

        parallel_map(add_of_some_clusters, _whole_clusters(counts))

    def means(self, where_empty: Tensor) -> Tensor:
        """Center of each cluster, float32 of shape (k, d): its mean, drawn to its anchor if it has one.

        A row of `where_empty`, or its anchor, for an empty one.
        """
        means = (self.sums / self.counts.clamp(min=1)[:, None]).to(where_empty.dtype)
        if self.anchors is not None:
            where_empty = torch.cat([self.anchors, where_empty[len(self.anchors) :]])
        return pull(torch.where((self.counts > 0)[:, None], means, where_empty), self.anchors)

    def minus(self, part: ClusterSums) -> ClusterSums:
        """Sums and counts of the rows that are not in `part`."""
        rest = self.copy()
        rest.sums -= part.sums
        rest.counts -= part.counts
        return rest

    def scatter(self) -> Tensor:
        """``‖sum‖² / count`` of each cluster, or `anchored_scatter`; float64 of shape (k,), 0 for an empty one."""
        scatter = self.sums.square().sum(dim=1) / self.counts.clamp(min=1)
        if self.anchors is not None:
            m = len(self.anchors)
            scatter[:m] = anchored_scatter(self.sums[:m], self.counts[:m], self.anchors)
        return scatter

    def between(self) -> float:
        """What the squared norms of all rows are more than the inertia."""
        return total(self.scatter())


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
