"""Which centers the rows of which centers are compared with."""

import numpy as np
import pytest
import torch

from skal._core.restricted._neighborhoods import make_neighborhoods


def modes(k, n_features=12, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(k, n_features)) + 6 * rng.normal(size=(8, n_features))[rng.integers(8, size=k)]
    return torch.from_numpy(centers.astype(np.float32))


@pytest.mark.parametrize("k", [2, 100, 144, 145, 400, 1500])
def test_each_group_is_compared_with_its_own_centers_and_those_around(k):
    centers = modes(k)
    near = make_neighborhoods(centers)
    for center in range(k):
        candidates = near.candidates[near.group_of_center[center]]
        assert candidates[near.place_of_center[center]] == center
        assert (candidates.diff() > 0).all()
    distances = torch.cdist(centers, centers)
    nearest = distances.argsort(dim=1)[:, 1:6]
    is_compared = torch.stack([torch.isin(nearest[c], near.candidates[near.group_of_center[c]]) for c in range(k)])
    assert is_compared.float().mean() > 0.95


def test_columns_of_products_come_in_steps_of_sixteen():
    near = make_neighborhoods(modes(1500))
    sizes = [len(candidates) for candidates in near.candidates]
    assert all(size % 16 == 0 for size in sizes)
    assert max(sizes) < 1500


def test_copies_of_centers_are_grouped_too():
    centers = modes(4).repeat(100, 1)
    near = make_neighborhoods(centers)
    places = near.place_of_center
    found = [near.candidates[group][place] for group, place in zip(near.group_of_center, places, strict=True)]
    np.testing.assert_array_equal(found, np.arange(400))


@pytest.mark.parametrize("n_moved", [0, 1, 400])
def test_centers_that_move_are_compared_with_those_around_their_hosts(n_moved, rng):
    k = 1500
    near = make_neighborhoods(modes(k))
    moved, hosts = (torch.from_numpy(some) for some in rng.permutation(k)[: 2 * n_moved].reshape(2, n_moved))
    after = near.after(moved, hosts)
    stayed = torch.from_numpy(np.setdiff1d(np.arange(k), moved))
    for center in range(k):
        candidates = after.candidates[after.group_of_center[center]]
        assert candidates[after.place_of_center[center]] == center
        assert (candidates.diff() > 0).all()
        is_there = torch.isin(torch.arange(k), candidates)
        assert torch.equal(is_there[moved], is_there[hosts])
    for center in stayed.tolist():
        before, now = (each.candidates[each.group_of_center[center]] for each in (near, after))
        assert torch.equal(now[torch.isin(now, stayed)], before[torch.isin(before, stayed)])


def test_a_group_that_all_its_centers_leave_is_no_group_any_more():
    near = make_neighborhoods(modes(400))
    moved = (near.group_of_center == 1).nonzero().flatten()
    hosts = (near.group_of_center != 1).nonzero().flatten()[: len(moved)]
    after = near.after(moved, hosts)
    assert len(after.candidates) == len(near.candidates) - 1
    assert torch.equal(after.group_of_center.unique(), torch.arange(len(after.candidates)))
    assert torch.equal(after.group_of_center[moved], after.group_of_center[hosts])
