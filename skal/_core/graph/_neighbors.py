"""What a search for neighbours gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Neighbors"]


@dataclass(frozen=True)
class Neighbors:
    """The nearest other rows of each row of a pool.

    Attributes
    ----------
    indices : ndarray of shape (n, k), int32
        Nearest first; rows at equal distances in ascending order.
    sq_dist : ndarray of shape (n, k), float32
        Squared distances to them.
    recall : float
        Share of the true neighbours that were found, on a sample of the rows; 1.0 where the search was exact.

    See Also
    --------
    Pool.neighbors : Finds them.
    """

    indices: npt.NDArray[np.int32]
    sq_dist: npt.NDArray[np.float32]
    recall: float = 1.0

    @property
    def n_neighbors(self) -> int:
        return int(self.indices.shape[1])

    def first(self, k: int) -> Neighbors:
        """Return the `k` nearest of each row."""
        return replace(self, indices=self.indices[:, :k], sq_dist=self.sq_dist[:, :k])
