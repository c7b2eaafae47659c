"""Many clusterings of a graph, by which rows belong together as often as they share a cluster."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.graph._eigenvectors import diffusion_map, leading_eigenvectors
from skal._core.graph._neighbors import Neighbors
from skal._core.graph._weights import affinity, normalized_affinity
from skal._core.kmeans import KMeansResult, lloyd, partition
from skal._core.seeding import kmeans_plus_plus
from skal._core.workers import map_on

__all__ = ["clusterings_of", "count_parts"]

_MOST_COORDINATES = 100
_PASSES = 10
_LEAST_ROWS, _ROWS_A_CLUSTER = 4096, 16  # that the passes take; the others go to the nearest center


def count_parts(neighbors: Neighbors) -> int:
    """Count the parts of a neighbour graph that no edge joins."""
    return int(connected_components(affinity(neighbors), directed=False, return_labels=False))


def clusterings_of(neighbors: Neighbors, alpha: float, n_clusters: list[int], rng: np.random.Generator) -> Tensor:
    """Cluster the diffusion map of a neighbour graph into so many clusters, one time after the other.

    Each time K-means (ten passes from k-means++) runs on as many coordinates of the map as there are clusters, at the
    most 100: coarse clusterings see what is farthest apart only. Of many rows a random sample is clustered, 16 for each
    cluster and at least 4,096, and the others go to the nearest center.

    Parameters
    ----------
    neighbors : Neighbors of m rows
        In fewer parts than there are coordinates, which could not tell them apart.
    alpha : float
    n_clusters : list of int
        Of each clustering; at most m.
    rng : numpy.random.Generator

    Returns
    -------
    uint8 Tensor of shape (len(n_clusters), m)
        int16 where there are more than 256 clusters.

    Notes
    -----
    Those of `leading_eigenvectors`; for each clustering ``20·p·k`` operations for each of ``max(4096, 16·k)`` rows and
    ``2·p·k`` for each of the others, p = min(k, 100). Memory: four blocks of the eigenvectors, and ``12·p·m`` bytes for
    each worker.
    """
    normalized, _ = normalized_affinity(affinity(neighbors))
    n_rows = normalized.shape[0]
    n_vectors = min(max(n_clusters), _MOST_COORDINATES, n_rows)
    values, vectors = leading_eigenvectors(normalized, n_vectors)
    dtype = torch.uint8 if max(n_clusters) <= 256 else torch.int16

    def cluster(task: tuple[int, np.random.Generator]) -> Tensor:
        k, own_rng = task
        points = torch.from_numpy(diffusion_map(values[:k], vectors[:, :k], alpha))
        n_sampled = max(_LEAST_ROWS, _ROWS_A_CLUSTER * k)
        if n_sampled < n_rows:
            sampled = points[np.sort(own_rng.choice(n_rows, size=n_sampled, replace=False))]
            return partition(_blocks(points), _run(_blocks(sampled), k, own_rng).centers).labels.to(dtype)
        return _run(_blocks(points), k, own_rng).partition.labels.to(dtype)

    tasks = list(zip(n_clusters, rng.spawn(len(n_clusters)), strict=True))
    return torch.stack(map_on(torch.device("cpu"), cluster, tasks))


def _blocks(points: Tensor) -> Blocks:
    return Blocks(points, torch.device("cpu"))


def _run(blocks: Blocks, k: int, rng: np.random.Generator) -> KMeansResult:
    start = blocks.take(kmeans_plus_plus(blocks, k, rng))
    return lloyd(blocks, start, max_iter=_PASSES, max_sq_shift=0.0)
