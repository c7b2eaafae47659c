"""Near duplicates and outlying images, by their embeddings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skal._files._atomic import write_atomically
from skal.pool import Pool

__all__ = ["Neighborhood", "kept_neighborhood"]

N_NEIGHBORS = 10
SHARE_OF_MEDIAN = 0.13
IQR_FACTOR = 1.7
# Copies of one image need not have equal embeddings: a batch of another size sums in another order.
_SAME = 1e-7


@dataclass(frozen=True)
class Neighborhood:
    """The nearest neighbours of every image, and what follows from them.

    The rules are those of cleanlab's Datalab. They are relative to the pool, so that they carry over between backbones.

    Parameters
    ----------
    distances : ndarray of shape (n, k), float64
        Cosine distances, ascending.
    indices : ndarray of shape (n, k), int64
        Positions in the pool.
    """

    distances: npt.NDArray[np.float64]
    indices: npt.NDArray[np.int64]

    @classmethod
    def of(cls, X: npt.NDArray[Any]) -> Neighborhood:
        """Find the neighbours of each row of X as `skal.Pool.neighbors` does: all up to 65,536 rows, most beyond."""
        n_rows = len(X)
        k = min(N_NEIGHBORS, n_rows - 1)
        if k < 1:
            return cls(np.empty((n_rows, 0)), np.empty((n_rows, 0), dtype=np.int64))
        found = Pool(X).neighbors(k)
        # Of rows of length one, a squared distance is twice the cosine distance.
        return cls(found.sq_dist.astype(np.float64) / 2, found.indices.astype(np.int64))

    @property
    def threshold(self) -> float:
        """Images nearer than this are near duplicates: 0.13 times the median distance to the nearest neighbour."""
        if not self.distances.size:
            return _SAME
        return max(_SAME, SHARE_OF_MEDIAN * float(np.median(self.distances[:, 0])))

    def groups(self) -> npt.NDArray[np.int64]:
        """Number the groups of near duplicates, shape (n,): each image has the lowest position of its group.

        Two images are in one group where a chain of near duplicates joins them.
        """
        n_rows = len(self.distances)
        is_near = self.distances < self.threshold
        first, place = np.nonzero(is_near)
        second = self.indices[first, place]
        edges = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(n_rows, n_rows))
        _, component = connected_components(edges, directed=False)
        lowest = np.full(component.max(initial=-1) + 1, n_rows, dtype=np.int64)
        np.minimum.at(lowest, component, np.arange(n_rows))
        group_of: npt.NDArray[np.int64] = lowest[component]
        return group_of

    def outlying(self) -> npt.NDArray[np.int64]:
        """Positions of images whose mean distance to their neighbours exceeds Q3 + 1.7 IQR, the farthest first."""
        if not self.distances.size:
            return np.empty(0, dtype=np.int64)
        mean = self.distances.mean(axis=1)
        lower, upper = np.quantile(mean, [0.25, 0.75])
        order = np.argsort(-mean, kind="stable")
        is_far: npt.NDArray[np.bool_] = mean[order] > upper + IQR_FACTOR * (upper - lower)
        return order[is_far].astype(np.int64)


def kept_neighborhood(path: Path, X: npt.NDArray[Any], identity: Mapping[str, Any], *, keep: bool) -> Neighborhood:
    """Return the neighbours of X, from a file if it is of the same rows; else find them and, with `keep`, write it."""
    belongs_to = sha256(json.dumps([dict(identity), list(X.shape)], sort_keys=True).encode()).hexdigest()
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["belongs_to"]) == belongs_to:
                return Neighborhood(kept["distances"], kept["indices"])
    except (OSError, ValueError, KeyError):
        pass  # none yet, or damaged: found again
    found = Neighborhood.of(X)
    if keep:
        content = BytesIO()
        np.savez(content, belongs_to=belongs_to, distances=found.distances, indices=found.indices)
        write_atomically(path, content.getvalue())
    return found
