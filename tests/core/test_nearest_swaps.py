"""Swaps of picks against plain loops over all of them."""

import numpy as np
import pytest
import torch

from skal._core import nearest_swaps
from skal._core.nearest_swaps import NearestSwaps, times_together


@pytest.fixture
def rows(rng):
    """Whole numbers, so that distances are exact; some rows are copies."""
    distinct = rng.integers(-20, 21, size=(150, 5))
    return np.concatenate([distinct, distinct[:10]]).astype(np.float32)


@pytest.fixture
def clusterings(rng):
    return rng.integers(6, size=(9, 160)).astype(np.uint8)


def agreement_of(clusterings):
    times = (clusterings[:, :, None] == clusterings[:, None, :]).sum(axis=0)
    return times**2


def total_of(rows, agreement, covering):
    """Whole numbers: what each row agrees with its nearest of what covers, the first of equal ones."""
    sq_dist = ((rows[:, None] - rows[covering]) ** 2).sum(axis=2)
    return int(agreement[np.arange(len(rows)), np.asarray(covering)[sq_dist.argmin(axis=1)]].sum())


def made(rows, clusterings, fixed, picks):
    to_tensor = torch.from_numpy
    return NearestSwaps(to_tensor(rows), to_tensor(clusterings), *(torch.tensor(idx) for idx in (fixed, picks)))


def swap_one_by_one(rows, agreement, fixed, picks, candidates):
    """For each candidate in turn the best swap, if it raises the total."""
    picks = list(picks)
    for candidate in candidates:
        totals = []
        for place in range(len(picks)):
            other = [*picks[:place], candidate, *picks[place + 1 :]]
            totals.append(total_of(rows, agreement, [*fixed, *other]))
        if max(totals) > total_of(rows, agreement, [*fixed, *picks]):
            picks[int(np.argmax(totals))] = candidate
    return picks


@pytest.mark.parametrize("fixed", [[], [3, 70]])
@pytest.mark.parametrize("n_picks", [1, 2, 12])
def test_it_is_the_plain_loop(fixed, n_picks, rows, clusterings, rng, monkeypatch):
    monkeypatch.setattr(nearest_swaps, "_PAIRS_AT_ONCE", 160)  # one candidate at a time
    left = np.setdiff1d(np.arange(160), fixed)
    picks, candidates = np.split(rng.permutation(left), [n_picks])
    swaps = made(rows, clusterings, np.array(fixed, dtype=np.int64), picks)
    n_swaps = swaps.try_rows(torch.from_numpy(candidates))
    expected = swap_one_by_one(rows, agreement_of(clusterings), fixed, picks, candidates)
    assert swaps.picks.tolist() == expected
    assert n_swaps > 0


def test_of_some_candidates_the_best_swap_is_made_first(rows, clusterings, rng):
    agreement = agreement_of(clusterings)
    picks, candidates = np.split(rng.permutation(160), [8])
    everything = {
        (place, row): total_of(rows, agreement, [*picks[:place], row, *picks[place + 1 :]])
        for place in range(8)
        for row in candidates.tolist()
    }
    swaps = made(rows, clusterings, np.empty(0, dtype=np.int64), picks)
    found = []
    swap = swaps._swap

    def note(place, row, score):
        found.append((place, row))
        return swap(place, row, score)

    swaps._swap = note
    swaps.try_rows(torch.from_numpy(candidates))
    assert everything[found[0]] == max(everything.values())


def test_the_end_is_a_place_without_a_better_swap(rows, clusterings, rng):
    agreement = agreement_of(clusterings)
    fixed, picks, _ = np.split(rng.permutation(160), [2, 9])
    swaps = made(rows, clusterings, fixed, picks)
    before = total_of(rows, agreement, [*fixed, *picks])
    while swaps.try_rows(torch.from_numpy(np.setdiff1d(np.arange(160), [*fixed, *swaps.picks.tolist()]))):
        pass
    last = swaps.picks.tolist()
    reached = total_of(rows, agreement, [*fixed, *last])
    assert reached > before
    assert swaps.agreement() == reached / (81 * 160)
    assert set(last).isdisjoint(fixed)
    for place in range(len(last)):
        for row in set(range(160)) - {*fixed.tolist(), *last}:
            swapped = [*last[:place], row, *last[place + 1 :]]
            assert total_of(rows, agreement, [*fixed, *swapped]) <= reached


def test_of_how_many_rows_each_pick_is_the_nearest(rows, clusterings, rng):
    fixed, picks, _ = np.split(rng.permutation(160), [2, 9])
    swaps = made(rows, clusterings, fixed, picks)
    swaps.try_rows(torch.from_numpy(np.setdiff1d(np.arange(160), [*fixed, *picks])))
    covering = [*fixed, *swaps.picks.tolist()]
    nearest = ((rows[:, None] - rows[covering]) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(swaps.n_covered_by_each(), np.bincount(nearest, minlength=9)[2:])


def test_how_often_rows_share_a_cluster(clusterings):
    which = np.array([4, 150, 4])
    for dtype in (np.uint8, np.int16):
        count = times_together(torch.from_numpy(clusterings.astype(dtype)), torch.from_numpy(which))
        np.testing.assert_array_equal(count.numpy(), (clusterings[:, which, None] == clusterings[:, None]).sum(axis=0))


def test_many_clusterings_of_many_rows_do_not_overflow(rng):
    rows = rng.normal(size=(40_000, 2)).astype(np.float32)
    rows[1] = 100.0
    clusterings = np.zeros((255, 40_000), dtype=np.uint8)  # 255² · 40,000 is more than int32 holds
    clusterings[:, 0] = 1
    swaps = made(rows, clusterings, np.empty(0, dtype=np.int64), np.array([0]))
    assert swaps.try_rows(torch.tensor([1])) == 1
    assert swaps.picks.tolist() == [1]
    assert swaps.agreement() == 39_999 / 40_000


def test_where_distances_tie_no_swap_lowers_the_sum(rng):
    for _ in range(20):
        rows = rng.integers(-2, 3, size=(80, 2)).astype(np.float32)
        clusterings = rng.integers(4, size=(5, 80)).astype(np.uint8)
        picks, candidates = np.split(rng.permutation(80), [6])
        swaps = made(rows, clusterings, np.empty(0, dtype=np.int64), picks)
        sums, swap = [swaps._sum()], swaps._swap

        def note(place, row, score, swaps=swaps, swap=swap, sums=sums):
            has_swapped = swap(place, row, score)
            assert (swaps._sum() > sums[-1]) == has_swapped
            sums.append(swaps._sum())
            return has_swapped

        swaps._swap = note
        swaps.try_rows(torch.from_numpy(candidates))
        assert sums == sorted(sums)
