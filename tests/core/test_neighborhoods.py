"""Which centers the rows of which centers are compared with."""

import numpy as np
import pytest
import torch

from skal._core.blocks import Blocks, SomeRows
from skal._core.restricted import _neighborhoods as module
from skal._core.restricted._moves import look_up
from skal._core.restricted._neighborhoods import group_means, look_up_by_groups, make_neighborhoods


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


def rows_that_are_looked_up(rng, k, n=3000):
    """Rows, centers, neighborhoods, and some of the rows with arbitrary labels."""
    centers = modes(k)
    X = (centers[rng.integers(k, size=n)] + torch.from_numpy(rng.normal(size=(n, 12)))).float()
    row_idx = torch.from_numpy(np.flatnonzero(rng.random(n) < 0.4))
    labels = torch.from_numpy(rng.integers(k, size=len(row_idx)))
    return X, centers, make_neighborhoods(centers), SomeRows(row_idx, (labels,), n)


@pytest.mark.parametrize("n_searched", [1, 2, 24])
def test_rows_are_looked_up_in_their_own_group_and_the_nearest_others(n_searched, rng, monkeypatch):
    monkeypatch.setattr(module, "_GROUPS_LOOKED_UP", n_searched)
    X, centers, near, rows = rows_that_are_looked_up(rng, 1500)
    means = group_means(centers, near)
    (found,) = Blocks(X.numpy(), torch.device("cpu")).map_gather(look_up_by_groups, means, [rows])
    to_group = ((X[rows.row_idx, None] - means.group_centers) ** 2).sum(dim=2)
    home = near.group_of_center[rows.values[0]]
    to_group[torch.arange(len(rows)), home] = -1.0
    is_searched = torch.zeros_like(to_group, dtype=torch.bool).scatter_(
        1, to_group.argsort(dim=1)[:, :n_searched], True
    )
    assert (~is_searched).any()
    to_center = ((X[rows.row_idx, None] - centers) ** 2).sum(dim=2)
    to_center[~is_searched[:, near.group_of_center]] = torch.inf
    assert torch.equal(found, to_center.argmin(dim=1))


def test_what_is_looked_up_in_all_of_few_groups_is_the_nearest_of_all_centers(rng):
    X, centers, near, rows = rows_that_are_looked_up(rng, 600)
    assert 2 < len(near.candidates) <= 16
    means = group_means(centers, near)
    for options in ({}, {"tile_rows": 512}, {"tile_rows": 512, "block_rows": 1024}):
        pool = Blocks(X.numpy(), torch.device("cpu"), **options)
        (found,) = pool.map_gather(look_up_by_groups, means, [rows])
        (nearest,) = pool.map_gather(look_up, (centers, means.half_norms), [rows])
        assert torch.equal(found, nearest)


def test_no_row_is_told_to_go_to_an_empty_cluster(rng):
    X, centers, near, rows = rows_that_are_looked_up(rng, 600)
    half_norms = group_means(centers, near).half_norms
    is_empty = torch.arange(600) % 3 == 0
    means = group_means(centers, near, torch.where(is_empty, torch.inf, half_norms))
    (found,) = Blocks(X.numpy(), torch.device("cpu")).map_gather(look_up_by_groups, means, [rows])
    assert not is_empty[found].any()
