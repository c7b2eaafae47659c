"""What a greedy maximises, apart from how: the protocol between objectives and optimisers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

__all__ = ["Candidates", "Objective"]

# Optimisers ask for the gains of no more rows at a time, so that an objective may make a column of length n of each.
_ROWS_AT_ONCE = 1024


class Objective(ABC):
    """Something to maximise by adding one row after the other.

    A new objective fills in `gains` and `add`, sets `n_rows`, and says whether its gains only fall. That is enough
    for `plain_greedy` and for `LazyGreedy`; everything else here has a default and only makes the second one faster.

    Rows of equal gain are a tie, which the lowest row wins. "Equal" means equal floats: an objective whose gains are
    sums of rounded numbers says itself which digits count, by rounding the gains that it returns.

    Attributes
    ----------
    n_rows : int
        Rows of the pool. Each is a candidate unless the optimiser is told otherwise.
    gains_only_fall : bool, default=False
        True where adding a row never raises the gain of another (a submodular objective).
    least_gain : float, default=-inf
        No gain is ever below this; 0 for an objective that never falls. A row known to gain no more than this is
        never looked at again.
    bounds_are_cheap : bool, default=False
        True where `upper_bounds` costs much less than `gains`, so that bounds are renewed in bulk.
    n_candidates : int, default=64
        How many candidates `LazyGreedy` takes at a time.

    See Also
    --------
    FacilityLocation : The one that comes with skal.
    LazyGreedy : Maximises any of them.
    plain_greedy : The same without bounds, to compare with.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.greedy import LazyGreedy, Objective
    >>> class DistinctWords(Objective):
    ...     gains_only_fall = True
    ...     least_gain = 0.0
    ...     def __init__(self, texts):
    ...         self.n_rows = len(texts)
    ...         self.words = [set(text.split()) for text in texts]
    ...         self.known = set()
    ...     def gains(self, row_idx):
    ...         return np.array([len(self.words[row] - self.known) for row in row_idx], dtype=float)
    ...     def add(self, row):
    ...         self.known |= self.words[row]
    >>> LazyGreedy(DistinctWords(["a cat", "a black cat", "the dog", "a dog"])).pick(2)
    array([1, 2])
    """

    gains_only_fall: ClassVar[bool] = False
    least_gain: ClassVar[float] = -np.inf
    bounds_are_cheap: bool = False
    n_candidates: int = 64

    n_rows: int

    @abstractmethod
    def gains(self, row_idx: np.ndarray) -> np.ndarray:
        """Say what each of some rows would add now.

        Parameters
        ----------
        row_idx : int64 ndarray of shape (m,)
            At most 1,024 of them when an optimiser asks.

        Returns
        -------
        float64 ndarray of shape (m,)
            A function of the row and of what was added, never of the other rows asked about.
        """

    @abstractmethod
    def add(self, row: int) -> None:
        """Add one row; gains change accordingly."""

    def upper_bounds(self, row_idx: np.ndarray) -> np.ndarray:
        """Bound the gains of any number of rows from above, shape (m,); by default by the gains themselves."""
        return self.gains_in_parts(row_idx)

    def gains_in_parts(self, row_idx: np.ndarray) -> np.ndarray:
        """Ask for the gains of any number of rows, shape (m,), a part at a time."""
        starts = range(0, len(row_idx), _ROWS_AT_ONCE)
        return np.concatenate([self.gains(row_idx[start : start + _ROWS_AT_ONCE]) for start in starts])

    def candidates(self, row_idx: np.ndarray, upper: np.ndarray) -> Candidates:
        """Prepare some rows for picks among them; a subclass of `Candidates` may keep what they share."""
        return Candidates(self, row_idx, upper)


class Candidates:
    """Rows that a lazy greedy picks among until a row outside could win.

    Parameters
    ----------
    objective : Objective
    row_idx : int64 ndarray of shape (m,)
        Ascending.
    upper : float64 ndarray of shape (m,)
        No gain is above it.

    Attributes
    ----------
    upper, lower : float64 ndarrays of shape (m,)
        Between them lies the gain of each candidate; equal, they are the gain. -inf in both once it was added.
    """

    def __init__(self, objective: Objective, row_idx: np.ndarray, upper: np.ndarray) -> None:
        self.objective = objective
        self.row_idx = row_idx
        self.upper = upper.copy()
        self.lower = np.full(len(row_idx), objective.least_gain)

    def settle(self, positions: np.ndarray) -> None:
        """Make `upper` and `lower` of these candidates their gains, and at will those of others that were not added."""
        self.upper[positions] = self.lower[positions] = self._gains(positions)

    def add(self, position: int) -> None:
        """Add this candidate; what is known of the others holds as upper bounds."""
        self._pass_on(position)
        self.upper[position] = -np.inf
        self.lower = np.minimum(self.upper, self.objective.least_gain)

    def close(self) -> None:
        """Give what was learned here back to the objective, where it keeps any of it."""

    def _gains(self, positions: np.ndarray) -> np.ndarray:
        return self.objective.gains(self.row_idx[positions])

    def _pass_on(self, position: int) -> None:
        self.objective.add(int(self.row_idx[position]))
