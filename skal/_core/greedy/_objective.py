"""What a greedy maximises, apart from how: the protocol between objectives and optimisers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

__all__ = ["Candidates", "Objective"]


class Objective(ABC):
    """Something to maximise by adding one row after the other.

    A new objective fills in `gains` and `add`, and says whether its gains only fall. That is enough for
    `plain_greedy` and for `LazyGreedy`; everything else here makes the second one faster and has a default.

    Two rows whose gains are equal floats are a tie, and the lower row wins. An objective whose gains are sums of
    rounded numbers decides itself which last digits count, by rounding the gains that it returns.

    Attributes
    ----------
    n_rows : int
        Rows of the pool; every one is a candidate unless the optimiser is told otherwise.
    """

    # True where adding a row never raises the gain of another (a submodular objective): LazyGreedy rests on it.
    gains_only_fall: ClassVar[bool] = False
    # No gain is ever below this; 0 for a monotone objective. A row known to gain no more is never looked at again.
    least_gain: ClassVar[float] = -np.inf
    # True where `upper_bounds` costs much less than `gains`: bounds that could win are then renewed in bulk.
    bounds_are_cheap: ClassVar[bool] = False
    # How many candidates LazyGreedy holds at a time.
    n_candidates: int = 64

    n_rows: int

    @abstractmethod
    def gains(self, row_idx: np.ndarray) -> np.ndarray:
        """Say what each of some rows would add now.

        Parameters
        ----------
        row_idx : int64 ndarray of shape (m,)

        Returns
        -------
        float64 ndarray of shape (m,)
            A function of the row and of what was added, never of the other rows asked about.
        """

    @abstractmethod
    def add(self, row: int) -> None:
        """Add one row; gains change accordingly."""

    def upper_bounds(self, row_idx: np.ndarray) -> np.ndarray:
        """Bound the gains of some rows from above, shape (m,); by default the gains themselves."""
        return self.gains(row_idx)

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
        """Make `upper` and `lower` of these candidates their gains, and of others at will."""
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
