"""DropQuery against plain numpy, given the dropouts."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skal._validation import local_generator
from skal.samplers import DropQuerySampler, KMeansSampler
from skal.samplers._learning import winners


class SignOfTheFirst(ClassifierMixin, BaseEstimator):
    """Predicts class 1 where the features sum to more than 3."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        is_one = X.sum(axis=1) > 3
        return np.stack([~is_one, is_one], axis=1).astype(float)


def flips(X, n_dropouts, dropout):
    """The same masks as the sampler draws: tiles of 2,048 rows, in each one mask after the other."""
    rng = local_generator(0)
    predict = SignOfTheFirst().fit(None, [0, 1]).predict_proba
    counts = []
    for start in range(0, len(X), 2048):
        rows = X[start : start + 2048]
        masks = [rng.random(rows.shape, dtype=np.float32) >= dropout for _ in range(n_dropouts)]
        dropped = [predict(np.where(mask, rows / np.float32(1 - dropout), 0)).argmax(axis=1) for mask in masks]
        counts.append(sum(other != predict(rows).argmax(axis=1) for other in dropped))
    return np.concatenate(counts)


@pytest.mark.parametrize(
    ("budget", "least"), [(10, 2), (30, 1), (100, 0)], ids=["most flip", "some flip", "too few flip"]
)
def test_rows_that_flip_are_clustered(budget, least, rng):
    X = rng.normal(size=(2300, 4)).astype(np.float32)
    y = rng.integers(0, 2, size=2300)
    labeled = np.array([3, 2200, 70, 9])
    y[labeled] = 0, 1, 0, 1
    sampler = DropQuerySampler(budget, classifier=SignOfTheFirst(), labeled_rows="skip", random_state=0)
    picks = sampler.fit_select(X, y, labeled_indices=labeled)
    n_flips = flips(X, 3, 0.75)
    counts = [int((np.delete(n_flips, labeled) >= c).sum()) for c in (2, 1)]
    assert 25 * 10 <= counts[0] < 25 * 30 <= counts[1] < 25 * 100
    candidate_idx = np.setdiff1d(np.flatnonzero(n_flips >= least), labeled)
    assert sampler.n_candidates_ == len(candidate_idx)
    assert set(picks) <= set(candidate_idx)
    # One pick a cluster: as spread as K-means' own on the same rows.
    own = KMeansSampler(budget, random_state=1).fit(X[candidate_idx])
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    covered, by_own = (
        np.square(unit[candidate_idx, None] - unit[rows]).sum(axis=2).min(axis=1).mean()
        for rows in (picks, candidate_idx[own.selected_indices_])
    )
    assert covered < 1.3 * by_own


def test_features_that_are_kept_are_scaled_up(rng):
    X = np.full((500, 4), 0.9, dtype=np.float32)  # sums to 3.6; with one feature kept and scaled, too
    y = np.arange(500) % 2
    sampler = DropQuerySampler(2, classifier=SignOfTheFirst(), random_state=0).fit(X, y, labeled_indices=[0, 1])
    n_flips = flips(X, 3, 0.75)
    # Unscaled, every row with a feature dropped would flip: nearly all in most dropouts.
    assert sampler.n_candidates_ == (n_flips[2:] >= 2).sum() < 300


def test_copies_of_labelled_rows_are_not_bought(digits):
    X, _, y, _ = digits
    X, y = np.concatenate([X[:300], X[:30]]), np.concatenate([y[:300], y[:30]])
    picks = DropQuerySampler(20, random_state=0).fit_select(X, y, labeled_indices=range(30))
    assert not {tuple(row) for row in X[picks]} & {tuple(row) for row in X[:30]}


def test_without_two_classes_it_is_k_means(blobs):
    X, y = blobs
    sampler = DropQuerySampler(6, random_state=0).fit(X, y)
    np.testing.assert_array_equal(sampler.selected_indices_, KMeansSampler(6, random_state=0).fit_select(X))
    assert not hasattr(sampler, "n_candidates_")


def test_the_flips_of_a_linear_probe_are_those_of_its_probabilities(digits, monkeypatch):
    X, _, y, _ = digits
    X = X.astype(np.float32)
    labeled = np.arange(40)
    sampler = DropQuerySampler(10, random_state=0).fit(X, y, labeled_indices=labeled)
    probe = sampler.classifier_
    rows = np.concatenate([X[:600], np.zeros((1, X.shape[1]), np.float32)])
    np.testing.assert_array_equal(winners(probe, rows), probe.predict_proba(rows).argmax(axis=1))
    n_candidates = sampler.n_candidates_
    monkeypatch.setattr(
        "skal.samplers._drop_query.winners", lambda probe, rows: probe.predict_proba(rows).argmax(axis=1)
    )
    assert sampler.fit(X, y, labeled_indices=labeled).n_candidates_ == n_candidates
