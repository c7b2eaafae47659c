"""Coverage along the neighbour graph, against dense numpy."""

import numpy as np
import pytest
import torch
from scipy import sparse

import skal
from skal._core.graph import Neighbors, _coverage, _diffusion, levels_of
from skal._core.graph._diffusion import diffusion_kernel, truncated_diffusion_kernel
from skal._core.graph._weights import affinity, normalized_affinity
from skal._core.greedy import FacilityLocation, plain_greedy
from skal._core.greedy._sparse_coverage import SparseCoverage
from skal.samplers import GraphCoverageSampler

POWERS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def dense_kernel(X, k=10, alpha=0.95):
    rows = X.astype(np.float64) / np.linalg.norm(X, axis=1, keepdims=True)
    sq_dist = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    others = sq_dist + np.where(np.eye(len(X)), np.inf, 0)
    near = np.argsort(others, axis=1, kind="stable")[:, :k]
    W = np.zeros(sq_dist.shape)
    for row, columns in enumerate(near):
        W[row, columns] = np.exp(-4 * sq_dist[row, columns] / sq_dist[row, columns[-1]])
    W = np.maximum(W, W.T)
    scale = 1 / np.sqrt(W.sum(axis=1))
    K = np.linalg.inv(np.eye(len(X)) - alpha * scale[:, None] * W * scale)
    K = np.maximum(K, 0) / np.sqrt(np.diag(K)[:, None] * np.diag(K))
    variance = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean()
    return np.minimum(K, 1) * np.exp(-2 * sq_dist / variance)


def dense_greedy(kernel, budget, labeled=()):
    n = len(kernel)
    reach = {power: (kernel**power).sum() / n for power in POWERS}
    covering, picks = list(labeled), []
    for _ in range(budget):
        t = len(covering) + 1
        power = next(p for p in POWERS if p == 1.0 or reach[p] <= n / t)
        powered = kernel**power
        covered = powered[covering].max(axis=0) if covering else np.zeros(n)
        gains = np.maximum(powered - covered, 0).sum(axis=1).astype(np.float32)
        gains[covering] = -1
        picks.append(int(gains.argmax()))
        covering.append(picks[-1])
    return picks


@pytest.fixture
def X(rng):
    centers = rng.normal(size=(12, 8))
    return (centers[rng.integers(12, size=400)] + 0.5 * rng.normal(size=(400, 8))).astype(np.float32)


@pytest.mark.parametrize("labeled", [(), (3, 50, 200)])
def test_it_is_the_dense_greedy(labeled, X):
    expected = dense_greedy(dense_kernel(X), 90, labeled)
    sampler = GraphCoverageSampler(90).fit(X, labeled_indices=list(labeled))
    np.testing.assert_array_equal(sampler.selected_indices_, expected)
    other = GraphCoverageSampler(20, n_neighbors=5, alpha=0.8).fit(X, labeled_indices=list(labeled))
    np.testing.assert_array_equal(other.selected_indices_, dense_greedy(dense_kernel(X, 5, 0.8), 20, labeled))


def smaller_levels(monkeypatch):
    monkeypatch.setattr(_coverage, "COARSEST", 100)
    monkeypatch.setattr(_coverage, "_WHOLE_UP_TO", 120)
    monkeypatch.setattr(_coverage, "_ROWS_A_PICK", 10)


@pytest.mark.parametrize("has_levels", [False, True])
def test_smaller_budgets_are_prefixes(has_levels, rng, monkeypatch):
    if has_levels:
        smaller_levels(monkeypatch)
    X = rng.normal(size=(420, 6))
    full = GraphCoverageSampler(200, random_state=1).fit_select(X)
    for budget in (9, 11, 40, 41, 150):
        np.testing.assert_array_equal(GraphCoverageSampler(budget, random_state=1).fit_select(X), full[:budget])


def test_levels_hold_what_was_picked_on_those_before(rng, monkeypatch):
    """On a pool of 30 tight groups, 30 picks from several levels lie in 30 groups."""
    smaller_levels(monkeypatch)
    assert [tuple(level) for level in levels_of(900)] == [(100, 10), (400, 40), (900, 900)]
    group = rng.integers(30, size=900)
    X = 5 * rng.normal(size=(30, 16))[group] + 0.1 * rng.normal(size=(900, 16))
    labeled = np.array([np.flatnonzero(group == g)[0] for g in range(5)])
    picks = GraphCoverageSampler(25, random_state=0).fit(X, labeled_indices=labeled).selected_indices_
    assert len(set(group[picks]) | set(group[labeled])) >= 28
    assert not set(group[labeled]) & set(group[picks[:5]])


def test_levels_of_pools():
    assert [tuple(level) for level in levels_of(10)] == [(10, 10)]
    assert [tuple(level) for level in levels_of(4096)] == [(4096, 4096)]
    assert [tuple(level) for level in levels_of(50_000)] == [(4096, 81), (16384, 327), (50_000, 50_000)]
    assert [tuple(level) for level in levels_of(1_281_167)] == [
        (4096, 81), (16384, 327), (65536, 1310), (262_144, 1_281_167),
    ]  # fmt: skip


def test_more_than_the_finest_sample_holds(rng, monkeypatch):
    smaller_levels(monkeypatch)
    monkeypatch.setattr(_coverage, "FINEST", 200)
    X = rng.normal(size=(500, 4))
    picks = GraphCoverageSampler(450, random_state=0).fit(X, labeled_indices=range(30)).selected_indices_
    assert len(set(picks) | set(range(30))) == 480


def test_one_pick_for_each_part_of_the_graph(rng):
    group = np.repeat(np.arange(8), [12, 40, 15, 100, 30, 25, 60, 18])
    X = 10 * np.eye(8)[group] + rng.normal(size=(300, 8))
    assert set(group[GraphCoverageSampler(8).fit_select(X)]) == set(range(8))
    picks = GraphCoverageSampler(5).fit(X, labeled_indices=[0, 20, 60]).selected_indices_
    assert set(group[picks]) == {3, 4, 5, 6, 7}


def test_no_copy_of_a_labelled_row_while_others_are_left(rng):
    distinct = rng.normal(size=(30, 5))
    which = np.concatenate([np.arange(30), rng.integers(30, size=170)])
    labeled = np.arange(10)
    picks = GraphCoverageSampler(20).fit(distinct[which], labeled_indices=labeled).selected_indices_
    assert sorted(which[picks]) == list(range(10, 30))


def test_a_pool_finds_its_neighbours_once(X, monkeypatch):
    pool = skal.Pool(X)
    picks = GraphCoverageSampler(15).fit_select(pool)
    monkeypatch.setattr("skal.pool._view.exact_neighbors", None)
    monkeypatch.setattr("skal._core.graph._of_sample.exact_neighbors", None)
    np.testing.assert_array_equal(GraphCoverageSampler(15).fit_select(pool), picks)


def graph_of(X, k):
    return normalized_affinity(affinity(skal.Pool(X).neighbors(k)))[0]


def test_the_truncated_kernel_has_the_large_entries_of_the_whole(rng, monkeypatch):
    S = graph_of(rng.normal(size=(200, 4)), 8)
    whole, truncated = diffusion_kernel(S, 0.9), truncated_diffusion_kernel(S, 0.9)
    found = truncated.toarray()
    np.testing.assert_allclose(np.diag(found), 1)
    assert np.abs(found - whole)[whole > 0.1].max() < 0.06
    assert (found > 0)[whole > 0.1].mean() > 0.99
    monkeypatch.setattr("skal._core.graph._diffusion._LEAST_STEP", 1e-9)
    monkeypatch.setattr("skal._core.graph._diffusion._MOST_STEPS", 400)
    monkeypatch.setattr("skal._core.graph._diffusion._KEPT", 500)
    np.testing.assert_allclose(truncated_diffusion_kernel(S, 0.9).toarray(), whole, atol=1e-4)


def test_the_largest_entries_of_each_row_are_kept(rng, monkeypatch):
    monkeypatch.setattr(_diffusion, "_KEPT", 5)
    S = graph_of(rng.normal(size=(300, 4)), 8)
    walks = _diffusion._walks(0.9 * S, 100, 200)
    kept = _diffusion._largest(walks, 100)
    for own, row, few in zip(range(100, 200), walks.toarray(), kept.toarray(), strict=True):
        row[own] = np.inf
        assert set(np.flatnonzero(few)) == set(np.argsort(-row, kind="stable")[:5])


def test_a_rows_own_entry_is_kept_beside_a_larger_one(monkeypatch):
    """A leaf of a star is more like the hub than like itself, before the kernel is normalised."""
    monkeypatch.setattr(_diffusion, "_KEPT", 1)
    star = sparse.csr_array(np.array([[0, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]) / np.sqrt(3))
    np.testing.assert_allclose(truncated_diffusion_kernel(star, 0.95).toarray(), np.eye(4))


def test_sparse_coverage_is_facility_location(rng):
    dense = rng.uniform(size=(80, 80)) * (rng.uniform(size=(80, 80)) < 0.2) + np.eye(80)

    class Matrix:
        n_rows, device = 80, torch.device("cpu")

        def tiles(self, candidate_idx):
            yield slice(0, 80), torch.from_numpy(dense[candidate_idx].T)

    covered_by = np.array([4, 40])
    mine = SparseCoverage(sparse.csr_array(dense), covered_by)
    other = FacilityLocation(Matrix(), covered_by=covered_by)
    assert mine.value == pytest.approx(other.value)
    np.testing.assert_allclose(mine.gains(np.arange(80)), other.gains(np.arange(80)), rtol=1e-6)
    np.testing.assert_array_equal(
        plain_greedy(mine, 70, excluded=covered_by), plain_greedy(other, 70, excluded=covered_by)
    )


def test_rows_without_a_neighbour(rng):
    alone = Neighbors(np.empty((3, 0), np.int32), np.empty((3, 0), np.float32))
    S, degrees = normalized_affinity(affinity(alone))
    np.testing.assert_array_equal(diffusion_kernel(S, 0.9), np.eye(3))
    np.testing.assert_array_equal(truncated_diffusion_kernel(S, 0.9).toarray(), np.eye(3))
    np.testing.assert_array_equal(degrees, np.zeros(3))
