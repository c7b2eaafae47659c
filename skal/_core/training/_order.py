"""Which rows are in the batch of a step: a function of the seed and the number of the step alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["EpochOrder", "StreamOrder"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EpochOrder:
    """Each epoch a new permutation of n rows, in batches as even as they can be.

    So no batch is left with a single row, which batch norm could not learn from, unless `batch_size` is 1 or n is.
    """

    n_rows: int
    batch_size: int
    seed: int

    @property
    def steps_an_epoch(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def rows(self, step: int) -> Rows:
        """Return the rows of one step, counted from 0 through all epochs."""
        epoch, position = divmod(step, self.steps_an_epoch)
        start, stop = (place * self.n_rows // self.steps_an_epoch for place in (position, position + 1))
        return _permutation(self.n_rows, self.seed, epoch)[start:stop]


@dataclass(frozen=True)
class StreamOrder:
    """Full batches from an endless stream of permutations of n rows; a batch larger than n repeats rows."""

    n_rows: int
    batch_size: int
    seed: int

    def rows(self, step: int) -> Rows:
        """Return the rows of one step, counted from 0."""
        start, stop = step * self.batch_size, (step + 1) * self.batch_size
        first, last = start // self.n_rows, (stop - 1) // self.n_rows
        stream = np.concatenate([_permutation(self.n_rows, self.seed, each) for each in range(first, last + 1)])
        return stream[start - first * self.n_rows : stop - first * self.n_rows]


@lru_cache(maxsize=4)
def _permutation(n_rows: int, seed: int, number: int) -> Rows:
    permutation: Rows = np.random.default_rng((seed, number)).permutation(n_rows)
    permutation.flags.writeable = False  # it is shared
    return permutation
