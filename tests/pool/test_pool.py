"""A pool that is opened once and passed wherever X goes."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.model_selection import cross_val_score

import skal
from skal._core.rows import PreparedRows
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import budget_curve
from skal.pool import _pool
from skal.samplers import CoreSetSampler, KMeansSampler, MaxEntropySampler, RandomSampler, UniformKMeansSampler


@pytest.fixture
def X(rng):
    return rng.normal(size=(3000, 24)).astype(np.float16)


def test_its_content_is_read_once(X, monkeypatch):
    read, fingerprint = [], _pool.fingerprint
    monkeypatch.setattr(_pool, "fingerprint", lambda source: read.append(source) or fingerprint(source))
    pool = skal.Pool(X)
    assert pool.fingerprint() == pool.fingerprint() == fingerprint(X) == fingerprint(pool)
    assert pickle.loads(pickle.dumps(pool)).fingerprint() == fingerprint(X)
    assert len(read) == 1
    assert skal.Pool(X + 1).fingerprint() != pool.fingerprint()
    frame = pd.DataFrame(X)
    assert skal.Pool(frame).fingerprint() == fingerprint(frame) != fingerprint(frame.rename(columns={0: 9}))


SAMPLERS = [
    RandomSampler(random_state=0), KMeansSampler(80, random_state=0), CoreSetSampler(30),
    KMeansSampler(75, algorithm="lloyd", random_state=1), KMeansSampler(20, metric="euclidean", random_state=0),
    UniformKMeansSampler(random_state=0), MaxEntropySampler(random_state=0),
]  # fmt: skip


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
@pytest.mark.slow
def test_the_picks_are_those_from_the_array(sampler, X):
    y = np.arange(len(X)) % 5
    labeled = np.arange(40)
    pool = skal.Pool(X)
    expected = sampler.fit(X, y, labeled_indices=labeled).selected_indices_
    for _ in range(2):
        np.testing.assert_array_equal(sampler.fit(pool, y, labeled_indices=labeled).selected_indices_, expected)


def test_several_fits_read_the_rows_once(X, monkeypatch):
    n_prepared, fill = [], PreparedRows._fill

    def counting(self, rows, start):
        n_prepared.append(len(rows))
        fill(self, rows, start)

    monkeypatch.setattr(PreparedRows, "_fill", counting)
    pool = skal.Pool(X)
    samplers = [
        RandomSampler(), KMeansSampler(70, algorithm="restricted"), CoreSetSampler(5),
        KMeansSampler(90, algorithm="restricted"), KMeansSampler(5), UniformKMeansSampler(),
    ]  # fmt: skip
    for sampler in samplers[1:]:
        sampler.fit(pool)
    assert sum(n_prepared) == len(X)
    for sampler in samplers:
        sampler.fit(X)
    assert sum(n_prepared) >= 5 * len(X)


def test_a_pool_goes_wherever_rows_go(X, digits):
    X_pool, X_test, y_pool, y_test = digits
    pool = skal.Pool(X_pool)
    model, same = (skal.LowBudgetClassifier(random_state=0).fit(rows, y_pool) for rows in (pool, X_pool))
    assert model.score(X_test, y_test) == same.score(X_test, y_test) > 0.4
    np.testing.assert_array_equal(model.predict(pool), same.predict(X_pool))
    curves = [
        budget_curve({"K-means": KMeansSampler()}, {"NN": CosineKNNClassifier()}, rows, y_pool, X_test, y_test, [5])
        for rows in (pool, X_pool)
    ]
    assert str(curves[0]) == str(curves[1])
    scores = [cross_val_score(skal.LowBudgetClassifier(random_state=0), rows, y_pool, cv=2) for rows in (pool, X_pool)]
    np.testing.assert_array_equal(*scores)
    sampler = KMeansSampler(5, random_state=0).fit(pool)
    np.testing.assert_array_equal(sampler.select(skal.Pool(X_test)), sampler.select(X_test))
    probe = LinearProbe(random_state=0).fit(X_pool[:50], y_pool[:50])
    np.testing.assert_array_equal(probe.predict(pool), probe.predict(X_pool))


def test_names_of_features_are_checked(X):
    frame = pd.DataFrame(X.astype(float), columns=[f"f{i}" for i in range(24)])
    pool = skal.Pool(frame)
    sampler = KMeansSampler(5).fit(pool)
    assert sampler.feature_names_in_.tolist() == pool.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        sampler.select(skal.Pool(frame.rename(columns={"f0": "other"})))
    with pytest.raises(ValueError, match="feature names"):
        sampler.select(skal.Pool(frame.iloc[:, :5]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_row_is_named_by_whoever_passes_first(bad, X):
    X[2500, 3] = bad
    for sampler in SAMPLERS:
        pool = skal.Pool(X)
        for _ in range(2):
            with pytest.raises(ValueError, match="row 2500 is the first"):
                sampler.fit(pool, np.zeros(len(X), dtype=int), labeled_indices=[1])
    with pytest.raises(ValueError, match="row 2500 is the first"):
        _ = skal.Pool(X).X


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (np.zeros(5), {}, "2D array"),
        (np.zeros((5, 2), dtype=complex), {}, "Complex"),
        (np.zeros((5, 2)), {"metric": "manhattan"}, "metric='manhattan' is not known; use one of cosine, euclidean"),
    ],
)
def test_what_is_no_pool(rows, options, message):
    with pytest.raises(ValueError, match=message):
        skal.Pool(rows, **options)


def test_rows_are_given_as_they_came(X):
    assert skal.Pool(X).X is X
    tensor = torch.from_numpy(X)
    assert torch.equal(skal.Pool(tensor)[[3, 1]], tensor[[3, 1]])
    np.testing.assert_array_equal(skal.Pool(X)[np.arange(3000) < 2], X[:2])
    np.testing.assert_array_equal(np.asarray(skal.Pool(X)), X)
    assert len(skal.Pool(X)) == 3000
    assert skal.Pool(X).shape == X.shape


def test_a_pickled_pool_is_its_rows(X):
    pool = skal.Pool(X, metric="euclidean")
    KMeansSampler(5, random_state=0).fit(pool)
    size = len(pickle.dumps(pool))
    assert size < 1.1 * X.nbytes
    again = pickle.loads(pickle.dumps(pool))
    assert repr(again) == repr(pool) == "Pool(3000 × 24 float16, metric='euclidean')"
    np.testing.assert_array_equal(again.X, X)


def test_little_memory_changes_nothing(X):
    expected = KMeansSampler(80, random_state=0).fit_select(X)
    with config_context(working_memory=0.05):
        pool = skal.Pool(X)
        for _ in range(2):
            np.testing.assert_array_equal(KMeansSampler(80, random_state=0).fit_select(pool), expected)
