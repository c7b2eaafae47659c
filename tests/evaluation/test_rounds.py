"""A strategy in rounds takes the same rows one round at a time as in one go."""

import numpy as np
import pytest

import skal
from skal.evaluation import select
from skal.evaluation._rounds import plan_courses
from skal.rounds import IterativeSampler, MultiKMeansSampler
from skal.samplers import CoreSetSampler, KMeansSampler, MaxEntropySampler, RandomSampler

ROUNDS = {
    "Max-Entropy": IterativeSampler(MaxEntropySampler(), initial=RandomSampler()),
    "Core-set": IterativeSampler(CoreSetSampler(), initial=KMeansSampler()),
    "Multi K-means": MultiKMeansSampler(),
}


class CountingRounds(IterativeSampler):
    """Rounds, whatever the class is called."""

    n_fits = 0

    def fit(self, X, y=None, **more):
        CountingRounds.n_fits += 1
        return super().fit(X, y, **more)


@pytest.mark.parametrize("name", ROUNDS)
@pytest.mark.parametrize("open_pool", [lambda X: X, skal.Pool], ids=["array", "pool"])
def test_rounds_one_by_one_are_the_rounds_in_one_go(name, open_pool, blobs):
    X, y = blobs
    selections = select({name: ROUNDS[name]}, open_pool(X), y, budgets=[20, 4, 9], n_seeds=2)
    for seed in range(2):
        whole = ROUNDS[name].set_params(budgets=(4, 9, 20), random_state=seed).fit(X, y).selected_indices_
        for budget in (4, 9, 20):
            np.testing.assert_array_equal(selections[name, budget, seed], whole[:budget])


def test_each_round_is_one_fit_and_smaller_budgets_are_prefixes(blobs):
    X, y = blobs
    CountingRounds.n_fits = 0
    selections = select({"all": CountingRounds(RandomSampler())}, X, y, budgets=[5, 10, 20], n_seeds=2)
    assert CountingRounds.n_fits == 6
    np.testing.assert_array_equal(selections["all", 20, 0][:5], selections["all", 5, 0])
    assert not np.array_equal(selections["all", 20, 0], selections["all", 20, 1])


def test_courses_say_what_their_next_picks_depend_on():
    in_rounds, batch, other_batch = plan_courses({"R": MultiKMeansSampler((1, 2)), "K": KMeansSampler(7)}, (4, 9), 1)
    assert (in_rounds.totals_so_far, in_rounds.next_total) == ((4,), 4)
    assert in_rounds.sampler.budgets == ()
    in_rounds.take(np.arange(4))
    assert (in_rounds.totals_so_far, in_rounds.next_total) == ((4, 9), 9)
    assert in_rounds.needs_round(1)
    assert not in_rounds.needs_round(0)
    in_rounds.take(np.arange(4, 9))
    assert in_rounds.is_finished
    assert not in_rounds.needs_round(1)
    assert (batch.sampler.budget, other_batch.sampler.budget) == (4, 9)
    assert (batch.totals_so_far, other_batch.totals_so_far) == ((4,), (9,))
    assert other_batch.needs_round(0)


@pytest.mark.parametrize("rows", [[0, 1, 2], [4, 5, 6, 7, 8, 9], [4, 5, 6, 7, 7], [0, 5, 6, 7, 8]])
def test_a_round_of_other_rows_is_refused(rows):
    (course,) = plan_courses({"R": MultiKMeansSampler()}, (4, 9), 1)
    course.take(np.arange(4))
    with pytest.raises(ValueError, match="R must pick 5 new rows to go from 4 to 9"):
        course.take(np.array(rows))
    assert len(course.picks) == 4
