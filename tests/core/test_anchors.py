"""Anchored clusters against their definition in plain numpy."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from skal._core import anchors as core
from skal._core.blocks import Blocks
from skal._core.kmeans import lloyd
from skal._core.restricted import enough_passes, restricted_kmeans, sketch_pool
from skal._core.restricted._descent import Descent
from skal._core.restricted._moves import MoveCosts
from skal._core.restricted._neighborhoods import Surroundings
from skal._core.restricted._swaps import best_merges
from skal._core.seeding import greedy_kmeans_plus_plus, kmeans_plus_plus

CPU = torch.device("cpu")
N_CLUSTERS, N_ANCHORS = 30, 12


@pytest.fixture
def X(rng):
    modes = rng.normal(size=(25, 16))
    return (modes[rng.integers(25, size=2000)] + 0.7 * rng.normal(size=(2000, 16))).astype(np.float32)


def cost_of(X, labels, anchors):
    """¾ of the inertia of an anchored cluster about its mean and ¼ about its anchor; of any other, its inertia."""
    X, total = X.astype(np.float64), 0.0
    for cluster in np.unique(labels):
        rows = X[labels == cluster]
        about_mean = ((rows - rows.mean(axis=0)) ** 2).sum()
        if cluster < len(anchors):
            total += 0.75 * about_mean + 0.25 * ((rows - anchors[cluster].astype(np.float64)) ** 2).sum()
        else:
            total += about_mean
    return total


def descent_of(X, labels, pool=None):
    pool = pool or Blocks(X, CPU, tile_rows=2048)
    surroundings = Surroundings(torch.from_numpy(X[:N_CLUSTERS].copy()))
    return Descent(
        pool, torch.from_numpy(labels), N_CLUSTERS, surroundings, anchors=torch.from_numpy(X[:N_ANCHORS].copy())
    )


def uneven_labels(rng, n):
    """Clusters of 300 rows down to a few: a center hardly follows, or much."""
    shares = 0.85 ** np.arange(N_CLUSTERS)[rng.permutation(N_CLUSTERS)]
    return rng.choice(N_CLUSTERS, size=n, p=shares / shares.sum())


def test_the_cost_is_three_quarters_about_the_mean_and_one_about_the_anchor(X, rng):
    labels = rng.integers(N_CLUSTERS, size=len(X))
    labels[labels == 3] = 4  # an anchored cluster may be empty
    descent = descent_of(X, labels)
    assert descent.inertia == pytest.approx(cost_of(X, labels, X[:N_ANCHORS]), rel=1e-6)
    np.testing.assert_allclose(descent.centers[3], X[3], rtol=1e-6)
    mean_of_5, mean_of_20 = X[labels == 5].mean(axis=0), X[labels == 20].mean(axis=0)
    np.testing.assert_allclose(descent.centers[5], 0.75 * mean_of_5 + 0.25 * X[5], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(descent.centers[20], mean_of_20, rtol=1e-4, atol=1e-6)


def test_what_a_row_is_assigned_by_adds_up_to_the_cost(X, rng):
    labels = rng.integers(N_CLUSTERS, size=len(X))
    descent = descent_of(X, labels)
    surcharges = core.surcharges(descent.centers, descent.clusters.anchors).numpy()
    sq_dist = ((X - descent.centers.numpy()[labels]) ** 2).sum(axis=1)
    assert (sq_dist + surcharges[labels]).sum() == pytest.approx(cost_of(X, labels, X[:N_ANCHORS]), rel=1e-5)
    assert (surcharges[:N_ANCHORS] > 0).all()
    assert (surcharges[N_ANCHORS:] == 0).all()


def test_lloyds_iterations_lower_the_cost(X):
    costs = []
    centers, anchors = torch.from_numpy(X[:N_CLUSTERS].copy()), torch.from_numpy(X[:N_ANCHORS].copy())
    result = lloyd(
        Blocks(X, CPU), centers, max_iter=15, max_sq_shift=0.0, anchors=anchors,
        on_iteration=lambda n_passes, cost: costs.append(cost),
    )  # fmt: skip
    assert len(costs) > 5
    assert all(later <= earlier * (1 + 1e-6) for earlier, later in pairwise(costs))
    nearest = ((X[:, None].astype(np.float64) - result.centers.numpy()) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(result.partition.labels, nearest)


def test_an_empty_anchored_cluster_stays_at_its_anchor(X):
    far = np.full((1, 16), 50.0, dtype=np.float32)
    centers = torch.from_numpy(np.concatenate([far, X[:5]]))
    result = lloyd(Blocks(X, CPU), centers, max_iter=5, max_sq_shift=0.0, anchors=torch.from_numpy(far))
    np.testing.assert_allclose(result.centers[:1], far)


def test_no_row_is_sent_to_an_anchored_cluster_only_because_it_is_empty(X, rng):
    labels = rng.integers(N_CLUSTERS, size=len(X))
    labels[(labels == 3) | (labels == 20)] = 4
    descent = descent_of(X, labels)
    filled = descent._fill_empty(torch.ones(len(X)))
    assert len(filled) == 1
    assert descent.labels[filled].tolist() == [20]


@pytest.mark.parametrize("hartigan", [False, True])
def test_a_move_gains_at_least_what_is_promised(hartigan, X, rng):
    labels = uneven_labels(rng, len(X))
    descent = descent_of(X, labels)
    found = descent._find_moves(MoveCosts.of(descent.centers, descent.clusters, descent.surroundings.near, hartigan))
    target, gain = labels.copy(), descent.could_gain.numpy()
    target[found.row_idx] = found.goal
    before = cost_of(X, labels, X[:N_ANCHORS])
    into_anchored = target < N_ANCHORS
    out_of_anchored = (labels < N_ANCHORS) & ~into_anchored
    for chosen in (into_anchored, out_of_anchored, ~into_anchored & ~out_of_anchored):
        rows = np.flatnonzero(chosen)
        assert len(rows) > 20
        for row in rows[np.argsort(-gain[rows])][:40]:
            moved = labels.copy()
            moved[row] = target[row]
            assert before - cost_of(X, moved, X[:N_ANCHORS]) >= 2 * gain[row] - 1e-3


def test_an_anchored_cluster_is_never_freed_and_a_merge_costs_at_most_what_is_said(X, rng):
    labels = uneven_labels(rng, len(X))
    labels[labels == 3] = 4
    descent = descent_of(X, labels)
    merges = best_merges(descent.clusters, descent.centers, descent.surroundings.near)
    assert torch.isinf(merges.cost[:N_ANCHORS]).all()
    before = cost_of(X, labels, X[:N_ANCHORS])
    for freed in range(N_ANCHORS, N_CLUSTERS):
        merged = np.where(labels == freed, int(merges.partner[freed]), labels)
        assert cost_of(X, merged, X[:N_ANCHORS]) - before <= float(merges.cost[freed]) * (1 + 1e-5)


def test_the_restricted_algorithm_ends_at_least_as_low_as_lloyds(X):
    pool, anchors = Blocks(X, CPU, tile_rows=2048), torch.from_numpy(X[:N_ANCHORS].copy())
    ours, lloyds = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        free = pool.take(kmeans_plus_plus(pool, N_CLUSTERS - N_ANCHORS, rng, anchors))
        start = torch.cat([anchors, free])
        passes = []
        found = restricted_kmeans(
            pool, sketch_pool(pool), N_CLUSTERS, rng, init=start, max_iter=enough_passes(len(X), N_CLUSTERS),
            min_improvement=1e-4, anchors=anchors, on_iteration=lambda n_passes, cost, to=passes: to.append(cost),
        )  # fmt: skip
        ours.append(cost_of(X, found.partition.labels.numpy(), X[:N_ANCHORS]))
        assert passes[-1] == pytest.approx(ours[-1], rel=1e-5)
        passes = []
        lloyd(
            pool, start, max_iter=100, max_sq_shift=0.0, anchors=anchors,
            on_iteration=lambda n_passes, cost, to=passes: to.append(cost),
        )  # fmt: skip
        lloyds.append(passes[-1])
    assert np.median(ours) <= 1.005 * np.median(lloyds)


def test_each_greedy_seed_leaves_less_than_one_draw(X):
    pool, given = Blocks(X, CPU), torch.from_numpy(X[:N_ANCHORS].copy())

    def left(seeds):
        centers = np.concatenate([X[:N_ANCHORS], X[seeds]]).astype(np.float64)
        return ((X[:, None].astype(np.float64) - centers) ** 2).sum(axis=2).min(axis=1).sum()

    greedy = [left(greedy_kmeans_plus_plus(pool, 15, np.random.default_rng(seed), given)) for seed in range(8)]
    single = [left(kmeans_plus_plus(pool, 15, np.random.default_rng(seed), given)) for seed in range(8)]
    assert max(greedy) < np.median(single)


def test_greedy_seeds_are_distinct_and_not_copies_of_the_given_while_others_are_left():
    X = np.repeat(np.eye(6, dtype=np.float32), 4, axis=0)
    seeds = greedy_kmeans_plus_plus(Blocks(X, CPU), 8, np.random.default_rng(0), torch.from_numpy(X[[0, 4]]))
    assert len(set(seeds)) == 8
    assert {seed // 4 for seed in seeds[:4]} == {2, 3, 4, 5}
