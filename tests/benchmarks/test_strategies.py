"""A strategy in rounds takes the same rows one round at a time as in one go."""

import numpy as np
import pytest

from benchmarks.tables.descriptions import CIFAR10, TABLES, Panel, Start
from benchmarks.tables.strategies import make_sampler, make_strategies, plan_steps
from skal.evaluation import select
from skal.rounds import IterativeSampler, MultiKMeansSampler
from skal.samplers import KMeansSampler, RandomSampler


def take_all(method, panel, budgets, X, y, n_seeds):
    ((strategies, totals),) = make_strategies([method], panel, budgets, "cpu")
    return select(strategies, X, y, budgets=totals, n_seeds=n_seeds)


@pytest.mark.parametrize(
    ("method", "budgets"),
    [
        ("Max-Entropy", (10, 20, 50)),
        ("Core-set", (10, 20, 50)),
        ("Multi K-means", (10, 20, 50)),
        ("VAAL", (10, 20)),  # it trains long
    ],
)
@pytest.mark.slow
def test_rounds_one_by_one_are_the_rounds_in_one_go(blobs, method, budgets):
    X, y = blobs
    picks = take_all(method, TABLES["1"].panels[0], budgets, X, y, n_seeds=2)
    whole = IterativeSampler(make_sampler(method, 3, "cpu"), budgets, initial=RandomSampler(), random_state=1)
    if method == "Multi K-means":
        whole = MultiKMeansSampler(budgets, labeled_rows="skip", random_state=1)
    in_one_go = whole.fit(X, y).selected_indices_
    for budget in budgets:
        np.testing.assert_array_equal(picks[method, budget, 1], in_one_go[:budget])


@pytest.mark.parametrize("method", ["Max-Entropy", "Core-set", "VAAL"])
def test_the_initial_pool_is_randoms_own_choice_for_the_same_seed(blobs, method):
    X, y = blobs
    picks = take_all(method, TABLES["1"].panels[0], (10,), X, y, n_seeds=3)
    np.testing.assert_array_equal(picks[method, 10, 2], RandomSampler(10, random_state=2).fit_select(X))


def test_table_12_starts_with_k_means(blobs):
    X, y = blobs
    panel = Panel(CIFAR10, (10,), "top-1", Start("K-means", 10))
    picks = take_all("Core-set", panel, (10,), X, y, n_seeds=1)
    np.testing.assert_array_equal(picks["Core-set", 10, 0], KMeansSampler(10, random_state=0).fit_select(X))
    assert TABLES["12"].panels[0].start.method == "K-means"


def test_strategies_that_go_through_the_same_budgets_are_made_together():
    panel = TABLES["5"].panels[0]
    methods = ("K-means", "Core-set", "Random", "Multi K-means")
    batch, rounds = make_strategies(methods, panel, (7000,), "cpu")
    assert (list(batch[0]), batch[1]) == (["K-means", "Random"], (7000,))
    assert (list(rounds[0]), rounds[1]) == (["Core-set", "Multi K-means"], (1000, 3000, 7000))
    assert isinstance(rounds[0]["Core-set"].initial, RandomSampler)
    assert isinstance(rounds[0]["Multi K-means"].initial, KMeansSampler)


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
    for n_before, step in enumerate(steps):
        assert step.earlier == (() if step.start is None else tuple(totals[:n_before]))


def test_a_strategy_in_rounds_needs_an_initial_pool():
    with pytest.raises(ValueError, match="needs an initial pool"):
        plan_steps("VAAL", TABLES["9"].panels[0], (4,))
