"""Consensus coverage: K-means' picks, swapped as long as rows agree more with the nearest."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import normalize

from skal._validation import local_generator
from skal.samplers import ConsensusCoverageSampler, KMeansSampler, _consensus_coverage


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:600]


@pytest.fixture
def groups(rng):
    """Ten groups of 20 to 47 rows, and which each row is of."""
    sizes = np.arange(20, 50, 3)
    group = np.repeat(np.arange(10), sizes)
    return 12 * np.eye(10, 20)[group] + rng.normal(size=(len(group), 20)), group


def smaller_samples(monkeypatch):
    monkeypatch.setattr(_consensus_coverage, "_LEAST_ROWS", 150)
    monkeypatch.setattr(_consensus_coverage, "_MOST_ROWS", 200)
    monkeypatch.setattr(_consensus_coverage, "_ROWS_A_PICK", 10)


def test_swaps_cover_more_than_the_picks_of_kmeans(digits):
    X = digits
    start = ConsensusCoverageSampler(20, max_rounds=0, random_state=0).fit(X)
    seed = int(local_generator(0).integers(2**31))
    assert set(start.selected_indices_) == set(KMeansSampler(20, random_state=seed).fit_select(X))
    sampler = ConsensusCoverageSampler(20, random_state=0).fit(X)
    assert sampler.coverage_ > start.coverage_ + 0.02
    rounds = [ConsensusCoverageSampler(20, max_rounds=n, random_state=0).fit(X).coverage_ for n in range(3)]
    assert rounds == sorted(rounds)


@pytest.mark.parametrize("is_sampled", [False, True])
def test_every_group_is_picked(is_sampled, groups, monkeypatch):
    if is_sampled:
        smaller_samples(monkeypatch)
    X, group = groups
    assert set(group[ConsensusCoverageSampler(10, metric="euclidean", random_state=0).fit_select(X)]) == set(range(10))


@pytest.mark.parametrize("is_sampled", [False, True])
def test_labelled_rows_cover_and_are_not_picked(is_sampled, groups, monkeypatch):
    if is_sampled:
        smaller_samples(monkeypatch)
    X, group = groups
    labeled = [int(np.flatnonzero(group == each)[0]) for each in (0, 4, 9)]
    sampler = ConsensusCoverageSampler(7, metric="euclidean", random_state=0).fit(X, labeled_indices=labeled)
    assert set(group[sampler.selected_indices_]) == set(range(10)) - {0, 4, 9}


def test_labelled_rows_cover_what_a_pick_would(groups):
    X, group = groups
    one = ConsensusCoverageSampler(1, metric="euclidean", random_state=0)
    alone = one.fit(X).coverage_
    labeled = [int(np.flatnonzero(group == each)[0]) for each in range(1, 10)]
    one.fit(X, labeled_indices=labeled)
    assert one.coverage_ > alone + 0.4
    assert group[one.selected_indices_] == [0]


@pytest.mark.slow
def test_in_a_pool_of_near_copies_it_is_about_as_good_as_kmeans(rng):
    X, y = load_digits(return_X_y=True)
    copies = np.repeat(X[:600], 11, axis=0) + 0.01 * rng.normal(size=(6600, 64))
    unit = normalize(X)

    def accuracy(sampler):
        picks = sampler.fit_select(copies)
        near = (unit[600:] @ normalize(copies[picks]).T).argmax(axis=1)
        return float((np.repeat(y[:600], 11)[picks][near] == y[600:]).mean())

    seeds = range(2)
    consensus = np.mean([accuracy(ConsensusCoverageSampler(20, random_state=seed)) for seed in seeds])
    assert (
        consensus > np.mean([accuracy(KMeansSampler(20, random_state=seed)) for seed in seeds]) - 0.06
    )  # 0.18 below on a graph in many parts


def test_a_graph_that_stays_in_many_parts_leaves_the_picks_of_kmeans(rng):
    X = np.repeat(rng.normal(size=(30, 5)), 40, axis=0)
    sampler = ConsensusCoverageSampler(12, n_neighbors=4, random_state=0).fit(X)
    seed = int(local_generator(0).integers(2**31))
    np.testing.assert_array_equal(sampler.selected_indices_, KMeansSampler(12, random_state=seed).fit_select(X))
    assert np.isnan(sampler.coverage_)


def test_that_comes_first_which_is_the_nearest_to_most(groups):
    X, group = groups
    picks = ConsensusCoverageSampler(10, metric="euclidean", random_state=0).fit_select(X)
    sizes = np.bincount(group)
    np.testing.assert_array_equal(sizes[group[picks]], np.sort(sizes)[::-1])


def test_a_sample_stands_for_a_large_pool(digits, monkeypatch):
    whole = ConsensusCoverageSampler(15, random_state=0).fit(digits)
    smaller_samples(monkeypatch)
    sampled = ConsensusCoverageSampler(15, random_state=0).fit(digits)
    assert set(sampled.selected_indices_) != set(whole.selected_indices_)
    assert len(np.unique(sampled.selected_indices_)) == 15


def test_clusters_grow_with_the_budget(rng):
    sampler = ConsensusCoverageSampler(n_clusterings=255)
    for n_rows, n_covering, expected in (
        (4000, 10, (8, 40)),
        (4000, 100, (25, 100)),
        (20, 5, (8, 20)),
        (3, 2, (3, 3)),
        (10**5, 10**5, (4096, 4096)),
    ):
        drawn = sampler._draw_n_clusters(n_rows, n_covering, rng)
        assert (min(drawn), max(drawn)) == expected


@pytest.mark.parametrize("n_rows", [1, 2, 3, 12])
def test_all_rows_of_a_tiny_pool(n_rows, rng):
    X = rng.normal(size=(n_rows, 3))
    assert sorted(ConsensusCoverageSampler(n_rows).fit_select(X)) == list(range(n_rows))


def test_copies_and_zero_rows(rng):
    X = np.repeat(rng.normal(size=(6, 4)), 20, axis=0)
    X[:20] = 0
    picks = ConsensusCoverageSampler(6, random_state=0).fit_select(X)
    assert set(picks // 20) == set(range(6))
