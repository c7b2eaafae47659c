"""Views side by side in a row: what the classifier inside is trained on, and what it predicts from."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import skal
from skal.classifiers import CosineKNNClassifier, LinearProbe, MultiViewClassifier
from skal.evaluation import Selections, score


@pytest.fixture
def views(blobs):
    """Two views of each row, (120, 12), and the labels."""
    X, y = blobs
    return np.hstack([X, X[:, ::-1] + 1]), y


def as_rows(X):
    return np.stack([X[:, :6], X[:, 6:]], axis=1).reshape(-1, 6)


def test_it_is_the_classifier_on_all_views(views):
    X, y = views
    inside = LinearProbe(random_state=0).fit(as_rows(X[:40]), np.repeat(y[:40], 2), X_pool=as_rows(X))
    model = MultiViewClassifier(LinearProbe(random_state=0)).fit(X[:40], y[:40], X_pool=X)
    np.testing.assert_array_equal(model.predict_proba(X), inside.predict_proba(X[:, :6]))
    np.testing.assert_array_equal(model.decision_function(X), inside.decision_function(X[:, :6]))
    assert model.n_features_in_ == 12
    nearest = MultiViewClassifier(CosineKNNClassifier()).fit(X, y, X_pool=X)  # which takes no pool
    assert nearest.score(X, y) == 1.0
    assert not hasattr(nearest, "decision_function")


def test_weights_go_with_each_view(views):
    X, y = views
    weights = np.linspace(0, 1, 120)
    model = MultiViewClassifier(LogisticRegression()).fit(X, y, sample_weight=weights)
    inside = LogisticRegression().fit(as_rows(X), np.repeat(y, 2), sample_weight=np.repeat(weights, 2))
    np.testing.assert_allclose(model.predict_proba(X), inside.predict_proba(X[:, :6]))


@pytest.mark.parametrize("inside", [LinearProbe(n_epochs=5), LogisticRegression()])
def test_many_are_what_each_is_alone(inside, views, monkeypatch):
    X, y = views
    draws = [np.random.default_rng(seed).permutation(120)[:30] for seed in range(3)]
    models = [MultiViewClassifier(inside.__class__(**inside.get_params())) for _ in draws]
    for seed, model in enumerate(models):
        model.set_params(classifier__random_state=seed)
    together = MultiViewClassifier.fit_many(models, ((X[rows], y[rows]) for rows in draws), X_pool=X)
    for seed, (rows, model) in enumerate(zip(draws, together, strict=True)):
        alone = MultiViewClassifier(inside).set_params(classifier__random_state=seed).fit(X[rows], y[rows], X_pool=X)
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-6)
        np.testing.assert_array_equal(model.classes_, alone.classes_)


def test_in_an_evaluation_and_with_a_sampler_on_the_first_view(views):
    X, y = views
    selections = Selections({("some", 30, 0): range(30)})
    found = score(selections, {"both": MultiViewClassifier()}, X[:60], y[:60], X[60:], y[60:], scoring="accuracy")
    expected = MultiViewClassifier(LinearProbe(random_state=0)).fit(X[:30], y[:30], X_pool=X[:60]).score(X[60:], y[60:])
    assert found.scores("some", 30, "both") == [expected]
    model = skal.LowBudgetClassifier(skal.samplers.KMeansSampler(9), MultiViewClassifier(), random_state=0)
    assert model.fit(X, y).predict(X).shape == (120,)


def test_what_are_no_views(views):
    X, y = views
    with pytest.raises(ValueError, match="12 features, which are not 5 views side by side"):
        MultiViewClassifier(n_views=5).fit(X, y)
