"""The paper as one classifier, in scikit-learn's and imbalanced-learn's own tools."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skal
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.pool import _view
from skal.rounds import IterativeSampler, Ledger
from skal.samplers import GraphCoverageSampler, KMeansSampler, MaxEntropySampler, RandomSampler


def mask_of(rows, X):
    return np.isin(np.arange(len(X)), rows)


def test_only_the_picked_labels_are_looked_up(digits, counting_labels):
    X, X_test, y, y_test = digits
    labels = counting_labels(y)
    model = skal.LowBudgetClassifier(KMeansSampler(budget=50), LinearProbe(), random_state=0).fit(X, labels)
    assert set(labels.asked) == set(model.selected_indices_)
    assert model.score(X_test, y_test) > 0.7


def test_garbage_elsewhere_changes_nothing(digits):
    X, X_test, y, _ = digits
    clean = skal.LowBudgetClassifier(KMeansSampler(budget=30), random_state=0).fit(X, y)
    garbage = np.full(len(y), None, dtype=object)
    garbage[clean.selected_indices_] = y[clean.selected_indices_]
    dirty = skal.LowBudgetClassifier(KMeansSampler(budget=30), random_state=0).fit(X, garbage)
    np.testing.assert_array_equal(clean.predict(X_test), dirty.predict(X_test))


def test_a_grid_over_budgets(digits):
    X, X_test, y, y_test = digits
    model = skal.LowBudgetClassifier(KMeansSampler(random_state=0), LinearProbe(random_state=0))
    search = GridSearchCV(model, {"sampler__budget": [10, 30, 100]}, cv=3).fit(X, y)
    assert search.best_params_ == {"sampler__budget": 100}
    assert len(search.best_estimator_.selected_indices_) == 100
    assert search.score(X_test, y_test) > 0.8


def test_a_grid_over_strategies_and_classifiers(digits):
    X, _, y, _ = digits
    grid = {"sampler": [RandomSampler(30), KMeansSampler(30)], "classifier": [None, CosineKNNClassifier()]}
    search = GridSearchCV(skal.LowBudgetClassifier(random_state=0), grid, cv=3).fit(X, y)
    assert isinstance(search.best_params_["sampler"], KMeansSampler)


def test_parts_that_are_no_sampler_or_no_classifier(digits):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match="'sampler' parameter of LowBudgetClassifier must be an object implementing"):
        skal.LowBudgetClassifier(LinearProbe()).fit(X, y)
    with pytest.raises(ValueError, match="'classifier' parameter of LowBudgetClassifier must be an object impl"):
        skal.LowBudgetClassifier(KMeansSampler(), RandomSampler()).fit(X, y)


def test_in_a_pipeline(digits):
    X, X_test, y, y_test = digits
    model = make_pipeline(StandardScaler(), skal.LowBudgetClassifier(KMeansSampler(60), random_state=0))
    assert model.fit(X, y).score(X_test, y_test) > 0.7
    search = GridSearchCV(model, {"lowbudgetclassifier__sampler__budget": [10, 60]}, cv=2).fit(X, y)
    assert search.best_params_ == {"lowbudgetclassifier__sampler__budget": 60}


def test_a_sampler_in_imbalanced_learns_pipeline(digits):
    X, X_test, y, y_test = digits
    model = make_imblearn_pipeline(KMeansSampler(budget=60, random_state=0), LogisticRegression(max_iter=500))
    assert model.fit(X, y).score(X_test, y_test) > 0.7
    assert model[-1].n_features_in_ == 64


def test_a_mask_survives_cross_validation(digits):
    X, _, y, _ = digits
    mask = np.zeros(len(X), dtype=bool)
    mask[:40] = True
    scores = cross_val_score(
        skal.LowBudgetClassifier(KMeansSampler(20), random_state=0), X, y, params={"labeled_indices": mask}, cv=3
    )
    assert (scores > 0.6).all()


def test_rows_labelled_already_are_trained_on_and_not_picked(digits):
    X, _, y, _ = digits
    labeled = np.flatnonzero(y == 3)[:5]
    y = np.where(np.isin(np.arange(len(y)), labeled), 77, y)
    model = skal.LowBudgetClassifier(KMeansSampler(20), random_state=0).fit(X, y, labeled_indices=mask_of(labeled, X))
    assert 77 in model.classes_
    assert not np.isin(model.selected_indices_, labeled).any()


def test_the_seed_reaches_both_parts_and_none_leaves_theirs(blobs):
    X, y = blobs
    model = skal.LowBudgetClassifier(RandomSampler(5, random_state=1), LinearProbe(), random_state=0)
    first, second = (model.fit(X, y).selected_indices_ for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert model.sampler.random_state == 1
    assert model.classifier_.random_state is not None
    kept = skal.LowBudgetClassifier(RandomSampler(5, random_state=1)).fit(X, y).selected_indices_
    np.testing.assert_array_equal(kept, RandomSampler(5, random_state=1).fit_select(X))


def test_the_probe_is_given_the_pool(blobs):
    X, y = blobs
    model = skal.LowBudgetClassifier(KMeansSampler(9, random_state=0), LinearProbe(random_state=0)).fit(X, y)
    picks = model.selected_indices_
    by_hand = LinearProbe(random_state=0).fit(X[picks], y[picks], X_pool=X)
    np.testing.assert_array_equal(model.predict_proba(X), by_hand.predict_proba(X))


def test_frames_keep_their_names(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = skal.LowBudgetClassifier(random_state=0).fit(frame, pd.Series(y))
    assert model.feature_names_in_.tolist() == list("abcdef")
    assert model.classifier_.feature_names_in_.tolist() == list("abcdef")
    assert model.score(frame, y) > 0.9
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("fedcba")])


def test_methods_follow_the_classifier():
    assert hasattr(skal.LowBudgetClassifier(classifier=LinearProbe()), "decision_function")
    assert not hasattr(skal.LowBudgetClassifier(), "decision_function")
    assert not hasattr(skal.LowBudgetClassifier(classifier=CosineKNNClassifier()), "decision_function")
    assert hasattr(skal.LowBudgetClassifier(classifier=CosineKNNClassifier()), "predict_proba")


SAMPLERS = [
    KMeansSampler(12),
    MaxEntropySampler(0.1),
    IterativeSampler(MaxEntropySampler(), (5, 12), RandomSampler()),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_an_oracle_is_asked_for_the_picks_only(sampler, blobs):
    X, y = blobs
    asked = []

    def oracle(indices):
        asked.extend(indices)
        return y[indices]

    model = skal.LowBudgetClassifier(sampler, random_state=0).fit(X, oracle)
    simulated = skal.LowBudgetClassifier(sampler, random_state=0).fit(X, y)
    assert asked == model.selected_indices_.tolist() == simulated.selected_indices_.tolist()
    np.testing.assert_array_equal(model.predict_proba(X), simulated.predict_proba(X))
    assert type(model.sampler_) is type(sampler)
    np.testing.assert_array_equal(model.sampler_.select(), model.selected_indices_)
    np.testing.assert_array_equal(model.ledger_.labeled_indices, model.selected_indices_)
    assert not hasattr(simulated, "ledger_")


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_an_oracle_beside_labels_that_are_there(sampler, blobs):
    X, y = blobs
    labeled = np.array([70, 3, 99])
    model = skal.LowBudgetClassifier(sampler, random_state=0)
    model.fit(X, lambda indices: y[indices], labeled_indices=labeled, labels=y[labeled])
    simulated = skal.LowBudgetClassifier(sampler, random_state=0).fit(X, y, labeled_indices=mask_of(labeled, X))
    np.testing.assert_array_equal(model.selected_indices_, simulated.selected_indices_)
    assert set(model.ledger_.labeled_indices) == {*labeled, *model.selected_indices_}
    np.testing.assert_array_equal(model.predict_proba(X), simulated.predict_proba(X))


def test_an_oracle_that_fails_loses_nothing(blobs, tmp_path):
    X, y = blobs
    n_answers = 0

    def person(indices):
        nonlocal n_answers
        for row in indices:
            n_answers += 1
            if n_answers == 8:
                raise ConnectionError
            yield None if n_answers == 3 else y[row]

    model = skal.LowBudgetClassifier(KMeansSampler(10), random_state=0)
    with pytest.raises(ConnectionError):
        model.fit(X, person, ledger=tmp_path / "labels.jsonl")
    assert (len(model.ledger_.labels), len(model.ledger_.skipped)) == (6, 1)
    model.fit(X, person, ledger=tmp_path / "labels.jsonl")
    assert n_answers == 10 + 1 + 1  # one row set aside, one answer that did not come
    assert len(model.selected_indices_) == 10
    again = skal.LowBudgetClassifier(KMeansSampler(10), random_state=0).fit(X, person, ledger=tmp_path / "labels.jsonl")
    assert n_answers == 12
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_a_ledger_goes_with_an_oracle(blobs):
    X, y = blobs
    for more in ({"ledger": Ledger()}, {"labels": [1]}):
        with pytest.raises(ValueError, match="labels= and ledger= go with an oracle"):
            skal.LowBudgetClassifier().fit(X, y, **more)


def test_sampler_and_classifier_share_the_graph_of_the_pool(digits, monkeypatch):
    asked, find = [], _view.exact_neighbors
    monkeypatch.setattr(_view, "exact_neighbors", lambda *given: asked.append(given) or find(*given))
    X, X_test, y, y_test = digits
    model = skal.LowBudgetClassifier(GraphCoverageSampler(10)).fit(X, y)
    assert len(asked) == 1
    assert model.score(X_test, y_test) > 0.7
