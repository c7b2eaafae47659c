"""The paper's strategies by name, and the rounds each of them takes to a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.tables.descriptions import Panel, Start
from skal.base import BaseSampler
from skal.classifiers import LinearProbe
from skal.rounds import IterativeSampler
from skal.samplers import (
    CoreSetSampler,
    KMeansSampler,
    MaxEntropySampler,
    RandomSampler,
    UniformKMeansSampler,
    UniformSampler,
    VAALSampler,
)

__all__ = ["Step", "plan_steps", "take_step"]

ITERATIVE = ("Max-Entropy", "Core-set", "VAAL")
MULTI_KMEANS = "Multi K-means"


@dataclass(frozen=True)
class Step:
    """One selection: a batch, or one round that goes on from the step before."""

    method: str
    budget: int
    start: Start | None  # None for a batch
    earlier: tuple[int, ...] = ()  # totals of the rounds before

    @property
    def history(self) -> str:
        """What the picks depend on besides pool, strategy and seed, as a file's name."""
        if self.start is None:
            return str(self.budget)
        return "-".join([self.start.method, *map(str, self.earlier), str(self.budget)])

    @property
    def previous(self) -> Step | None:
        if not self.earlier:
            return None
        return Step(self.method, self.earlier[-1], self.start, self.earlier[:-1])


def plan_steps(method: str, panel: Panel, budgets: Sequence[int]) -> list[Step]:
    """Return the selections that lead to `budgets`, those that others go on from first.

    Strategies in rounds go through the panel's own budgets and its initial pool on their way, as far as they are
    below the largest asked for.
    """
    if method not in (*ITERATIVE, MULTI_KMEANS):
        return [Step(method, budget, None) for budget in sorted(budgets)]
    start = _start_of(method, panel)
    on_the_way = {budget for budget in (*panel.budgets, start.budget) if budget < max(budgets)}
    totals = sorted({*budgets, *on_the_way})
    return [Step(method, total, start, tuple(totals[:position])) for position, total in enumerate(totals)]


def _start_of(method: str, panel: Panel) -> Start:
    if panel.start is None:
        raise ValueError(f"{method} needs an initial pool, and the description of {panel.dataset.title} has none.")
    return Start("K-means", panel.start.budget) if method == MULTI_KMEANS else panel.start


def take_step(
    step: Step, X: Any, y: np.ndarray, n_classes: int, seed: int, device: str, previous: np.ndarray | None
) -> np.ndarray:
    """Pick; return all rows picked so far, those of earlier rounds first, shape (step.budget,), int64."""
    if step.start is None:
        sampler = make_sampler(step.method, n_classes, device)
        return sampler.set_params(budget=step.budget, random_state=seed).fit_select(X, y)
    rounds = IterativeSampler(
        make_sampler(step.method, n_classes, device),
        (step.budget,),
        initial=make_sampler(step.start.method, n_classes, device),
        random_state=seed,
    )
    if previous is None:
        return rounds.fit_select(X, y)
    return np.concatenate([previous, rounds.fit_select(X, y, labeled_indices=previous)])


def make_sampler(method: str, n_classes: int, device: str) -> BaseSampler:
    """Return one strategy, its budget and seed still to be set; in rounds, the one that picks each round."""
    match method:
        case "Uniform":
            return UniformSampler()
        case "Random":
            return RandomSampler()
        case "Uniform(K-means)":
            return UniformKMeansSampler(n_clusters=n_classes, device=device)
        case "K-means" | "Multi K-means":
            return KMeansSampler(device=device)
        case "Core-set":
            return CoreSetSampler(device=device)
        case "Max-Entropy":
            return MaxEntropySampler(classifier=LinearProbe(lr=0.001, scaling=None, device=device))
        case "VAAL":
            return VAALSampler(device=device)
    raise ValueError(f"There is no strategy {method!r}.")
