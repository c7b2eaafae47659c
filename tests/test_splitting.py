"""Labelled rows through scikit-learn's cross-validation: a mask arrives, row numbers never as other rows."""

import joblib
import numpy as np
import pytest
import sklearn
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skal
from skal.rounds import IterativeSampler, MultiKMeansSampler
from skal.samplers import KMeansSampler, MaxEntropySampler, RandomSampler

N = 120
LABELED = np.arange(0, 60, 4)  # in range of every fold of three


def mask():
    return np.isin(np.arange(N), LABELED)


def model():
    return skal.LowBudgetClassifier(RandomSampler(6), LogisticRegression(), random_state=0)


def in_threads(tool, *arguments, **options):
    with joblib.parallel_config("threading", n_jobs=2):
        return tool(*arguments, **options)


NUMBERS = {"few": LABELED, "as many as rows": np.random.default_rng(0).permutation(N), "a list": LABELED.tolist()}
TOOLS = {
    "cross_val_score": lambda X, y, **params: cross_val_score(model(), X, y, params=params, error_score="raise"),
    "cross_val_predict": lambda X, y, **params: cross_val_predict(model(), X, y, params=params),
    "GridSearchCV": lambda X, y, **params: GridSearchCV(model(), {"sampler__budget": [3, 6]}, error_score="raise").fit(
        X, y, **params
    ),
    "two jobs": lambda X, y, **params: in_threads(cross_val_score, model(), X, y, params=params, error_score="raise"),
    "CalibratedClassifierCV": lambda X, y, **params: CalibratedClassifierCV(model(), cv=3).fit(X, y, **params),
    "fit": lambda X, y, **params: model().fit(X, y, **params),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", NUMBERS)
def test_row_numbers_are_refused_by_the_classifier(tool, kind, blobs):
    with pytest.raises(ValueError, match=r"labeled_indices holds row numbers.*Pass a boolean mask"):
        TOOLS[tool](*blobs, labeled_indices=NUMBERS[kind])


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool != "CalibratedClassifierCV"])
def test_a_mask_arrives(tool, blobs):
    TOOLS[tool](*blobs, labeled_indices=mask())


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps what it was trained on."""

    trained_on = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.trained_on.append((np.asarray(X), np.asarray(y)))
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("is_routed", [False, True])
def test_a_mask_names_the_same_rows_in_every_fold(is_routed, blobs):
    X, y = blobs
    Recorder.trained_on.clear()
    with sklearn.config_context(enable_metadata_routing=is_routed):
        recording = skal.LowBudgetClassifier(RandomSampler(6), Recorder(), random_state=0)
        if is_routed:
            recording.set_fit_request(labeled_indices=True)
        pipeline = make_pipeline(StandardScaler(with_mean=False, with_std=False), recording)
        name = "labeled_indices" if is_routed else "lowbudgetclassifier__labeled_indices"
        cross_val_score(pipeline, X, y, params={name: mask()}, cv=KFold(3))
    for (train, _), (X_seen, y_seen) in zip(KFold(3).split(X), Recorder.trained_on, strict=True):
        known = np.intersect1d(train, LABELED)
        np.testing.assert_array_equal(X_seen[: len(known)], X[known])
        np.testing.assert_array_equal(y_seen[: len(known)], y[known])


@pytest.mark.parametrize(
    "sampler",
    [KMeansSampler(5), MaxEntropySampler(5), IterativeSampler(KMeansSampler(), (20,)), MultiKMeansSampler((20,))],
)
def test_row_numbers_are_refused_by_a_sampler_in_a_search(sampler, blobs):
    def n_picked(fitted, X, y):
        return len(fitted.selected_indices_)

    search = GridSearchCV(sampler, {"random_state": [0]}, scoring=n_picked, cv=3, error_score="raise")
    with pytest.raises(ValueError, match=r"part of scikit-learn's cross-validation.*Pass a boolean mask"):
        search.fit(*blobs, labeled_indices=LABELED)
    search.fit(*blobs, labeled_indices=mask())


def test_row_numbers_of_ones_own_are_taken_wherever_the_fit_runs(blobs):
    X, y = blobs

    def picks_of_its_own(fitted, X_test, y_test):
        mine = KMeansSampler(3, random_state=0).fit(X_test, labeled_indices=[0, 1]).selected_indices_
        return float(len(mine))

    assert (cross_val_score(model(), X, y, scoring=picks_of_its_own) == 3).all()
    pipeline = make_pipeline(StandardScaler(), KMeansSampler(3)).fit(X, kmeanssampler__labeled_indices=[0, 1])
    assert len(pipeline[-1].selected_indices_) == 3


def test_samplers_inside_the_classifier_pass_row_numbers_to_each_other(blobs):
    X, y = blobs
    rounds = skal.LowBudgetClassifier(IterativeSampler(MaxEntropySampler(), (20, 25)), random_state=0)
    assert (cross_val_score(rounds, X, y, params={"labeled_indices": mask()}, error_score="raise") > 0.5).all()
    resampled = make_imblearn_pipeline(IterativeSampler(MaxEntropySampler(), (6, 12)), LogisticRegression())
    assert (cross_val_score(resampled, X, y, error_score="raise") > 0.5).all()


def test_row_numbers_go_with_an_oracle_which_nothing_can_divide(blobs):
    X, y = blobs
    fitted = model().fit(X, lambda rows: y[rows], labeled_indices=LABELED, labels=y[LABELED])
    assert set(fitted.ledger_.labeled_indices) == {*LABELED, *fitted.selected_indices_}
    with pytest.raises(TypeError):
        cross_val_score(model(), X, lambda rows: y[rows], error_score="raise")
