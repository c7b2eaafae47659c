"""Take samplers apart into the selections that are kept one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from skal._validation import set_random_states
from skal.rounds import IterativeSampler

__all__ = ["Course", "pick", "plan_courses"]


@dataclass
class Course:
    """One sampler with one seed on its way through one budget, or in rounds through several.

    Parameters
    ----------
    name : str
        Of the sampler.
    sampler : sampler
        With its seed and its budget, not fitted. One that runs rounds has no `budgets` until its next round.
    seed : int
    totals : tuple of int
        What it reaches, ascending.
    """

    name: str
    sampler: Any
    seed: int
    totals: tuple[int, ...]
    picks: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def is_finished(self) -> bool:
        return len(self.picks) >= self.totals[-1]

    def needs_round(self, n_rounds: int) -> bool:
        """Tell whether the next round comes after `n_rounds` others."""
        return not self.is_finished and self.totals.index(self.next_total) == n_rounds

    @property
    def next_total(self) -> int:
        return next(total for total in self.totals if total > len(self.picks))

    @property
    def totals_so_far(self) -> tuple[int, ...]:
        """The totals that the next picks depend on: those before them, and their own."""
        return tuple(total for total in self.totals if total <= self.next_total)

    def next_sampler(self) -> Any:
        """Return the sampler that picks next, not fitted."""
        sampler = clone(self.sampler)
        return sampler.set_params(budgets=(self.next_total,)) if _runs_rounds(sampler) else sampler

    def take(self, rows: npt.NDArray[np.int64]) -> int:
        """Add the next picks; return the total that they reach. ValueError if they do not fit."""
        total, picks = self.next_total, np.concatenate([self.picks, rows])
        if len(np.unique(picks)) != total or len(picks) != total:
            raise ValueError(
                f"{self.name} must pick {total - len(self.picks)} new rows to go from {len(self.picks)} to {total}; "
                f"found {len(rows)}, {len(np.unique(picks)) - len(self.picks)} of them distinct and new."
            )
        self.picks = picks
        return total


def plan_courses(samplers: Mapping[str, Any], totals: tuple[int, ...], n_seeds: int) -> list[Course]:
    """Return all courses; a sampler that runs rounds has one a seed, any other one for each budget too."""
    courses = []
    for seed in range(n_seeds):
        for name, template in samplers.items():
            sampler = clone(template)
            set_random_states(sampler, seed)
            if _runs_rounds(sampler):
                courses.append(Course(name, sampler.set_params(budgets=()), seed, totals))
            else:
                courses += [Course(name, clone(sampler).set_params(budget=total), seed, (total,)) for total in totals]
    return courses


def pick(course: Course, X: Any, y: Any) -> npt.NDArray[np.int64]:
    """Fit the sampler of the next round, or of the whole budget; return the new rows."""
    more = {"labeled_indices": course.picks} if len(course.picks) else {}
    rows: npt.NDArray[np.int64] = course.next_sampler().fit(X, y, **more).selected_indices_
    return np.asarray(rows, dtype=np.int64)


def _runs_rounds(sampler: Any) -> bool:
    return isinstance(sampler, IterativeSampler)
