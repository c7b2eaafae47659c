"""How a budget is divided."""

import numpy as np
import pytest

from skal._core.shares import equal_shares, nearest_members


def shares(available, budget, taken=None, members=None):
    available = np.array(available)
    taken = np.zeros_like(available) if taken is None else np.array(taken)
    members = available + taken if members is None else np.array(members)
    return equal_shares(available, taken, members, budget).tolist()


@pytest.mark.parametrize(
    ("available", "budget", "taken", "expected"),
    [
        ([10, 10, 10], 9, None, [3, 3, 3]),
        ([10, 12, 11], 10, None, [3, 4, 3]),  # the remainder goes to the largest
        ([10, 12, 11], 11, None, [3, 4, 4]),
        ([10, 12, 11], 2, None, [0, 1, 1]),  # fewer than groups
        ([1, 10, 10], 9, None, [1, 4, 4]),  # a shortfall goes to those with rows left
        ([5, 5], 4, [4, 0], [0, 4]),  # what is labelled counts
        ([5, 5, 5], 6, [2, 0, 1], [1, 3, 2]),
        ([0, 3], 3, None, [0, 3]),
        ([2, 3], 5, None, [2, 3]),
        ([4, 4, 4], 1, None, [1, 0, 0]),  # ties to the lowest
    ],
)
def test_the_stated_rule(available, budget, taken, expected):
    assert shares(available, budget, taken) == expected


def test_shares_always_sum_to_the_budget_and_are_as_equal_as_the_rows_allow(rng):
    for _ in range(200):
        available, taken = rng.integers(0, 9, size=(2, rng.integers(1, 7)))
        budget = int(rng.integers(0, available.sum() + 1))
        result = np.array(shares(available, budget, taken))
        assert result.sum() == budget
        assert (result >= 0).all()
        assert (result <= available).all()
        total = result + taken
        can_give, can_take = result > 0, result < available
        if can_give.any() and can_take.any():
            assert total[can_give].max() <= total[can_take].min() + 1


def brute_force_members(labels, sq_dist, is_candidate, n_clusters, budget):
    """The stated rule, one pick at a time."""
    left = {c: sorted((sq_dist[i], i) for i in np.flatnonzero((labels == c) & is_candidate)) for c in range(n_clusters)}
    size = {c: (labels == c).sum() for c in range(n_clusters)}
    inertia = {c: sq_dist[labels == c].astype(np.float64).sum() for c in range(n_clusters)}
    n_candidates = {c: len(left[c]) for c in range(n_clusters)}
    n_picks = dict.fromkeys(range(n_clusters), 0)
    picks = []
    for c in sorted(range(n_clusters), key=lambda c: (-size[c], c)):
        if left[c] and len(picks) < budget:
            picks.append(left[c].pop(0)[1])
            n_picks[c] += 1
    while len(picks) < budget:
        open_clusters = [c for c in range(n_clusters) if left[c]]
        c = min(open_clusters, key=lambda c: (-inertia[c] / n_picks[c], -n_candidates[c] / n_picks[c], c))
        picks.append(left[c].pop(0)[1])
        n_picks[c] += 1
    return picks


def test_nearest_members_follow_the_stated_rule(rng):
    for _ in range(200):
        n, k = int(rng.integers(1, 40)), int(rng.integers(1, 12))
        labels = rng.integers(0, k, size=n)
        sq_dist = rng.integers(0, 4, size=n).astype(np.float32)
        is_candidate = rng.random(n) < 0.7
        if not is_candidate.any():
            continue
        budget = int(rng.integers(1, is_candidate.sum() + 1))
        picks = nearest_members(labels, sq_dist, is_candidate, k, budget)
        assert picks.tolist() == brute_force_members(labels, sq_dist, is_candidate, k, budget)
