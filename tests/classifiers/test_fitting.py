"""What a classifier is handed when it is trained on the labelled rows of a pool."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from skal.classifiers import LinearProbe
from skal.classifiers._fitting import fit_each_on_labeled_rows, fit_on_labeled_rows, trains_stacked


class ManyNeighbors(KNeighborsClassifier):
    """Somebody else's classifier that offers `fit_many`."""

    @staticmethod
    def fit_many(classifiers, labeled_sets, *, X_pool=None):
        for classifier, (X, y) in zip(classifiers, labeled_sets, strict=True):
            classifier.fit(X, y).pool_ = X_pool
        return classifiers


class OwnFit(ManyNeighbors):
    def fit(self, X, y):
        return super().fit(X, y)


class OwnFitMany(OwnFit):
    @staticmethod
    def fit_many(classifiers, labeled_sets, *, X_pool=None):
        return ManyNeighbors.fit_many(classifiers, labeled_sets, X_pool=X_pool)


def test_training_many_at_once_is_a_capability_not_a_class():
    assert [trains_stacked(c) for c in (LinearProbe(), ManyNeighbors(), OwnFitMany())] == [True] * 3
    assert [trains_stacked(c) for c in (LinearSVC(), OwnFit())] == [False] * 2


def test_a_classifier_that_offers_fit_many_is_trained_by_it(blobs):
    X, y = blobs
    picks = [np.arange(0, 60), np.arange(60, 120)]
    together, apart = ([kind(1) for _ in picks] for kind in (ManyNeighbors, OwnFit))
    fit_each_on_labeled_rows(together, X, y, picks)
    fit_each_on_labeled_rows(apart, X, y, picks)
    for many, own in zip(together, apart, strict=True):
        assert many.pool_ is X
        assert not hasattr(own, "pool_")
        np.testing.assert_array_equal(many.predict(X), own.predict(X))


def test_one_label_a_class_warns_of_nothing(rng):
    X, labeled = rng.normal(size=(60, 5)), np.arange(30)
    with pytest.warns(UserWarning, match="number of unique classes"):
        LogisticRegression().fit(X[labeled], labeled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_on_labeled_rows(LogisticRegression(), X, labeled, labeled)


def test_the_pool_goes_where_fit_takes_it(blobs):
    X, y = blobs
    labeled = np.arange(30)
    probe = fit_on_labeled_rows(LinearProbe(random_state=0), X, y[labeled], labeled)
    by_hand = LinearProbe(random_state=0).fit(X[labeled], y[labeled], X_pool=X)
    np.testing.assert_array_equal(probe.coef_, by_hand.coef_)
    assert fit_on_labeled_rows(KNeighborsClassifier(1), X, y[labeled], labeled).score(X, y) > 0.9
