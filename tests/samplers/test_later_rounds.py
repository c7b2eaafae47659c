"""Labelled rows cover their surroundings: no later round buys what is as good as labelled."""

import numpy as np
import pytest

from skal.rounds import IterativeSampler, MultiKMeansSampler
from skal.samplers import CoreSetSampler, KMeansSampler, UniformKMeansSampler


@pytest.fixture(scope="module")
def photos():
    """600 photos of ten classes × 6 near-copies in 64 features; which photo each row is of."""
    rng = np.random.default_rng(0)
    classes = rng.normal(size=(10, 64)).repeat(60, axis=0)
    photo = np.repeat(np.arange(600), 6)
    X = (classes + rng.normal(size=(600, 64)))[photo] + 0.02 * rng.normal(size=(3600, 64))
    return X.astype(np.float32), photo


@pytest.fixture(scope="module")
def first(photos):
    """The first round: 50 photos."""
    return KMeansSampler(50, random_state=0).fit_select(photos[0])


SAMPLERS = [
    KMeansSampler(50, random_state=0), KMeansSampler(50, random_state=1),
    KMeansSampler(50, init="random", random_state=0),
    KMeansSampler(50, algorithm="restricted", random_state=0), KMeansSampler(50, metric="euclidean", random_state=0),
    CoreSetSampler(50), UniformKMeansSampler(50, random_state=0),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_hardly_a_near_copy_of_a_labelled_row_is_bought(sampler, photos, first):
    X, photo = photos
    second = sampler.fit_select(X, labeled_indices=first)
    assert np.isin(photo[second], photo[first]).mean() <= 0.02


@pytest.mark.parametrize("rounds", [MultiKMeansSampler, IterativeSampler])
@pytest.mark.slow
def test_rounds_buy_hardly_a_photo_twice(rounds, photos):
    X, photo = photos
    picks = rounds(budgets=(50, 100, 150), random_state=0).fit(X).selected_indices_
    assert len(np.unique(photo[picks])) >= 148


def test_the_papers_rule_buys_them(photos, first):
    X, photo = photos
    second = KMeansSampler(50, labeled_rows="skip", random_state=0).fit_select(X, labeled_indices=first)
    assert np.isin(photo[second], photo[first]).mean() > 0.9


def test_a_cluster_that_holds_a_label_gives_nothing(blobs):
    X, _ = blobs
    labeled = np.arange(7)
    sampler = KMeansSampler(12, random_state=0).fit(X, labeled_indices=labeled)
    assert len(sampler.cluster_centers_) == 19
    assert not np.isin(sampler.labels_[sampler.selected_indices_], sampler.labels_[labeled]).any()
    assert len(set(sampler.labels_[sampler.selected_indices_])) == 12
    sizes = np.bincount(sampler.labels_)[sampler.labels_[sampler.selected_indices_]]
    assert (np.diff(sizes) <= 0).all()


def test_what_is_covered_is_covered_in_another_pool_too(photos, first):
    X, photo = photos
    second = KMeansSampler(50, random_state=0).fit(X, labeled_indices=first)
    np.testing.assert_array_equal(second.select(X), second.selected_indices_)
    elsewhere = second.select(X[::2])
    assert np.isin(photo[::2][elsewhere], photo[first]).mean() <= 0.1


def test_covered_clusters_give_where_nothing_else_is_left(rng):
    X = np.repeat(np.eye(4), 5, axis=0)
    labeled = [0, 5, 10, 15]
    picks = KMeansSampler(16, random_state=0).fit_select(X, labeled_indices=labeled)
    assert set(picks) == set(range(20)) - set(labeled)


def test_given_centers_stand_beside_the_labelled_rows(blobs, rng):
    X, _ = blobs
    sampler = KMeansSampler(3, init=X[[1, 2, 3]], metric="euclidean", max_iter=1).fit(X, labeled_indices=[50, 60])
    assert len(sampler.cluster_centers_) == 5


@pytest.mark.parametrize("algorithm", ["lloyd", "restricted"])
def test_a_labelled_row_has_a_cluster_of_its_own_that_stays_near_it(blobs, algorithm):
    X, _ = blobs
    labeled = np.arange(0, 70, 7)
    sampler = KMeansSampler(20, algorithm=algorithm, metric="euclidean", random_state=0).fit(X, labeled_indices=labeled)
    assert (sampler.labels_[sampler.selected_indices_] >= len(labeled)).all()
    to_own = np.linalg.norm(sampler.cluster_centers_[:10] - X[labeled], axis=1)
    to_others = np.linalg.norm(sampler.cluster_centers_[:, None] - X[labeled], axis=2)
    np.testing.assert_allclose(to_own, to_others.min(axis=0), rtol=1e-4)


def test_of_several_runs_the_one_is_kept_whose_picks_leave_the_least(blobs):
    X, _ = blobs
    labeled = np.arange(0, 70, 7)

    def left(picks):
        known = np.concatenate([X[labeled], X[picks]]).astype(np.float64)
        return ((X[:, None] - known) ** 2).sum(axis=2).min(axis=1).sum()

    def fit(n_init):
        sampler = KMeansSampler(20, metric="euclidean", n_init=n_init, random_state=0)
        return sampler.fit_select(X, labeled_indices=labeled)

    runs = [left(fit(n_init)) for n_init in (1, 3, 10)]  # the first run of each is the same
    assert runs[0] >= runs[1] >= runs[2]
    assert runs[2] < runs[0]
    np.testing.assert_array_equal(fit("auto"), fit(10))
