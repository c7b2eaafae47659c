"""The paper's NN."""

import sys

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from skal.classifiers import CosineKNNClassifier


@pytest.mark.parametrize("algorithm", ["torch", "faiss"])
@pytest.mark.parametrize("k", [1, 4])
def test_neighbours_are_scikit_learns(algorithm, k, digits):
    X_pool, X_test, y_pool, _ = digits
    ours = CosineKNNClassifier(k, algorithm=algorithm).fit(X_pool, y_pool)
    theirs = KNeighborsClassifier(k, metric="cosine").fit(X_pool.astype(np.float64), y_pool)
    distances, indices = ours.kneighbors(X_test)
    expected_distances, expected = theirs.kneighbors(X_test.astype(np.float64))
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(distances, expected_distances, atol=1e-6)
    np.testing.assert_array_equal(ours.predict_proba(X_test), theirs.predict_proba(X_test.astype(np.float64)))
    if k == 1:
        np.testing.assert_array_equal(ours.predict(X_test), theirs.predict(X_test.astype(np.float64)))


def test_a_tie_of_votes_goes_to_the_class_of_the_nearest():
    angles = np.deg2rad([1, 2, -3, -4, 30])
    X, y = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.array(["b", "a", "a", "b", "c"])
    nearest = CosineKNNClassifier(4).fit(X, y)
    assert nearest.predict([[1, 0]]).tolist() == ["b"]
    assert nearest.predict_proba([[1, 0]]).tolist() == [[0.5, 0.5, 0.0]]


def test_labelled_rows_are_not_their_own_neighbours(rng):
    X = rng.normal(size=(30, 4))
    X[7] = X[3]
    nearest = CosineKNNClassifier(2).fit(X, np.arange(30) % 3)
    indices = nearest.kneighbors(return_distance=False)
    assert indices.shape == (30, 2)
    assert not (indices == np.arange(30)[:, None]).any()
    assert indices[3, 0] == 7
    assert indices[7, 0] == 3
    copies = CosineKNNClassifier(1).fit(np.ones((6, 2)), np.arange(6))
    assert not (copies.kneighbors(return_distance=False)[:, 0] == np.arange(6))[[0, 1]].any()


def test_classes_that_were_not_shown_get_no_votes(blobs):
    X, y = blobs
    nearest = CosineKNNClassifier(3, classes=[-1, 0, 1, 2, 9]).fit(X, y)
    assert nearest.classes_.tolist() == [-1, 0, 1, 2, 9]
    assert (nearest.predict_proba(X)[:, [0, 4]] == 0).all()
    assert nearest.score(X, y) > 0.95


def test_too_few_labelled_rows(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match=r"5 neighbours are asked of n_samples_fit = 3"):
        CosineKNNClassifier(5).fit(X[:3], y[:3])


@pytest.mark.parametrize("k", [0, -1, 1.5])
def test_neighbours_that_mean_nothing(k, blobs):
    with pytest.raises(ValueError, match="n_neighbors must be an int"):
        CosineKNNClassifier().fit(*blobs).kneighbors(blobs[0], k)


def test_faiss_asked_for_by_name_and_missing(monkeypatch, blobs):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install skal\[cpu\]"):
        CosineKNNClassifier(algorithm="faiss").fit(*blobs)
    assert CosineKNNClassifier(algorithm="torch").fit(*blobs).score(*blobs) == 1.0
