"""The restricted algorithm against Lloyd's and against its definition."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from skal._core import restricted as core
from skal._core.blocks import Blocks
from skal._core.kmeans import lloyd
from skal._core.restricted import _descent as descent_module
from skal._core.restricted import _run as run
from skal._core.restricted._descent import Descent, touch_each_cluster_once
from skal._core.restricted._moves import MoveCosts
from skal._core.restricted._neighborhoods import Surroundings
from skal._core.seeding import kmeans_plus_plus

CPU = torch.device("cpu")


def groups(rng, n=6000, d=48, n_groups=60, spread=0.7):
    modes = rng.normal(size=(n_groups, d))
    return (modes[rng.integers(n_groups, size=n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


def cluster(X, k, seed=0, max_iter=None, **options):
    max_iter = core.enough_passes(len(X), k) if max_iter is None else max_iter
    pool = Blocks(X, CPU, tile_rows=2048, normalize=True)
    sketch = core.sketch_pool(pool)
    rng = np.random.default_rng(seed)
    return core.restricted_kmeans(pool, sketch, k, rng, max_iter=max_iter, min_improvement=1e-4, **options)


@pytest.mark.parametrize(("rows_a_cluster", "n_passes"), [(7, 6), (25, 6), (50, 8), (500, 14), (5000, 20)])
def test_large_clusters_get_more_passes(rows_a_cluster, n_passes):
    assert core.enough_passes(100 * rows_a_cluster, 100) == n_passes


@pytest.mark.parametrize(("k", "n_starts"), [(64, 2), (65, 1), (100, 1), (101, 0)])
def test_how_many_starts_are_tried(k, n_starts, rng, monkeypatch):
    sketch = core.sketch_pool(Blocks(rng.normal(size=(10_000, 8)).astype(np.float32), CPU))
    sizes = []

    def counted(pool, *arguments, **options):
        sizes.append(pool.n_rows)
        return lloyd(pool, *arguments, **options)

    monkeypatch.setattr(run, "lloyd", counted)
    assert run.first_centers(sketch.coordinates, sketch.axes, k, "k-means++", rng).shape == (k, 8)
    assert sizes == [100 * k] * n_starts


def test_a_round_of_swaps_has_to_gain_more_where_clusters_are_small(rng, monkeypatch):
    pool = Blocks(
        (np.repeat(10 * rng.normal(size=(50, 8)), 40, 0) + rng.normal(size=(2000, 8))).astype(np.float32), CPU
    )
    centers = pool.take(np.arange(50))
    labels = lloyd(pool, centers, max_iter=1, max_sq_shift=0.0).partition.labels
    n_rounds = []
    for rows_of_a_small_cluster in (10, 1e6):
        monkeypatch.setattr(descent_module, "_ROWS_OF_A_SMALL_CLUSTER", rows_of_a_small_cluster)
        descent = Descent(pool, labels, 50, Surroundings(centers))
        descent.swap(np.random.default_rng(0))
        n_rounds.append(descent.n_rounds)
    assert n_rounds[0] > n_rounds[1] == 1


@pytest.mark.parametrize("by_groups", [False, True])
def test_in_which_passes_the_costliest_rows_are_looked_up(by_groups, rng, monkeypatch):
    monkeypatch.setattr(descent_module, "pays_to_look_up_by_groups", lambda *_: by_groups)
    passes, look_up = [], Descent._look_up_costliest
    monkeypatch.setattr(
        Descent, "_look_up_costliest", lambda self, cost: passes.append(self.n_passes) or look_up(self, cost)
    )
    cluster(groups(rng, n=2300), 300)
    assert passes == [0] * (2 if by_groups else 3)  # the first of each phase, or of the last two


@pytest.mark.parametrize("k", [50, 300, 1000])
@pytest.mark.parametrize("spread", [0.1, 0.7, 3.0])
@pytest.mark.slow
def test_inertia_is_as_low_as_lloyds(k, spread, rng):
    X = groups(rng, n=2300, n_groups=30, spread=spread)  # of more than a tile
    pool = Blocks(X, CPU, normalize=True)
    ours, lloyds = [], []
    for seed in range(3):
        ours.append(cluster(X, k, seed).partition.inertia)
        first = pool.take(kmeans_plus_plus(pool, k, np.random.default_rng(seed)))
        lloyds.append(lloyd(pool, first, max_iter=100, max_sq_shift=0.0).partition.inertia)
    assert np.median(ours) <= 1.01 * np.median(lloyds)


@pytest.mark.slow
@pytest.mark.parametrize("k", [100, 1000])
@pytest.mark.parametrize("d", [8, 16, 64])
def test_inertia_is_as_low_as_lloyds_in_few_dimensions_too(d, k, rng):
    X = rng.normal(size=(6000, d)).astype(np.float32)
    X[0] *= 1e4  # an outlier must not decide what counts as rounding for the others
    pool = Blocks(X, CPU, tile_rows=2048)
    ours = core.restricted_kmeans(
        pool,
        core.sketch_pool(pool),
        k,
        np.random.default_rng(0),
        max_iter=core.enough_passes(6000, k),
        min_improvement=1e-4,
    )
    first = pool.take(kmeans_plus_plus(pool, k, np.random.default_rng(0)))
    lloyds = lloyd(pool, first, max_iter=20, max_sq_shift=0.0)  # as many passes as the sampler gives it
    assert ours.partition.inertia <= 1.01 * lloyds.partition.inertia


def test_rows_find_their_center_where_few_directions_tell_little(rng):
    X = groups(rng, n=12_000, d=256, n_groups=600, spread=1.2)
    pool = Blocks(X, CPU, normalize=True)
    first = pool.take(rng.choice(len(X), size=600, replace=False))
    lloyds = lloyd(pool, first, max_iter=5, max_sq_shift=0.0)
    assert cluster(X, 600).partition.inertia <= 1.02 * lloyds.partition.inertia


@pytest.mark.parametrize("k", [40, 700])
def test_every_pass_lowers_the_inertia_of_its_space_or_is_the_last_of_its_phase(k, rng):
    X, seen = groups(rng), []
    result = cluster(X, k, max_iter=20, on_iteration=lambda n, inertia: seen.append(inertia))
    assert len(seen) == result.n_iter <= 20
    drops = [before - after for before, after in pairwise(seen)]
    rises = [position for position, drop in enumerate(drops) if drop < 0]
    assert len(rises) <= 1  # only where all dimensions take over from the sketch


def test_the_result_is_what_it_says(rng):
    X = groups(rng)
    result = cluster(X, 300)
    unit = X.astype(np.float64) / np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    labels = result.partition.labels.numpy()
    for label in np.unique(labels):
        np.testing.assert_allclose(result.centers[label], unit[labels == label].mean(axis=0), atol=1e-6)
    sq_dist = ((unit - result.centers.numpy()[labels]) ** 2).sum(axis=1)
    np.testing.assert_allclose(result.partition.sq_dist, sq_dist, rtol=1e-4)
    assert result.partition.inertia == pytest.approx(sq_dist.sum(), rel=1e-5)


def descend(pool, labels, k=20):
    means = torch.stack([pool.take(np.flatnonzero(labels == c)).mean(dim=0) for c in range(k)])
    return Descent(pool, labels, k, Surroundings(means))


def moves_of(descent):
    """Moves that gain, and what every row gains and costs then."""
    costs = MoveCosts.of(descent.centers, descent.clusters, descent.surroundings.near, hartigan=True)
    return descent._find_moves(costs), descent.could_gain.clone(), descent.cost.clone()


def test_rows_that_could_not_gain_are_left_alone(rng):
    labels = torch.from_numpy(rng.integers(20, size=400))
    descent = descend(Blocks(groups(rng, n=400, d=12), CPU), labels)
    of_all, gain_of_all, cost_of_all = moves_of(descent)
    is_left = torch.from_numpy(rng.random(400) < 0.6)
    descent.could_gain[:] = torch.inf
    descent.could_gain[is_left], descent.cost[is_left] = -3.0, 7.0
    of_some, gain, cost = moves_of(descent)
    assert (gain[is_left] == -3.0).all()
    assert (cost[is_left] == 7.0).all()
    a_step = {"rtol": 2.0**-3, "atol": 1e-5}  # numbers that round differently in other products
    torch.testing.assert_close(gain[~is_left], gain_of_all[~is_left], **a_step)
    torch.testing.assert_close(cost[~is_left], cost_of_all[~is_left], **a_step)
    wanted = of_all.at(~is_left[of_all.row_idx])
    for found, expected in ((of_some.row_idx, wanted.row_idx), (of_some.goal, wanted.goal)):
        assert torch.equal(found, expected)
    assert torch.equal(of_some.is_nearer, wanted.is_nearer)
    assert 50 < len(of_some.row_idx) < len(of_all.row_idx)


def test_rows_in_several_tiles_and_blocks_find_the_same_moves(rng):
    X, labels = groups(rng, n=7000, d=12), torch.from_numpy(rng.integers(200, size=7000))
    found = []
    for options in ({}, {"tile_rows": 2048}, {"tile_rows": 2048, "block_rows": 4096}):
        descent = descend(Blocks(X, CPU, **options), labels, 200)
        descent.could_gain[torch.arange(7000) % 3 == 0] = -1.0
        descent.could_gain[2048:4096] = -1.0
        found.append(moves_of(descent)[0])
    assert torch.equal(found[1].row_idx, found[2].row_idx)
    assert torch.equal(found[1].goal, found[2].goal)
    assert torch.equal(found[1].gain, found[2].gain)
    assert len(found[0].row_idx) == pytest.approx(len(found[1].row_idx), rel=1e-3)
    assert not ((found[2].row_idx >= 2048) & (found[2].row_idx < 4096)).any()


@pytest.mark.slow
@pytest.mark.parametrize("k", [60, 200])
def test_leaving_rows_alone_costs_next_to_nothing(k, rng, monkeypatch):
    X = groups(rng, spread=3.0)
    of_some, of_all, n_left_alone = [], [], []
    find_moves = Descent._find_moves

    def count_and_find(descent, costs):
        n_left_alone.append(int((descent.could_gain <= 0).sum()))
        return find_moves(descent, costs)

    monkeypatch.setattr(Descent, "_find_moves", count_and_find)
    for inertias, share in ((of_some, descent_module._SHARE_OF_SHIFT), (of_all, 1e9)):
        monkeypatch.setattr(descent_module, "_SHARE_OF_SHIFT", share)
        monkeypatch.setattr(descent_module, "_SHARE_OF_COST", share)
        for seed in range(3):
            pool = Blocks(X, CPU, tile_rows=8192)
            result = core.restricted_kmeans(
                pool, core.sketch_pool(pool), k, np.random.default_rng(seed), max_iter=20, min_improvement=1e-4
            )
            inertias.append(result.partition.inertia)
    assert np.mean(of_some) <= 1.001 * np.mean(of_all)
    of_first, of_second = np.array_split(n_left_alone, 2)
    assert of_first.mean() > 500
    assert of_second.mean() < of_first.mean() / 5


@pytest.mark.parametrize(("k", "hartigan"), [(20, False), (20, True), (300, False), (300, True)])
def test_the_best_move_of_each_row_is_that_of_a_loop_over_its_candidates(k, hartigan, rng):
    pool = Blocks(rng.normal(size=(3000, 8)).astype(np.float32), CPU)
    centers = pool.take(rng.choice(3000, k, replace=False))
    descent = Descent(
        pool, lloyd(pool, centers, max_iter=1, max_sq_shift=0.0).partition.labels, k, Surroundings(centers)
    )
    costs = MoveCosts.of(descent.centers, descent.clusters, descent.surroundings.near, hartigan)
    moves = descent._find_moves(costs)
    rows, means, counts = (
        pool.whole().double().numpy(),
        descent.centers.double().numpy(),
        descent.clusters.counts.numpy(),
    )
    near, expected = descent.surroundings.near, {}
    for row, own in enumerate(descent.labels.tolist()):
        candidates = near.candidates[near.group_of_center[own]].numpy()
        half_sq_dist = 0.5 * ((rows[row] - means[candidates]) ** 2).sum(axis=1)
        n = counts[candidates]
        at_home = half_sq_dist * (n / np.maximum(n - 1, 1) * (n > 1) if hartigan else 1.0)
        elsewhere = np.where((candidates == own) | (n == 0), np.inf, half_sq_dist * (n / (n + 1) if hartigan else 1.0))
        gain = at_home[candidates == own][0] - elsewhere.min()
        is_nearer = half_sq_dist[elsewhere.argmin()] < half_sq_dist[candidates == own][0]
        if gain > 1e-4:
            expected[row] = candidates[elsewhere.argmin()], gain, is_nearer
    found = {
        row: move
        for row, *move in zip(*(each.tolist() for each in moves), strict=True)
        if row in expected or move[1] > 2e-4
    }
    assert len(expected) > 50
    assert list(found) == sorted(expected)
    for row, (goal, gain, is_nearer) in found.items():
        assert (goal, is_nearer) == (expected[row][0], expected[row][2])
        assert gain == pytest.approx(expected[row][1], rel=1e-3, abs=1e-4)


def test_the_gain_of_a_move_is_half_what_the_inertia_falls(rng):
    X = groups(rng, n=400, d=12)
    pool = Blocks(X, CPU)
    labels = torch.from_numpy(rng.integers(20, size=400))
    descent = descend(pool, labels)
    moves, gain, _ = moves_of(descent)
    target = dict(zip(moves.row_idx.tolist(), moves.goal.tolist(), strict=True))

    def inertia(labels):
        return sum(
            ((X[labels == c] - X[labels == c].mean(axis=0, dtype=np.float64)) ** 2).sum() for c in np.unique(labels)
        )

    before = inertia(labels.numpy())
    assert descent.inertia == pytest.approx(before, rel=1e-6)
    for row in range(0, 400, 7):
        falls = []
        for other in range(20):
            moved = labels.numpy().copy()
            moved[row] = other
            falls.append(before - inertia(moved))
        falls[labels[row]] = -np.inf
        assert target.get(row, int(np.argmax(falls))) == int(np.argmax(falls))
        assert (row in target) == bool(gain[row] > 0)
        of_estimate = 1e-3 if row in target else 2.0**-4
        assert 2 * float(gain[row]) == pytest.approx(max(falls), rel=of_estimate, abs=1e-3)


def test_moves_that_would_raise_the_inertia_are_not_made(rng):
    X = groups(rng, n=400, d=12)
    labels = torch.from_numpy(rng.integers(20, size=400))
    descent = descend(Blocks(X, CPU), labels)
    for _ in range(3):
        descent.run(4, True, 0.0, 0, lambda n, inertia: None)
    settled, before = descent.labels.clone(), descent.inertia
    elsewhere = (settled + 1) % 20
    assert not descent._try_move(torch.arange(0, 400, 2), elsewhere[::2])
    assert torch.equal(descent.labels, settled)
    assert descent.inertia == before


def test_tiles_of_the_sketch_change_nothing(monkeypatch, rng):
    X = groups(rng)
    whole = cluster(X, 200).partition.labels
    monkeypatch.setattr(run, "_TILE_ELEMENTS", 1 << 12)
    tiled = cluster(X, 200).partition
    assert bool((whole == tiled.labels).float().mean() > 0.99)


def test_moves_that_touch_each_cluster_once(rng):
    source, goal = (torch.from_numpy(rng.integers(15, size=60)) for _ in range(2))
    chosen = touch_each_cluster_once(source, goal, 15)
    touched = [*source[chosen].tolist(), *goal[chosen & (source != goal)].tolist()]
    assert len(touched) == len(set(touched))
    assert bool(chosen[0])


def test_clusters_that_start_empty_are_filled(rng):
    X = groups(rng, n=3000)
    first = X[:150] / np.linalg.norm(X[:150], axis=1, keepdims=True)
    first[100:] = first[0]
    labels = cluster(X, 150, init=torch.from_numpy(first)).partition.labels
    assert len(labels.unique()) == 150


def test_centers_of_clusters_that_stay_empty_are_among_the_rows(rng):
    X = rng.normal(size=(7, 20))[rng.integers(7, size=900)].astype(np.float32)
    centers = cluster(X, 300).centers.numpy()
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert np.abs(centers[:, None] - unit[None, :200]).max(axis=2).min(axis=1).max() < 1e-5


@pytest.mark.parametrize("kind", ["all equal", "seven distinct", "zero rows", "one column"])
@pytest.mark.parametrize("k", [2, 70, 400])
def test_pools_with_few_distinct_rows(kind, k, rng):
    X = rng.normal(size=(400, 8)).astype(np.float32)
    X = {
        "all equal": np.tile(X[:1], (400, 1)),
        "seven distinct": X[rng.integers(7, size=400)],
        "zero rows": X * (np.arange(400) % 3 > 0)[:, None].astype(np.float32),
        "one column": X[:, :1],
    }[kind]
    result = cluster(X, k)
    assert result.partition.labels.shape == (400,)
    assert bool(torch.isfinite(result.centers).all())
    if kind == "all equal" or (kind == "seven distinct" and k >= 70):
        assert result.partition.inertia == pytest.approx(0, abs=1e-6)


def test_a_random_start_is_rows_of_the_pool_and_another_than_k_means_plus_plus(rng):
    X = groups(rng, n=500)
    pool = Blocks(X, CPU, normalize=True)
    sketch = core.sketch_pool(pool)
    small = sketch.coordinates
    drawn = run.first_centers(small, sketch.axes, 100, "random", np.random.default_rng(0))
    rows = np.random.default_rng(0).choice(500, size=100, replace=False)
    assert torch.equal(drawn, small.take(rows))
    spread = run.first_centers(small, sketch.axes, 100, "k-means++", np.random.default_rng(0))
    assert not torch.equal(drawn, spread)


def test_given_centers_are_where_it_starts(rng):
    X = groups(rng, n_groups=64, spread=0.01)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    found = cluster(X, 64, max_iter=30).centers
    again = cluster(X, 64, seed=1, max_iter=5, init=found)
    assert again.partition.inertia <= 1.001 * ((unit[:, None] - found.numpy()[None]) ** 2).sum(axis=2).min(axis=1).sum()


@pytest.mark.gpu
def test_the_same_inertia_on_a_gpu_and_twice_the_same_bits(rng):
    X = groups(rng)
    cuda = torch.device("cuda")
    pool = Blocks(X, cuda, tile_rows=2048, normalize=True)
    sketch = core.sketch_pool(pool)
    runs = [
        core.restricted_kmeans(pool, sketch, 300, np.random.default_rng(0), max_iter=20, min_improvement=1e-4)
        for _ in range(2)
    ]
    assert torch.equal(runs[0].centers, runs[1].centers)
    assert runs[0].partition.inertia == pytest.approx(cluster(X, 300).partition.inertia, rel=0.01)
