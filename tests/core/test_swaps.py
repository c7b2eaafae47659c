"""Swaps against their definition, and what they mend."""

import numpy as np
import pytest
import torch

from skal._core.blocks import Blocks
from skal._core.cluster_sums import ClusterSums
from skal._core.restricted._moves import sum_by_cluster
from skal._core.restricted._neighborhoods import Surroundings
from skal._core.restricted._swaps import (
    Merges,
    Splits,
    _draw_one_each,
    best_merges,
    best_splits,
    choose_swaps,
    swap_targets,
)

CPU = torch.device("cpu")


@pytest.fixture
def clustering(rng):
    """120 rows in 3 dimensions, in 8 clusters of which the last is empty."""
    X = rng.normal(size=(120, 3)).astype(np.float32)
    labels = torch.from_numpy(rng.integers(7, size=120))
    pool = Blocks(X, CPU)
    clusters = pool.map_reduce(sum_by_cluster, ClusterSums.plus, (8, pool.sum_steps()), [labels])
    return pool, labels, clusters, clusters.means(torch.zeros(8, 3))


def inertia(X, labels):
    groups = (X[labels == label].astype(np.float64) for label in np.unique(labels))
    return sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups)


def test_a_split_gains_what_it_says(clustering, rng):
    pool, labels, clusters, centers = clustering
    X, before = pool.whole().numpy(), inertia(pool.whole().numpy(), labels.numpy())
    splits = best_splits(pool, labels, clusters, centers, rng)
    for cluster in range(7):
        halved = labels.numpy().copy()
        halved[(halved == cluster) & splits.is_second.numpy()] = 100
        assert float(splits.gain[cluster]) == pytest.approx(before - inertia(X, halved), rel=1e-4)
        assert float(splits.gain[cluster]) > 0
    assert float(splits.gain[7]) == 0


def test_the_cheapest_merge_costs_what_it_says(clustering):
    pool, labels, clusters, centers = clustering
    X, before = pool.whole().numpy(), inertia(pool.whole().numpy(), labels.numpy())
    merges = best_merges(clusters, centers, Surroundings(centers).near)
    for cluster in range(7):
        rises = np.full(8, np.inf)
        for other in set(range(7)) - {cluster}:
            merged = np.where(labels.numpy() == cluster, other, labels.numpy())
            rises[other] = inertia(X, merged) - before
        assert float(merges.cost[cluster]) == pytest.approx(rises.min(), rel=1e-4, abs=1e-9)
        assert int(merges.partner[cluster]) == int(rises.argmin())
    assert (float(merges.cost[7]), int(merges.partner[7])) == (0.0, 7)  # the empty cluster is free


def test_a_cluster_has_no_partner_where_all_others_are_empty(rng):
    pool, labels = Blocks(rng.normal(size=(20, 3)).astype(np.float32), CPU), torch.full((20,), 2)
    clusters = pool.map_reduce(sum_by_cluster, ClusterSums.plus, (4, pool.sum_steps()), [labels])
    merges = best_merges(clusters, clusters.means(torch.zeros(4, 3)), Surroundings(torch.rand(4, 3)).near)
    assert merges.cost.tolist() == [0.0, 0.0, np.inf, 0.0]


def test_swaps_touch_each_cluster_once_and_gain_more_than_they_cost():
    gain = torch.tensor([9.0, 5.0, 4.0, 0.1, 0.0, 0.0, 0.0], dtype=torch.float64)
    cost = torch.tensor([8.0, 8.0, 8.0, 1.0, 1.5, 4.9, 5.0], dtype=torch.float64)
    partner = torch.tensor([1, 0, 0, 4, 3, 6, 5])

    def swaps():
        return choose_swaps(Splits(gain, torch.zeros(1)), Merges(cost, partner))

    assert swaps() == [(3, 4, 0)]  # 5 does not gain a twentieth more than 4.9 costs
    cost[5] = 4.0
    assert swaps() == [(3, 4, 0), (5, 6, 1)]
    partner[5] = 1
    assert swaps() == [(3, 4, 0)]  # a cluster is not split and added to at once
    cost[4], partner[4] = 0.0, 4
    assert swaps() == [(4, 4, 0)]


def test_gains_and_costs_of_swaps_add_up(clustering, rng):
    pool, labels, clusters, centers = clustering
    X = pool.whole().numpy()
    splits = best_splits(pool, labels, clusters, centers, rng)
    after = swap_targets(labels, splits.is_second, [(7, 7, 0), (3, 5, 2)], 8).numpy()
    merged = inertia(X, np.where(labels.numpy() == 3, 5, labels.numpy())) - inertia(X, labels.numpy())
    fall = inertia(X, labels.numpy()) - inertia(X, after)
    assert fall == pytest.approx(float(splits.gain[0] + splits.gain[2]) - merged, rel=1e-4)
    assert set(after) == set(range(8))


def test_no_swap_where_nothing_gains(rng):
    X = np.repeat(np.eye(5, dtype=np.float32), 20, axis=0)
    labels = torch.arange(5).repeat_interleave(20)
    pool = Blocks(X, CPU)
    clusters = pool.map_reduce(sum_by_cluster, ClusterSums.plus, (5, pool.sum_steps()), [labels])
    centers = clusters.means(torch.zeros(5, 5))
    splits = best_splits(pool, labels, clusters, centers, rng)
    assert choose_swaps(splits, best_merges(clusters, centers, Surroundings(centers).near)) == []


def test_second_centers_are_drawn_from_their_clusters_by_squared_distance(rng):
    n_clusters = 4000
    labels = torch.arange(2 * n_clusters) % n_clusters
    sq_dist = torch.where(torch.arange(2 * n_clusters) < n_clusters, 1.0, 3.0)
    sq_dist[labels == 7] = 0.0  # copies of their center: any of them
    order = torch.from_numpy(rng.permutation(2 * n_clusters))
    drawn, is_filled = _draw_one_each(labels[order], sq_dist[order], n_clusters + 1, rng)
    assert is_filled.tolist() == [True] * n_clusters + [False]
    assert torch.equal(labels[order][drawn[:-1]], torch.arange(n_clusters))
    share_of_far = float((sq_dist[order][drawn[:-1]] == 3.0).double().mean())
    assert share_of_far == pytest.approx(0.75, abs=5 * (0.75 * 0.25 / n_clusters) ** 0.5)
