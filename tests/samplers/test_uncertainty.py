"""Entropy, margin and least confidence against plain numpy, given the classifier's probabilities."""

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skal.classifiers import LinearProbe
from skal.samplers import (
    KMeansSampler,
    LeastConfidenceSampler,
    MarginSampler,
    MaxEntropySampler,
    RandomSampler,
)


def entropy(p):
    return -sum(x * np.log(x) for x in p if x > 0)


def lack_of_margin(p):
    return sorted(p)[-2] - sorted(p)[-1]


def lack_of_confidence(p):
    return 1 - max(p)


ORACLES = {
    MaxEntropySampler: entropy,
    MarginSampler: lack_of_margin,
    LeastConfidenceSampler: lack_of_confidence,
}
SAMPLERS = list(ORACLES)


class Dictated(ClassifierMixin, BaseEstimator):
    """Gives the probabilities written in the rows themselves."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.asarray(X, dtype=np.float64)


PROBABILITIES = {
    "plain": lambda rng: rng.dirichlet(np.ones(4), size=300),
    "two classes": lambda rng: rng.dirichlet(np.ones(2), size=300),
    "certain": lambda rng: np.eye(4)[rng.integers(4, size=300)],
    "many ties": lambda rng: np.array([[0.5, 0.5, 0, 0], [0.25] * 4, [1, 0, 0, 0]])[rng.integers(3, size=300)],
    "all the same": lambda rng: np.full((300, 4), 0.25),
}


@pytest.mark.parametrize("kind", PROBABILITIES)
@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_the_most_uncertain_rows_given_the_probabilities(sampler_class, kind, rng):
    P = PROBABILITIES[kind](rng)
    labeled = rng.permutation(300)[:40]
    y = rng.integers(0, 2, size=300)
    y[labeled[:2]] = 0, 1
    score = [ORACLES[sampler_class](p) for p in P]
    free = [row for row in range(300) if row not in labeled]
    for budget in (1, 25, 260):
        sampler = sampler_class(budget, classifier=Dictated()).fit(P, y, labeled_indices=labeled)
        picks = sampler.selected_indices_
        lowest_first = sorted(free, key=lambda row: (-round(score[row], 12), row))
        picked_scores, best_scores = (np.array(score)[rows] for rows in (picks, lowest_first[:budget]))
        np.testing.assert_allclose(picked_scores, best_scores, atol=1e-12)
        if kind != "plain" and kind != "two classes":
            np.testing.assert_array_equal(picks, lowest_first[:budget])
        else:
            assert set(picks) == set(lowest_first[:budget])


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_the_classifier_carries_over_to_another_pool(sampler_class, rng):
    P, other = rng.dirichlet(np.ones(3), size=50), rng.dirichlet(np.ones(3), size=90)
    sampler = sampler_class(8, classifier=Dictated()).fit(P, np.arange(50) % 2, labeled_indices=range(9))
    score = np.array([ORACLES[sampler_class](p) for p in other])
    np.testing.assert_array_equal(sampler.select(other), np.argsort(-score)[:8])


@pytest.mark.parametrize("classifier", [None, LogisticRegression(max_iter=200), KNeighborsClassifier()], ids=str)
@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_any_classifier_on_nasty_pools(sampler_class, classifier, rng):
    y = rng.integers(0, 3, size=60)
    plain = rng.normal(size=(60, 4))
    pools = [plain, plain.astype(np.float16), np.zeros((60, 4)), plain[rng.integers(3, size=60)], plain > 0]
    pools += [torch.from_numpy(plain), torch.from_numpy(plain).bfloat16()]
    for X in pools:
        sampler = sampler_class(12, classifier=classifier, random_state=0).fit(X, y, labeled_indices=range(20))
        array = X.float().numpy() if isinstance(X, torch.Tensor) and X.dtype == torch.bfloat16 else np.asarray(X)
        probabilities = sampler.classifier_.predict_proba(array)
        score = np.array([ORACLES[sampler_class](p) for p in probabilities.astype(np.float64)])
        assert len(set(sampler.selected_indices_)) == 12
        assert sampler.selected_indices_.min() >= 20
        np.testing.assert_allclose(score[sampler.selected_indices_], np.sort(score[20:])[::-1][:12], atol=1e-6)


def test_the_default_is_the_papers_layer_on_the_rows_as_they_are(digits):
    X, _, y, _ = digits
    labeled = np.arange(30)
    sampler = MaxEntropySampler(20, random_state=3).fit(X, y, labeled_indices=labeled)
    probe = LinearProbe(lr=0.001, scaling=None, random_state=3).fit(X[:30], y[:30])
    np.testing.assert_array_equal(sampler.classifier_.coef_, probe.coef_)
    score = np.array([entropy(p) for p in probe.predict_proba(X[30:]).astype(np.float64)])
    np.testing.assert_allclose(score[sampler.selected_indices_ - 30], np.sort(score)[::-1][:20], rtol=1e-5)


def test_a_classifier_that_can_use_the_pool_gets_it(blobs):
    X, y = blobs
    standardised = LinearProbe(random_state=0)
    sampler = MarginSampler(5, classifier=standardised, random_state=0).fit(X, y, labeled_indices=range(15))
    by_hand = LinearProbe(random_state=0).fit(X[:15], y[:15], X_pool=X)
    np.testing.assert_array_equal(sampler.classifier_.coef_, by_hand.coef_)
    assert not hasattr(standardised, "coef_")


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_fewer_than_two_labelled_classes_are_a_cold_start(sampler_class, blobs):
    X, y = blobs
    same = np.flatnonzero(y == 1)[:6]
    for labeled in ([], same):
        sampler = sampler_class(7, random_state=0).fit(X, y, labeled_indices=labeled)
        expected = KMeansSampler(7, random_state=0).fit(X, labeled_indices=labeled)
        np.testing.assert_array_equal(sampler.selected_indices_, expected.selected_indices_)
        np.testing.assert_array_equal(sampler.select(X[:50]), expected.select(X[:50]))
        assert not hasattr(sampler, "classifier_")
        sampler.fit(X, y, labeled_indices=range(9))
        assert not hasattr(sampler, "initial_")
    initial = RandomSampler(random_state=5)
    picks = sampler_class(7, initial=initial).fit_select(X)
    np.testing.assert_array_equal(picks, RandomSampler(7, random_state=5).fit_select(X))
    assert initial.budget == 10
    with pytest.raises(TypeError, match="RandomSampler learns nothing"):
        sampler_class(7, initial=initial).fit(X).select(X)


def test_a_share_of_another_pool_after_a_cold_start(blobs):
    X, _ = blobs
    sampler = MaxEntropySampler(0.1, random_state=0).fit(X)
    assert len(sampler.select()) == 12
    assert len(sampler.select(X[:50])) == 5


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_a_warm_memmap_under_any_memory_budget(sampler_class, tmp_path, rng):
    X = rng.normal(size=(5000, 6)).astype(np.float16)
    y = rng.integers(0, 3, size=5000)
    np.save(tmp_path / "pool.npy", X)
    labeled = rng.permutation(5000)[:30]
    reference = sampler_class(15, random_state=0).fit_select(X, y, labeled_indices=labeled)
    with config_context(working_memory=1e-6):
        mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
        picks = sampler_class(15, random_state=0).fit_select(mapped, y, labeled_indices=labeled)
    np.testing.assert_array_equal(picks, reference)


def test_what_cannot_give_probabilities_is_refused(blobs):
    with pytest.raises(ValueError, match="classifier"):
        MaxEntropySampler(classifier=KMeansSampler()).fit(blobs[0])
    with pytest.raises(ValueError, match="initial"):
        MaxEntropySampler(initial=KNeighborsClassifier()).fit(blobs[0])
