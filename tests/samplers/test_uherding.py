"""UHerding against plain numpy on all pairs, given the classifier's probabilities."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from skal.classifiers import RidgeProbe
from skal.samplers import KMeansSampler, MaxHerdingSampler, UHerdingSampler
from skal.samplers._uherding import _distances_to_nearest


def plain(X, weights, labeled, sigma, budget):
    similarity = np.exp(-np.square(X[:, None] - X).sum(axis=2) / sigma**2)
    taken, picks = list(labeled), []
    coverage = similarity[:, taken].max(axis=1)
    for _ in range(budget):
        gains = weights @ np.maximum(similarity - coverage[:, None], 0)
        gains[taken] = -1
        picks.append(int(gains.astype(np.float32).argmax()))
        taken.append(picks[-1])
        coverage = np.maximum(coverage, similarity[:, picks[-1]])
    return picks


def smallest_distances(rows):
    distances = np.sqrt(np.square(rows[:, None] - rows).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


@pytest.mark.parametrize("sigma", ["auto", 0.7])
@pytest.mark.slow
def test_exactly_the_greedy_weighted_by_the_lack_of_margin(sigma, digits):
    X, _, y, _ = digits
    labeled = np.arange(10, 60, 2)
    sampler = UHerdingSampler(25, sigma=sigma, random_state=0).fit(X, y, labeled_indices=labeled)
    unit = normalize(X).astype(np.float64)
    if sigma == "auto":
        expected = np.sort(smallest_distances(unit[labeled]))[2]  # of 25: one tenth are not above
        assert sampler.sigma_ == pytest.approx(expected)
    probabilities = np.sort(RidgeProbe().fit(X[labeled], y[labeled], X_pool=X).predict_proba(X), axis=1)
    weights = np.maximum(1 - probabilities[:, -1] + probabilities[:, -2], 1e-3)
    assert sampler.selected_indices_.tolist() == plain(unit, weights, labeled, sampler.sigma_, 25)


def test_copies_among_the_labelled_rows_do_not_shrink_the_bandwidth_to_nothing(digits):
    X, _, y, _ = digits
    X = np.concatenate([X, X[:1]])
    y = np.append(y, y[0])
    labeled = [*range(25), len(X) - 1]
    assert UHerdingSampler(5, random_state=0).fit(X, y, labeled_indices=labeled).sigma_ > 0.1
    only_copies = np.repeat(X[:2], 30, axis=0)
    sampler = UHerdingSampler(5, random_state=0).fit(only_copies, np.arange(60) // 30, labeled_indices=range(0, 60, 3))
    assert sampler.sigma_ > 0


def test_a_classifier_that_is_always_certain_leaves_herding(digits):
    X, _, y, _ = digits
    certain = KNeighborsClassifier(n_neighbors=1)
    picks = UHerdingSampler(15, sigma=0.6, classifier=certain).fit_select(X, y, labeled_indices=range(20))
    np.testing.assert_array_equal(picks, MaxHerdingSampler(15, sigma=0.6).fit_select(X, labeled_indices=range(20)))


def test_without_two_classes_it_is_max_herding_unless_told_otherwise(blobs):
    X, y = blobs
    same = np.flatnonzero(y == 1)[:4]
    for labeled in ([], same):
        sampler = UHerdingSampler(6, random_state=0).fit(X, y, labeled_indices=labeled)
        expected = MaxHerdingSampler(6, random_state=0).fit_select(X, labeled_indices=labeled)
        np.testing.assert_array_equal(sampler.selected_indices_, expected)
        assert not hasattr(sampler, "classifier_")
    picks = UHerdingSampler(6, initial=KMeansSampler(), random_state=0).fit_select(X)
    np.testing.assert_array_equal(picks, KMeansSampler(6, random_state=0).fit_select(X))


def test_distances_to_the_nearest_other_row(rng):
    import torch

    rows = rng.normal(size=(600, 3))
    np.testing.assert_allclose(_distances_to_nearest(torch.from_numpy(rows)), smallest_distances(rows))
