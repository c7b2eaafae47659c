"""Sums and counts of rows by cluster."""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.anchors import anchored_scatter, pull
from skal._core.products import total

__all__ = ["ClusterSums"]


class ClusterSums:
    """Sums and counts of rows by cluster, in an order of addition that never varies.

    Sums are float64; unless `precise`, about k rows at a time are added in float32 first. `anchors`, of shape
    (m, d), are those of the first m clusters (`skal._core.anchors`), whose centers and costs follow them.
    """

    def __init__(
        self,
        n_clusters: int,
        n_features: int,
        device: torch.device,
        *,
        precise: bool = False,
        anchors: Tensor | None = None,
    ) -> None:
        self.anchors = anchors
        self.sums = torch.zeros((n_clusters, n_features), dtype=torch.float64, device=device)
        self.counts = torch.zeros(n_clusters, dtype=torch.int64, device=device)
        self._partial = self.sums if precise else torch.zeros_like(self.sums, dtype=torch.float32)
        self._n_partial = 0

    @property
    def n_anchored(self) -> int:
        return 0 if self.anchors is None else len(self.anchors)

    def copy(self) -> ClusterSums:
        """A precise copy, to try moves on."""
        self.flush()
        copied = ClusterSums(len(self.counts), self.sums.shape[1], self.sums.device, precise=True, anchors=self.anchors)
        copied.sums += self.sums
        copied.counts += self.counts
        return copied

    def add(self, rows: Tensor, labels: Tensor, *, sign: int = 1) -> None:
        """Add each row (m, d) to the cluster its label names, or take it away where `sign` is -1."""
        if len(labels) == 0:
            return
        counts = torch.bincount(labels, minlength=len(self.counts))
        self.counts += sign * counts
        rows = rows.to(self._partial.dtype)
        if rows.device.type == "cpu":
            self._partial.index_add_(0, labels, rows, alpha=sign)
        else:  # atomics would add in a random order
            order = torch.argsort(labels, stable=True)
            present = counts > 0
            segment_sums = torch.segment_reduce(rows[order], "sum", lengths=counts[present], axis=0)
            self._partial[present] += sign * segment_sums
        self._n_partial += len(rows)
        if self._n_partial >= len(self.counts):
            self.flush()

    def flush(self) -> None:
        """Bring `sums` up to date."""
        self._n_partial = 0
        if self._partial is not self.sums:
            self.sums += self._partial
            self._partial.zero_()

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
