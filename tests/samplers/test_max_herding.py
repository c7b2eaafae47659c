"""MaxHerding and ProbCover against plain numpy on all pairs."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from skal._validation import local_generator
from skal.samplers import KMeansSampler, MaxHerdingSampler, _herding

KERNELS = {
    "rbf": lambda sq_dist, sigma: np.exp(-sq_dist / sigma**2),
    "tophat": lambda sq_dist, sigma: (sq_dist < sigma**2).astype(float),
    "linear": lambda sq_dist, sigma: np.maximum(0, 1 - sq_dist / (4 * sigma**2)),
}


def squared_distances(X):
    X = X.astype(np.float64)
    return np.square(X[:, None] - X).sum(axis=2)


def greedy(similarity, taken, budget, while_it_gains=False):
    """Gains of all rows before every pick, compared in float32, ties to the lowest row."""
    taken, picks = list(taken), []
    coverage = similarity[:, taken].max(axis=1, initial=0.0)
    for _ in range(budget):
        gains = np.maximum(similarity - coverage[:, None], 0).sum(axis=0)
        gains[gains <= 1e-12 * (gains + coverage.sum())] = 0
        gains[taken] = -1
        best = int(gains.astype(np.float32).argmax())
        if while_it_gains and gains[best] <= 0:
            break
        picks.append(best)
        taken.append(best)
        coverage = np.maximum(coverage, similarity[:, best])
    return picks


def cover_again_and_again(sq_dist, radius, labeled, budget):
    """ProbCover, then the same with half the distance of the farthest row, until only copies are left."""
    picks = greedy(KERNELS["tophat"](sq_dist, radius), labeled, budget, while_it_gains=True)
    smallest = 1e-6 * radius
    while len(picks) < budget:
        farthest = np.sqrt(sq_dist[:, [*labeled, *picks]].min(axis=1).max())
        if farthest <= smallest:
            left = np.setdiff1d(np.arange(len(sq_dist)), [*labeled, *picks])
            return picks + left[: budget - len(picks)].tolist()
        radius = min(radius, farthest) / 2
        similarity = KERNELS["tophat"](sq_dist, radius)
        picks += greedy(similarity, [*labeled, *picks], budget - len(picks), while_it_gains=True)
    return picks


@pytest.fixture
def pool(rng):
    """Groups of several sizes, copies, and rows far from all others; integers, so that distances are exact."""
    groups = np.concatenate([np.full((size, 4), place) for size, place in ((90, 0), (60, 30), (30, 80))])
    scattered = np.concatenate([groups + rng.integers(-9, 10, size=groups.shape), [[300, 0, 0, 0], [0, 0, 0, -400]]])
    return np.concatenate([scattered, scattered[:20]]).astype(np.float32)


@pytest.mark.parametrize("labeled", [[], [3, 100, 201]])
@pytest.mark.parametrize(("kernel", "sigma"), [("rbf", 5.0), ("rbf", 60.0), ("linear", 200.0), ("tophat", 11.5)])
def test_exactly_the_dense_greedy(kernel, sigma, labeled, pool):
    sampler = MaxHerdingSampler(60, kernel=kernel, sigma=sigma, metric="euclidean")
    picks = sampler.fit_select(pool, labeled_indices=labeled)
    similarity = KERNELS[kernel](squared_distances(pool), sigma)
    if kernel == "tophat":
        expected = cover_again_and_again(squared_distances(pool), sigma, labeled, 60)
    else:
        expected = greedy(similarity, labeled, 60)
    assert picks.tolist() == expected
    assert sampler.sigma_ == sigma
    covering = [*labeled, *picks]
    assert sampler.coverage_ == pytest.approx(similarity[:, covering].max(axis=1).mean(), rel=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_unit_rows_under_cosine(kernel, digits):
    X = digits[0][:400]
    sampler = MaxHerdingSampler(30, kernel=kernel, random_state=0).fit(X)
    sq_dist = squared_distances(normalize(X))  # in float32, as the pool has them
    expected = greedy(KERNELS[kernel](sq_dist, sampler.sigma_), [], 30)
    assert sampler.selected_indices_.tolist() == expected


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_smaller_budget_is_a_prefix(kernel, pool):
    picks = MaxHerdingSampler(190, kernel=kernel, sigma=12.0, metric="euclidean").fit_select(pool)
    for budget in (1, 20, 100):
        fewer = MaxHerdingSampler(budget, kernel=kernel, sigma=12.0, metric="euclidean").fit_select(pool)
        np.testing.assert_array_equal(fewer, picks[:budget])


def test_rows_that_no_ball_reaches_are_picked_once_the_rest_is_covered(pool):
    picks = MaxHerdingSampler(60, kernel="tophat", sigma=30.0, metric="euclidean").fit_select(pool)
    assert {180, 181} <= set(picks)
    before = cover_again_and_again(squared_distances(pool), 30.0, [], 60)
    assert len(greedy(KERNELS["tophat"](squared_distances(pool), 30.0), [], 60, while_it_gains=True)) < 60
    assert picks.tolist() == before


def test_copies_come_last(pool):
    picks = MaxHerdingSampler(202, kernel="tophat", sigma=12.0, metric="euclidean").fit_select(pool)
    _, first_idx = np.unique(pool, axis=0, return_index=True)
    assert set(picks[: len(first_idx)]) == set(first_idx)
    assert picks[len(first_idx) :].tolist() == sorted(picks[len(first_idx) :])


def test_the_automatic_bandwidth_is_that_of_k_means(digits):
    X = digits[0]
    sampler = MaxHerdingSampler(20, random_state=4).fit(X)
    inertia = np.mean([KMeansSampler(20, random_state=seed).fit(X).inertia_ for seed in range(4)])
    assert sampler.sigma_ == pytest.approx(np.sqrt(2 * inertia / len(X)), rel=0.02)
    fewer = MaxHerdingSampler(20, n_clusters=5, random_state=4).fit(X)
    assert fewer.sigma_ > sampler.sigma_


@pytest.mark.slow
def test_the_automatic_radius_keeps_95_percent_of_the_balls_pure(digits, monkeypatch):
    X = digits[0]
    clusters = []
    clusters_of = _herding.clusters_of
    monkeypatch.setattr(
        "skal.samplers._max_herding.clusters_of", lambda *args: clusters.append(clusters_of(*args)) or clusters[0]
    )
    sampler = MaxHerdingSampler(10, kernel="tophat", n_clusters=10, random_state=0).fit(X)
    labels, distances = clusters[0].labels_, np.sqrt(squared_distances(normalize(X.astype(float))))
    assert len(np.unique(labels)) == 10

    def pure_share(radius):
        return np.mean([(labels[near < radius] == label).all() for near, label in zip(distances, labels, strict=True)])

    assert pure_share(sampler.sigma_ * (1 - 1e-6)) >= 0.95
    assert pure_share(sampler.sigma_ * (1 + 1e-6)) < 0.95


@pytest.mark.parametrize("kernel", ["rbf", "tophat"])
def test_rows_in_a_tight_cone_are_told_apart(kernel, rng):
    X = np.ones(6) + 1e-6 * rng.normal(size=(300, 6))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    sq_dist = np.square(unit[:, None] - unit).sum(axis=2)
    sigma = float(np.sqrt(np.median(sq_dist)))
    picks = MaxHerdingSampler(12, kernel=kernel, sigma=sigma).fit_select(X)
    expected = greedy(KERNELS[kernel](sq_dist, sigma), [], 12, while_it_gains=True)
    assert picks[: len(expected)].tolist() == expected
    assert len(expected) > 3


def test_a_sample_is_covered_in_place_of_a_large_pool(digits):
    X = digits[0]
    sampler = MaxHerdingSampler(15, sigma=0.5, max_references=100, random_state=0).fit(X)
    reference_idx = np.sort(local_generator(0).choice(len(X), size=100, replace=False))
    unit = normalize(X).astype(np.float64)
    sq_dist = np.square(unit[reference_idx, None] - unit).sum(axis=2)
    assert sampler.selected_indices_.tolist() == greedy(np.exp(-sq_dist / 0.25), [], 15)
    everything = MaxHerdingSampler(15, sigma=0.5, max_references=None).fit_select(X)
    np.testing.assert_array_equal(MaxHerdingSampler(15, sigma=0.5).fit_select(X), everything)


@pytest.mark.parametrize("max_references", [100, None])
def test_a_sample_may_be_picked_of_a_large_pool(max_references, digits):
    X, labeled = digits[0], [3, 8]
    options = {"sigma": 0.5, "max_references": max_references, "max_candidates": 130, "random_state": 0}
    sampler = MaxHerdingSampler(15, **options).fit(X, labeled_indices=labeled)
    rng = local_generator(0)
    reference_idx = np.arange(len(X))
    if max_references:
        reference_idx = np.sort(rng.choice(len(X), size=max_references, replace=False))
    candidate_idx = np.sort(rng.choice(np.setdiff1d(np.arange(len(X)), labeled), size=130, replace=False))
    pickable = np.union1d(candidate_idx, labeled)
    unit = normalize(X).astype(np.float64)
    sq_dist = np.square(unit[reference_idx, None] - unit[pickable]).sum(axis=2)
    expected = pickable[greedy(np.exp(-sq_dist / 0.25), np.searchsorted(pickable, labeled), 15)]
    np.testing.assert_array_equal(sampler.selected_indices_, expected)
    assert not np.isin(MaxHerdingSampler(40, **options).fit_select(X), pickable).all()  # 8 · 40 are drawn


def test_balls_around_a_sample_that_never_cover_everything_end(rng):
    X = rng.normal(size=(400, 3))
    options = {"kernel": "tophat", "sigma": 0.3, "metric": "euclidean", "max_candidates": 1, "random_state": 0}
    picks = MaxHerdingSampler(45, **options, max_references=20).fit_select(X)
    assert len(set(picks.tolist())) == 45


def test_balls_around_a_sample_get_smaller_only_where_one_of_it_gains(rng, monkeypatch):
    X = rng.normal(size=(900, 6))
    found, more = [], _herding.Herd._more

    def note(self, objective, picks, *, goes_on_at_zero):
        picked = more(self, objective, picks, goes_on_at_zero=goes_on_at_zero)
        found.append((len(picked), goes_on_at_zero))
        return picked

    monkeypatch.setattr(_herding.Herd, "_more", note)
    options = {"kernel": "tophat", "sigma": 0.8, "metric": "euclidean", "max_references": 60, "max_candidates": 1}
    for seed in range(5):
        found.clear()
        MaxHerdingSampler(60, **options, random_state=seed).fit(X)
        assert all(n_picked > 0 for n_picked, goes_on in found[1:] if not goes_on)
        assert found[-1][1]  # not all can gain


def test_one_cluster_or_no_spread_has_a_bandwidth_all_the_same():
    for kernel in KERNELS:
        for X in (np.zeros((9, 2)), np.ones((9, 2)), np.eye(1, 2)):
            sampler = MaxHerdingSampler(1, kernel=kernel).fit(X)
            assert 0 < sampler.sigma_ < np.inf
            assert sampler.coverage_ == pytest.approx(1.0, abs=0.8)
