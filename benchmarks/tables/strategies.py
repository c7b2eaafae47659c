"""The paper's strategies by name, and the rounds each of them takes to a budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.tables.descriptions import Panel, Start
from skal import registry
from skal.classifiers import LinearProbe
from skal.rounds import IterativeSampler

__all__ = ["Step", "make_sampler", "make_strategies", "plan_steps"]

ITERATIVE = ("Max-Entropy", "Core-set", "VAAL")
MULTI_KMEANS = "Multi K-means"


@dataclass(frozen=True)
class Step:
    """One selection: a batch, or one round that goes on from the step before."""

    method: str
    budget: int
    start: Start | None  # None for a batch
    earlier: tuple[int, ...] = ()  # totals of the rounds before


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


def make_strategies(
    methods: Iterable[str], panel: Panel, budgets: Sequence[int], device: str
) -> list[tuple[dict[str, Any], tuple[int, ...]]]:
    """Return strategies by name, together those that go through the same budgets, with these budgets."""
    together: dict[tuple[int, ...], dict[str, Any]] = defaultdict(dict)
    for method in methods:
        totals = tuple(step.budget for step in plan_steps(method, panel, budgets))
        together[totals][method] = _make_strategy(method, panel, device)
    return [(strategies, totals) for totals, strategies in together.items()]


def _make_strategy(method: str, panel: Panel, device: str) -> Any:
    n_classes = panel.dataset.n_classes
    sampler = make_sampler(method, n_classes, device)
    if method not in (*ITERATIVE, MULTI_KMEANS):
        return sampler
    return IterativeSampler(sampler, initial=make_sampler(_start_of(method, panel).method, n_classes, device))


def make_sampler(method: str, n_classes: int, device: str) -> Any:
    """Return one strategy, its budget and seed still to be set; in rounds, the one that picks each round."""
    entry = registry.sampler_titled("K-means" if method == MULTI_KMEANS else method)
    settings: dict[str, dict[str, Any]] = {
        MULTI_KMEANS: {"labeled_rows": "skip"},
        "Uniform(K-means)": {"n_clusters": n_classes, "labeled_rows": "skip"},
        "Max-Entropy": {"classifier": LinearProbe(lr=0.001, scaling=None, device=device)},
    }
    sampler = entry.make(**settings.get(method, {}))
    return sampler.set_params(device=device) if "device" in sampler.get_params() else sampler
