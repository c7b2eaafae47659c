"""Anchored clusters: each of the first m has a row, its anchor, that draws it whatever its other rows are.

An anchored cluster with the mean m and the anchor a costs ``t Σ‖x − m‖² + (1 − t) Σ‖x − a‖²`` with t = ¾, between
K-means, where an anchor would only be a first center, and K-medoids, where it would be the center for good. The
center is ``c = t m + (1 − t) a``, and as long as that stands still, a row x costs ``‖x − c‖² + (1 − t)/t ‖c − a‖²`` in
the cluster; that is what rows are assigned by. A cluster without an anchor costs what it does in K-means.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.distances import half_sq_norms, row_sq_dist

__all__ = ["anchored_scatter", "half_costs", "pull", "surcharges"]

_SHARE_OF_MEAN = 0.75  # from 0.5 to 0.9 the accuracies of later rounds differed by less than their noise


def pull(means: Tensor, anchors: Tensor | None) -> Tensor:
    """Centers of clusters with these means, (k, d): a quarter of the way to the anchor for the first m."""
    if anchors is None:
        return means
    anchored = _SHARE_OF_MEAN * means[: len(anchors)] + (1.0 - _SHARE_OF_MEAN) * anchors
    return torch.cat([anchored, means[len(anchors) :]])


def surcharges(centers: Tensor, anchors: Tensor | None) -> Tensor:
    """What a row of each cluster costs above its squared distance to the center, shape (k,); 0 without an anchor."""
    added = centers.new_zeros(len(centers))
    if anchors is not None:
        sq_dist = row_sq_dist(centers[: len(anchors)], anchors)
        added[: len(anchors)] = sq_dist * (1.0 - _SHARE_OF_MEAN) / _SHARE_OF_MEAN
    return added


def half_costs(centers: Tensor, anchors: Tensor | None) -> Tensor:
    """Half the squared norm of each center, and half its surcharge, (k,); for `nearest_center`."""
    half_norms = half_sq_norms(centers)
    return half_norms if anchors is None else half_norms + 0.5 * surcharges(centers, anchors)


def anchored_scatter(sums: Tensor, counts: Tensor, anchors: Tensor) -> Tensor:
    """How much less clusters cost than the squared norms of their rows, float64 of shape (m,); 0 for an empty one."""
    anchors = anchors.double()
    about_mean = sums.square().sum(dim=1) / counts.clamp(min=1)
    about_anchor = 2.0 * (sums * anchors).sum(dim=1) - counts * anchors.square().sum(dim=1)
    return _SHARE_OF_MEAN * about_mean + (1.0 - _SHARE_OF_MEAN) * about_anchor
