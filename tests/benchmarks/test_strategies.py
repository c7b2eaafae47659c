"""A strategy in rounds takes the same rows one round at a time as in one go."""

import numpy as np
import pytest

from benchmarks.tables.descriptions import TABLES, Start
from benchmarks.tables.strategies import Step, make_sampler, plan_steps, take_step
from skal.rounds import IterativeSampler, MultiKMeansSampler
from skal.samplers import KMeansSampler, RandomSampler


def take_all(steps, X, y, seed):
    picks = {}
    for step in steps:
        previous = None if step.previous is None else picks[step.previous]
        picks[step] = take_step(step, X, y, 3, seed, "cpu", previous)
    return picks


@pytest.mark.parametrize(
    ("method", "budgets"),
    [
        ("Max-Entropy", (10, 20, 50)),
        ("Core-set", (10, 20, 50)),
        ("Multi K-means", (10, 20, 50)),
        ("VAAL", (10, 20)),  # it trains long
    ],
)
def test_rounds_one_by_one_are_the_rounds_in_one_go(blobs, method, budgets):
    X, y = blobs
    panel = TABLES["1"].panels[0]
    steps = plan_steps(method, panel, budgets)
    picks = take_all(steps, X, y, seed=1)
    whole = IterativeSampler(make_sampler(method, 3, "cpu"), budgets, initial=RandomSampler(), random_state=1)
    if method == "Multi K-means":
        whole = MultiKMeansSampler(budgets, random_state=1)
    np.testing.assert_array_equal(picks[steps[-1]], whole.fit(X, y).selected_indices_)
    for step in steps:
        np.testing.assert_array_equal(picks[step], picks[steps[-1]][: step.budget])


@pytest.mark.parametrize("method", ["Max-Entropy", "Core-set", "VAAL"])
def test_the_initial_pool_is_randoms_own_choice_for_the_same_seed(blobs, method):
    X, y = blobs
    (step,) = plan_steps(method, TABLES["1"].panels[0], (10,))
    random = RandomSampler(10, random_state=2).fit_select(X)
    np.testing.assert_array_equal(take_step(step, X, y, 3, 2, "cpu", None), random)


def test_table_12_starts_with_k_means(blobs):
    X, y = blobs
    step = Step("Core-set", 10, Start("K-means", 10))
    np.testing.assert_array_equal(
        take_step(step, X, y, 3, 0, "cpu", None), KMeansSampler(10, random_state=0).fit_select(X)
    )


@pytest.mark.parametrize(
    ("number", "method", "budgets", "totals"),
    [
        ("5", "K-means", (3000, 1000), [1000, 3000]),
        ("5", "Core-set", (7000,), [1000, 3000, 7000]),
        ("5", "Core-set", (20, 10), [10, 20]),
        ("5", "Multi K-means", (2000,), [1000, 2000]),
        ("11", "VAAL", (64_000,), [26_000, 64_000]),
        ("12", "Max-Entropy", (3000,), [1000, 3000]),
    ],
)
def test_rounds_pass_through_the_tables_own_budgets(number, method, budgets, totals):
    steps = plan_steps(method, TABLES[number].panels[0], budgets)
    assert [step.budget for step in steps] == totals
    for before, step in zip([None, *steps], steps, strict=False):
        assert step.previous == (None if step.start is None else before)
    assert len({step.history for step in steps}) == len(steps)


def test_a_strategy_in_rounds_needs_an_initial_pool():
    with pytest.raises(ValueError, match="needs an initial pool"):
        plan_steps("VAAL", TABLES["9"].panels[0], (4,))
