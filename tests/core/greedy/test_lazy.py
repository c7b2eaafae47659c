"""Optimisers against brute force, on objectives whose gains are small integers and so tie all the time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal._core.greedy import Candidates, LazyGreedy, Objective, plain_greedy


class SetCover(Objective):
    """How many items the rows added hold together, each row paying its price."""

    gains_only_fall = True

    def __init__(self, holds, price=None, n_candidates=64):
        self.holds = np.asarray(holds, dtype=bool)
        self.n_rows = len(holds)
        self.price = np.zeros(self.n_rows) if price is None else price
        self.n_candidates = n_candidates
        self.least_gain = 0.0 if price is None else -np.inf
        self.is_known = np.zeros(self.holds.shape[1], dtype=bool)
        self.n_asked = 0

    def gains(self, row_idx):
        self.n_asked += len(row_idx)
        return (self.holds[row_idx] & ~self.is_known).sum(axis=1) - self.price[row_idx]

    def add(self, row):
        self.is_known |= self.holds[row]


class BoundedSetCover(SetCover):
    """The same with bounds that cost nothing: at most what a row held when the bounds were last renewed, and one."""

    bounds_are_cheap = True

    def upper_bounds(self, row_idx):
        return (self.holds[row_idx] & ~self.is_known).sum(axis=1) - self.price[row_idx] + (row_idx % 3 == 0)


def brute_force(holds, budget, price, excluded=()):
    holds, picks = np.asarray(holds, dtype=bool), []
    for _ in range(budget):
        known = holds[picks].any(axis=0)
        left = [row for row in range(len(holds)) if row not in picks and row not in excluded]
        picks.append(max(left, key=lambda row: ((holds[row] & ~known).sum() - price[row], -row)))
    return picks


@st.composite
def covers(draw):
    n_rows, n_items = draw(st.integers(1, 40)), draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    holds = rng.random((n_rows, n_items)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    price = rng.integers(0, 4, size=n_rows) * draw(st.sampled_from([0.0, 0.5, 1.0]))
    excluded = rng.permutation(n_rows)[: draw(st.integers(0, n_rows - 1))]
    return holds, price, excluded


@pytest.mark.parametrize("objective_class", [SetCover, BoundedSetCover])
@given(cover=covers(), n_candidates=st.sampled_from([1, 2, 5, 64]))
def test_both_optimisers_are_the_greedy_ties_included(objective_class, cover, n_candidates):
    holds, price, excluded = cover
    budget = len(holds) - len(excluded)
    expected = brute_force(holds, budget, price, excluded)
    assert plain_greedy(objective_class(holds, price), budget, excluded=excluded).tolist() == expected
    lazy = LazyGreedy(objective_class(holds, price, n_candidates), excluded=excluded)
    assert lazy.pick(budget).tolist() == expected


@given(cover=covers())
def test_picking_goes_on_where_it_stopped(cover):
    holds, price, excluded = cover
    budget = len(holds) - len(excluded)
    expected = brute_force(holds, budget, price, excluded)
    lazy, at_once = LazyGreedy(SetCover(holds, price), excluded=excluded), []
    for n_rows in (budget // 3, budget // 3, budget - 2 * (budget // 3)):
        at_once += lazy.pick(n_rows).tolist()
    assert at_once == expected


@given(cover=covers())
def test_the_largest_gain_that_is_left(cover):
    holds, price, excluded = cover
    n_left = len(holds) - len(excluded)
    lazy = LazyGreedy(SetCover(holds, price), excluded=excluded)
    picks = brute_force(holds, n_left, price, excluded)
    for n_picked in range(n_left):
        gains = SetCover(holds, price)
        for row in picks[:n_picked]:
            gains.add(row)
        assert lazy.largest_gain() == gains.gains(np.array(picks[n_picked : n_picked + 1]))[0]
        assert lazy.pick(1).tolist() == picks[n_picked : n_picked + 1]
    assert lazy.largest_gain() == -np.inf


def test_most_gains_are_never_asked_for_again(rng):
    holds = rng.random((2000, 300)) < rng.random((2000, 1)) ** 4
    lazy, plain = SetCover(holds), SetCover(holds)
    picks = LazyGreedy(lazy).pick(20)
    np.testing.assert_array_equal(picks, plain_greedy(plain, 20))
    assert lazy.n_asked < 0.2 * plain.n_asked


def test_rows_that_can_gain_nothing_are_left_alone():
    objective = SetCover(np.ones((500, 4)))
    assert LazyGreedy(objective).pick(500).tolist() == list(range(500))
    assert objective.n_asked < 3 * 500


def test_gains_are_asked_for_in_parts(rng):
    class Counting(SetCover):
        def gains(self, row_idx):
            self.most = max(getattr(self, "most", 0), len(row_idx))
            return super().gains(row_idx)

    objective = Counting(rng.random((3000, 5)) < 0.5)
    plain_greedy(objective, 1)
    LazyGreedy(objective).pick(1)
    assert objective.most == 1024


def test_candidates_may_keep_what_they_share():
    class InOrder(Candidates):
        closed = 0

        def settle(self, positions):
            super().settle(np.flatnonzero(self.upper > -np.inf))

        def close(self):
            InOrder.closed += 1

    class Own(SetCover):
        def candidates(self, row_idx, upper):
            return InOrder(self, row_idx, upper)

    holds = np.eye(7)[[0, 1, 1, 2, 3, 3, 4]]
    assert LazyGreedy(Own(holds)).pick(7).tolist() == brute_force(holds, 7, np.zeros(7))
    assert InOrder.closed > 0


def test_each_batch_is_reported():
    seen = []
    LazyGreedy(SetCover(np.eye(10), n_candidates=3)).pick(9, on_batch=lambda *args: seen.append(args))
    assert [n_picks for n_picks, _ in seen] == sorted(n_picks for n_picks, _ in seen)
    assert seen[-1] == (9, 1.0)


def test_gains_that_may_rise_are_refused():
    class Rising(SetCover):
        gains_only_fall = False

    with pytest.raises(ValueError, match=r"Rising does not say .* plain_greedy"):
        LazyGreedy(Rising(np.eye(3)))
    assert plain_greedy(Rising(np.eye(3)), 2).tolist() == [0, 1]
