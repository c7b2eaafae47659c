"""K-means against its definition in plain numpy."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from skal._core import kmeans as core
from skal._core import seeding
from skal._core.blocks import Blocks
from skal._core.distances import half_sq_norms
from skal._core.seeding import kmeans_plus_plus

CPU = torch.device("cpu")


def brute_force_labels(X, centers):
    sq_dist = ((X[:, None, :].astype(np.float64) - centers[None].astype(np.float64)) ** 2).sum(axis=2)
    return sq_dist.argmin(axis=1), sq_dist.min(axis=1)


def one_pass(pool, centers):
    """Labels, squared distances and sums by cluster of one pass."""
    shared = centers, half_sq_norms(centers), pool.sum_steps()
    found = pool.map_reduce(core.lloyd_pass, core.merge_lloyd_passes, shared)
    return torch.cat(found.labels), torch.cat(found.sq_dist), found.clusters


def clusters_of(X, y):
    return np.stack([X[y == label].astype(np.float64).mean(axis=0) for label in np.unique(y)])


@pytest.mark.parametrize("k", [1, 2, 7, 1500])
def test_assignment_is_the_nearest_center(k, rng):
    X = rng.normal(size=(3000, 8)).astype(np.float32)
    centers = rng.normal(size=(k, 8)).astype(np.float32)
    result = core.partition(Blocks(X, CPU), torch.from_numpy(centers))
    labels, sq_dist = brute_force_labels(X, centers)
    np.testing.assert_array_equal(result.labels, labels)
    np.testing.assert_allclose(result.sq_dist, sq_dist, rtol=1e-5)
    assert result.inertia == pytest.approx(sq_dist.sum(), rel=1e-6)


def test_ties_go_to_the_lowest_center(rng):
    X = rng.integers(-3, 4, size=(500, 4)).astype(np.float32)
    centers = np.tile(rng.integers(-3, 4, size=(1500, 4)), (2, 1)).astype(np.float32)
    result = core.partition(Blocks(X, CPU), torch.from_numpy(centers))
    np.testing.assert_array_equal(result.labels, brute_force_labels(X, centers)[0])


def test_the_update_is_the_mean_of_each_cluster(rng):
    X = rng.normal(size=(5000, 8)).astype(np.float32)
    centers = X[:40].copy()
    labels, _, clusters = one_pass(Blocks(X, CPU), torch.from_numpy(centers))
    means = clusters.sums / clusters.counts[:, None]
    np.testing.assert_allclose(means, clusters_of(X, labels.numpy()), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(clusters.counts, np.bincount(labels, minlength=40))


def test_blocks_of_a_pass_add_up(rng):
    X = rng.normal(size=(4500, 8)).astype(np.float32)
    centers = torch.from_numpy(X[:10].copy())
    whole, parts = one_pass(Blocks(X, CPU), centers), one_pass(Blocks(X, CPU, block_rows=2048), centers)
    for of_whole, of_parts in zip(whole[:2], parts[:2], strict=True):
        np.testing.assert_array_equal(of_whole, of_parts)
    np.testing.assert_array_equal(whole[2].sums, parts[2].sums)
    np.testing.assert_array_equal(whole[2].counts, parts[2].counts)


def test_every_pass_over_blocks_is_the_pass_over_the_whole(rng):
    X = rng.normal(size=(4500, 8)).astype(np.float32)
    whole, parts = Blocks(X, CPU), Blocks(X, CPU, block_rows=2048)
    seeds = [kmeans_plus_plus(pool, 30, np.random.default_rng(0)) for pool in (whole, parts)]
    np.testing.assert_array_equal(*seeds)
    ends = [core.lloyd(pool, pool.take(seeds[0]), max_iter=20, max_sq_shift=0.0) for pool in (whole, parts)]
    np.testing.assert_array_equal(ends[0].partition.labels, ends[1].partition.labels)
    assert ends[0].partition.inertia == ends[1].partition.inertia


def test_every_iteration_lowers_the_inertia_and_the_end_is_a_fixed_point(rng):
    X = rng.normal(size=(3000, 8)).astype(np.float32)
    pool, inertias = Blocks(X, CPU), []
    result = core.lloyd(
        pool,
        pool.take(range(25)),
        max_iter=500,
        max_sq_shift=0.0,
        on_iteration=lambda _, inertia: inertias.append(inertia),
    )
    assert len(inertias) == result.n_iter < 500
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(inertias))
    np.testing.assert_allclose(result.centers, clusters_of(X, result.partition.labels.numpy()), atol=1e-5)
    assert result.partition.inertia == pytest.approx(brute_force_labels(X, result.centers.numpy())[1].sum(), rel=1e-5)


def test_an_empty_cluster_moves_to_the_farthest_row(rng):
    X = np.concatenate([rng.normal(size=(50, 2)), [[100.0, 100.0]]]).astype(np.float32)
    far_away = torch.tensor([[0.0, 0.0], [-1e4, -1e4]])
    result = core.lloyd(Blocks(X, CPU), far_away, max_iter=20, max_sq_shift=0.0)
    assert result.partition.labels[-1] == 1
    assert (result.partition.labels == 1).sum() == 1


def test_fewer_distinct_rows_than_clusters_ends(rng):
    X = rng.normal(size=(3, 4)).astype(np.float32)[rng.integers(3, size=200)]
    pool = Blocks(X, CPU)
    result = core.lloyd(pool, pool.take(kmeans_plus_plus(pool, 10, rng)), max_iter=50, max_sq_shift=0.0)
    assert result.n_iter <= 3
    assert result.partition.inertia == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("k", [1, 5, 200])
def test_kmeans_plus_plus_draws_distinct_rows(k, rng):
    X = rng.normal(size=(200, 3)).astype(np.float32)
    chosen = kmeans_plus_plus(Blocks(X, CPU), k, rng)
    assert len(np.unique(chosen)) == k
    duplicates = np.ones((200, 3), dtype=np.float32)
    assert len(np.unique(kmeans_plus_plus(Blocks(duplicates, CPU), k, rng))) == k


@pytest.mark.slow
def test_kmeans_plus_plus_draws_by_squared_distance():
    # From rows at 0, 1 and 3: P(second | first) is d² over the sum of d².
    X = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    expected = {(0, 1): 1 / 10, (0, 2): 9 / 10, (1, 0): 1 / 5, (1, 2): 4 / 5, (2, 0): 9 / 13, (2, 1): 4 / 13}
    rng = np.random.default_rng(0)
    drawn = [tuple(kmeans_plus_plus(Blocks(X, CPU), 2, rng).tolist()) for _ in range(2000)]
    for (first, second), probability in expected.items():
        assert drawn.count((first, second)) / 2000 == pytest.approx(probability / 3, abs=0.02)


@pytest.mark.slow
def test_rejection_keeps_the_distribution_when_candidates_come_in_batches(rng):
    # 40 rows on a line. After the first picks the batches hold several candidates drawn from stale distances:
    # the law of the next accepted row must still be today's squared distances.
    X = np.linspace(0, 1, 40, dtype=np.float32)[:, None] ** 2
    pool, chosen = seeding._RowSpace(Blocks(X, CPU)), [0, 39]
    sq_dist = ((X - X[chosen].T) ** 2).min(axis=1)
    stale = torch.from_numpy(sq_dist)
    counts = np.zeros(40)
    cumulative = stale.double().cumsum(dim=0)
    n_pairs = 0
    second_given_20 = np.zeros(40)
    for _ in range(10_000):
        accepted = seeding._accept_by_rejection(pool, stale, cumulative, float(cumulative[-1]), 2, 12, rng)
        counts[accepted[0]] += 1
        if accepted[0] == 28 and len(accepted) == 2:
            second_given_20[accepted[1]] += 1
            n_pairs += 1
    np.testing.assert_allclose(counts / 10_000, sq_dist / sq_dist.sum(), atol=0.012)
    today = np.minimum(sq_dist, ((X - X[28]) ** 2)[:, 0])
    np.testing.assert_allclose(second_given_20 / n_pairs, today / today.sum(), atol=0.06)


@pytest.mark.gpu
def test_the_same_partition_on_a_gpu(rng):
    X = rng.normal(size=(5000, 16)).astype(np.float32)
    cuda = torch.device("cuda")
    on_cpu, on_gpu = Blocks(X, CPU), Blocks(X, cuda)
    first = torch.from_numpy(X[:50].copy())
    expected = core.lloyd(on_cpu, first, max_iter=10, max_sq_shift=0.0)
    result = core.lloyd(on_gpu, first.to(cuda), max_iter=10, max_sq_shift=0.0)
    again = core.lloyd(on_gpu, first.to(cuda), max_iter=10, max_sq_shift=0.0)
    assert result.partition.inertia == pytest.approx(expected.partition.inertia, rel=1e-5)
    assert torch.equal(result.centers, again.centers)
