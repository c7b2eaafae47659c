"""What the base class makes of a sampler's hook: one request in, a checked answer out."""

import numpy as np
import pytest

import skal
from skal.base import BaseSampler, SelectionRequest


class Returning(BaseSampler):
    """Returns what it is told to."""

    def __init__(self, budget=10, *, picks=None, random_state=None):
        super().__init__(budget, random_state=random_state)
        self.picks = picks

    def _select_rows(self, request):
        self.request = request
        return request.candidate_idx[: request.budget] if self.picks is None else self.picks

    def _select_from(self, pool, budget):
        return self.picks


X = np.random.default_rng(0).normal(size=(40, 3))

BROKEN = [
    (range(9), "picked 9 rows for a budget of 10"),
    (range(11), "picked 11 rows for a budget of 10"),
    ([0, 1, 2, 3, 4, 5, 6, 7, 8, 8], "picked row 8 more than once"),
    ([0, 1, 2, 3, 4, 5, 6, 7, 8, 40], "picked row 40 of a pool of 40 rows"),
    ([-1, 1, 2, 3, 4, 5, 6, 7, 8, 9], "picked row -1 of a pool"),
    (np.arange(10.0), "dtype float64 in place of row numbers"),
    (np.ones(40, dtype=bool), "dtype bool in place of row numbers"),
    ([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]], "shape \\(1, 10\\)"),
]


@pytest.mark.parametrize(("picks", "message"), BROKEN)
def test_a_broken_answer_is_refused_by_name(picks, message):
    sampler = Returning(picks=picks)
    with pytest.raises(RuntimeError, match=f"Returning breaks the contract .*{message}"):
        sampler.fit(X)
    assert not hasattr(sampler, "selected_indices_")


def test_a_labelled_row_is_refused():
    with pytest.raises(RuntimeError, match="picked row 3, which is labelled already"):
        Returning(picks=range(10)).fit(X, labeled_indices=[30, 3])
    Returning(picks=range(10)).fit(X, labeled_indices=[30, 31])


@pytest.mark.parametrize(("picks", "message"), BROKEN)
def test_answers_for_another_pool_are_checked_too(picks, message):
    sampler = Returning().fit(X)
    with pytest.raises(RuntimeError, match=message):
        sampler.set_params(picks=picks).select(X + 1)


def test_the_hook_is_asked_once_with_everything_it_needs():
    sampler = Returning(budget=4, random_state=3).fit(X, np.arange(40) % 3, labeled_indices=[7, 2])
    request = sampler.request
    assert isinstance(request, SelectionRequest)
    assert request.labeled_idx.tolist() == [2, 7]
    assert request.labels.tolist() == [2, 1]
    assert request.budget == 4
    assert request.is_candidate.sum() == 38
    assert request.candidate_idx.tolist() == [row for row in range(40) if row not in (2, 7)]
    assert request.pool.X is X
    assert request.rng.random() == Returning(random_state=3).fit(X).request.rng.random()


@pytest.mark.parametrize("reads", ["nothing", "X", "tiles"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_rows_are_found_whatever_the_hook_reads(reads, bad):
    class Reading(BaseSampler):
        def _select_rows(self, request):
            if reads == "X":
                _ = request.pool.X
                raise AssertionError("a hook saw rows that are not finite")
            if reads == "tiles":
                for _ in request.pool.view("euclidean", "cpu").blocks.tiles():
                    pass
            return np.arange(request.budget)

    bad_X = X.copy()
    bad_X[33, 1] = bad
    sampler = Reading(3)
    with pytest.raises(ValueError, match="row 33 is the first"):
        sampler.fit(bad_X)
    assert not hasattr(sampler, "selected_indices_")


def test_an_opened_pool_is_handed_to_the_hook_as_it_is():
    pool = skal.Pool(X)
    assert Returning().fit(pool).request.pool is pool
