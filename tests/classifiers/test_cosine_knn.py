"""The paper's NN."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import KNeighborsClassifier

from skal.classifiers import CosineKNNClassifier, _cosine_knn


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
    np.testing.assert_allclose(
        ours.predict_proba(X_test), theirs.predict_proba(X_test.astype(np.float64)), rtol=1e-15, atol=0
    )
    if k == 1:
        np.testing.assert_array_equal(ours.predict(X_test), theirs.predict(X_test.astype(np.float64)))


def test_a_tie_of_votes_goes_to_the_class_of_the_nearest():
    angles = np.deg2rad([1, 2, -3, -4, 30])
    X, y = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.array(["b", "a", "a", "b", "c"])
    nearest = CosineKNNClassifier(4).fit(X, y)
    assert nearest.predict([[1, 0]]).tolist() == ["b"]
    (shares,) = nearest.predict_proba([[1, 0]])
    assert shares.tolist() == [0.5, np.nextafter(0.5, 1), 0.0]


@given(
    rows=arrays(np.int8, st.tuples(st.integers(5, 20), st.just(2)), elements=st.integers(-2, 2)),
    k=st.integers(1, 5),
    seed=st.integers(0, 2**16),
)
def test_predict_is_the_argmax_of_predict_proba(rows, k, seed):
    y = np.random.default_rng(seed).integers(0, 4, size=len(rows))
    nearest = CosineKNNClassifier(k, classes=range(5)).fit(rows, y)
    queries = np.random.default_rng(seed).normal(size=(20, 2))
    shares = nearest.predict_proba(queries)
    np.testing.assert_array_equal(nearest.predict(queries), shares.argmax(axis=1))
    neighbors = nearest.kneighbors(queries, return_distance=False)
    for row, share in zip(neighbors, shares, strict=True):
        votes = np.bincount(y[row], minlength=5)
        np.testing.assert_allclose(share, votes / k, rtol=1e-15)
        assert share.argmax() == next(label for label in y[row] if votes[label] == votes.max())


def test_predict_needs_no_memory_for_each_row_and_class(monkeypatch, rng):
    X, y = rng.normal(size=(300, 8)), np.arange(300) % 100
    nearest = CosineKNNClassifier(3).fit(X, y)
    queries = rng.normal(size=(1000, 8))
    expected = nearest.predict(queries)
    n_counted = []
    count = _cosine_knn._count_votes
    monkeypatch.setattr(_cosine_knn, "_VOTES_AT_ONCE", 700)
    monkeypatch.setattr(_cosine_knn, "_count_votes", lambda *a: n_counted.append(count(*a).size) or count(*a))
    np.testing.assert_array_equal(nearest.predict(queries), expected)
    assert max(n_counted) <= 700


def cone(rng, n, spread, d=64):
    """Rows that differ from one direction by `spread` times a structure of three groups."""
    groups = rng.integers(0, 3, size=n)
    structure = 2 * rng.normal(size=(3, d))[groups] + rng.normal(size=(n, d))
    return 1 + spread * structure, groups


@pytest.mark.parametrize("algorithm", ["torch", "faiss"])
@pytest.mark.parametrize("spread", [1, 3e-4, 1e-6])
def test_a_tight_cone_of_rows_keeps_its_neighbours(spread, algorithm, rng):
    X, y = cone(rng, 500, spread)
    nearest = CosineKNNClassifier(algorithm=algorithm).fit(X[:400], np.arange(400))
    np.testing.assert_array_equal(nearest.predict(X[:400]), np.arange(400))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    expected = np.argmin(((unit[400:, None] - unit[None, :400]) ** 2).sum(axis=2), axis=1)
    np.testing.assert_array_equal(nearest.kneighbors(X[400:], return_distance=False)[:, 0], expected)
    assert CosineKNNClassifier(algorithm=algorithm).fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.95


def test_two_tight_cones_far_apart_keep_their_neighbours(rng):
    X, _ = cone(rng, 400, 3e-4)
    X[::2, :32] *= -1
    nearest = CosineKNNClassifier().fit(X, np.arange(400))
    np.testing.assert_array_equal(nearest.predict(X), np.arange(400))


def test_neighbours_of_integers_of_any_length(rng):
    X = rng.integers(-3, 4, size=(200, 5))
    longer = X * 2.0 ** rng.integers(-300, 300, size=(200, 1))
    queries = rng.normal(size=(50, 5))
    near, far = (CosineKNNClassifier(7).fit(rows, np.arange(200)) for rows in (X, longer))
    np.testing.assert_array_equal(*(n.kneighbors(queries, return_distance=False) for n in (near, far)))


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


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_neighbours_that_mean_nothing(k, blobs):
    with pytest.raises(ValueError, match="n_neighbors must be an int"):
        CosineKNNClassifier().fit(*blobs).kneighbors(blobs[0], k)


def test_faiss_asked_for_by_name_and_missing(monkeypatch, blobs):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r'pip install "skal-al\[faiss-cpu\]"'):
        CosineKNNClassifier(algorithm="faiss").fit(*blobs)
    assert CosineKNNClassifier(algorithm="torch").fit(*blobs).score(*blobs) == 1.0
