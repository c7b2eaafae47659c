"""The weighted graph of a pool: nearest neighbours, near ones weighing more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from skal._core.graph._neighbors import Neighbors

__all__ = ["affinity", "edge_weights", "normalized_affinity"]

_FALL_OFF = 4.0  # a row's farthest neighbour weighs exp(-4)


def edge_weights(sq_dist: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return ``exp(−4 d² / d_k²)`` of sorted squared distances (n, k); 1 where all are 0."""
    sq_dist = np.asarray(sq_dist, dtype=np.float64)
    farthest = sq_dist[:, -1:]
    weights: npt.NDArray[np.float64] = np.exp(
        -_FALL_OFF * np.divide(sq_dist, farthest, out=np.zeros_like(sq_dist), where=farthest > 0)
    )
    return weights


def affinity(neighbors: Neighbors) -> Any:
    """Return the weights as a symmetric CSR array W (n, n), float64: of the two of a pair, the larger."""
    n_rows, k = neighbors.indices.shape
    if k == 0:
        return sparse.csr_array((n_rows, n_rows), dtype=np.float64)
    starts = np.arange(0, n_rows * k + 1, k, dtype=np.int64 if n_rows * k > np.iinfo(np.int32).max else np.int32)
    weights = edge_weights(neighbors.sq_dist).ravel()
    one_way = sparse.csr_array((weights, neighbors.indices.ravel(), starts), shape=(n_rows, n_rows))
    return one_way.maximum(one_way.T.tocsr())


def normalized_affinity(weights: Any) -> tuple[Any, npt.NDArray[np.float64]]:
    """Return ``S = D^-½ W D^-½`` as a CSR array, and the degrees (n,); a row without neighbours stays zero."""
    degrees = np.asarray(weights.sum(axis=1)).ravel()
    scale = np.divide(1.0, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)
    normalized = weights.tocsr(copy=True)
    normalized.data *= np.repeat(scale, np.diff(normalized.indptr)) * scale[normalized.indices]
    return normalized, degrees
