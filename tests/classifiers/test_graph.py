"""Labels spread over a graph, against dense linear algebra."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning

import skal
from skal._core.graph import _propagation, _shares
from skal.classifiers import CosineKNNClassifier, GraphClassifier
from skal.pool import _view


def dense_graph(X, k):
    rows = X.astype(np.float64) / np.linalg.norm(X, axis=1, keepdims=True)
    sq_dist = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    np.fill_diagonal(sq_dist, np.inf)
    near = np.argsort(sq_dist, axis=1, kind="stable")[:, :k]
    W = np.zeros(sq_dist.shape)
    for row, columns in enumerate(near):
        W[row, columns] = np.exp(-4 * sq_dist[row, columns] / sq_dist[row, columns[-1]])
    return np.maximum(W, W.T)


def one_hot(n, idx, targets, n_classes):
    Y = np.zeros((n, n_classes))
    Y[idx, targets] = 1
    return Y / np.maximum(Y.sum(axis=0), 1)


@pytest.fixture
def pool(rng):
    """One connected shape with four uneven classes along it."""
    angle = np.sort(rng.uniform(0, 3, size=400))
    X = np.column_stack([np.cos(angle), np.sin(angle), 0.05 * rng.normal(size=(400, 3))])
    return X.astype(np.float32), np.digitize(angle, [0.5, 1.5, 2.0])


PICKS = np.array([10, 60, 70, 100, 150, 220, 250, 300, 390])


def test_spreading_is_the_dense_solution(pool):
    X, y = pool
    W = dense_graph(X, 10)
    scale = 1 / np.sqrt(W.sum(axis=1))
    S = scale[:, None] * W * scale
    F = 0.1 * np.linalg.solve(np.eye(400) - 0.9 * S, one_hot(400, PICKS, y[PICKS], 4))
    model = GraphClassifier(alpha=0.9).fit(X[PICKS], y[PICKS], X_pool=X)
    np.testing.assert_allclose(model.predict_proba(X), F / F.sum(axis=1, keepdims=True), atol=1e-4)
    np.testing.assert_array_equal(model.transduction_, F.argmax(axis=1))
    np.testing.assert_array_equal(model.predict(X), F.argmax(axis=1))


def test_poisson_is_the_dense_solution(pool):
    X, y = pool
    W = dense_graph(X, 10)
    Y = one_hot(400, PICKS, y[PICKS], 4)
    mass = Y.sum(axis=1)
    u = np.linalg.lstsq(np.diag(W.sum(axis=1)) - W, Y - mass[:, None] * Y.sum(axis=0) / mass.sum(), rcond=None)[0]
    u -= W.sum(axis=1) @ u / W.sum()
    model = GraphClassifier("poisson").fit(X[PICKS], y[PICKS], X_pool=X)
    np.testing.assert_array_equal(model.transduction_, u.argmax(axis=1))
    lifted = u - u.min(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), lifted / lifted.sum(axis=1, keepdims=True), atol=1e-4)


@pytest.mark.parametrize("method", ["spreading", "poisson"])
def test_many_classes_in_blocks(method, rng, monkeypatch):
    X, y = rng.normal(size=(300, 6)), np.arange(300) % 30
    picks = np.arange(0, 300, 2)
    whole = GraphClassifier(method).fit(X[picks], y[picks], X_pool=X)
    monkeypatch.setattr(_propagation, "_ELEMENTS_AT_ONCE", 300 * 7)
    blocks = GraphClassifier(method).fit(X[picks], y[picks], X_pool=X)
    np.testing.assert_allclose(blocks.predict_proba(X), whole.predict_proba(X), atol=1e-9)


def test_the_largest_of_many_classes_are_kept(rng, monkeypatch):
    X, y = rng.normal(size=(300, 6)), np.arange(300) % 30
    picks = np.arange(0, 300, 2)
    whole = GraphClassifier("poisson").fit(X[picks], y[picks], X_pool=X)
    monkeypatch.setattr(_propagation, "_ELEMENTS_AT_ONCE", 300 * 3)  # less than what is kept
    monkeypatch.setattr(_shares, "_KEPT", 5)
    with config_context(working_memory=0.001):
        kept = GraphClassifier("poisson").fit(X[picks], y[picks], X_pool=X)
    np.testing.assert_array_equal(kept.transduction_, whole.transduction_)
    np.testing.assert_array_equal(kept.predict(X), whole.predict(X))
    expected = whole.predict_proba(X)
    expected[expected < np.sort(expected, axis=1)[:, -5:-4]] = 0
    np.testing.assert_allclose(kept.predict_proba(X), expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_many_classes_spread_sparsely_as_the_whole(rng):
    centers = rng.normal(size=(400, 16))
    y = rng.integers(100, size=3000)
    X = centers[4 * y + rng.integers(4, size=3000)] + 0.5 * rng.normal(size=(3000, 16))
    picks = rng.choice(3000, 300, replace=False)
    whole = GraphClassifier().fit(X[picks], y[picks], X_pool=X)
    with config_context(working_memory=1):
        kept = GraphClassifier().fit(X[picks], y[picks], X_pool=X)
        twice = GraphClassifier().fit(X[picks], y[picks], X_pool=X)
    assert kept.n_iter_ == 90
    assert (kept.transduction_ == whole.transduction_).mean() > 0.98
    np.testing.assert_array_equal(kept.predict_proba(X), twice.predict_proba(X))
    probabilities = kept.predict_proba(X)
    assert ((probabilities > 0).sum(axis=1) <= 16).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    expected = np.where(probabilities > 0, whole.predict_proba(X), 0)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.abs(probabilities - expected).sum(axis=1).mean() < 0.15


def test_too_few_steps_are_told(rng):
    X, y = rng.normal(size=(400, 6)), np.arange(400) % 40
    with config_context(working_memory=0.01), pytest.warns(ConvergenceWarning, match="30 iterations"):
        model = GraphClassifier(max_iter=30).fit(X[::2], y[::2], X_pool=X)
    assert model.n_iter_ == 30


@pytest.mark.parametrize("method", ["spreading", "poisson"])
def test_parts_that_no_label_reaches(method, rng):
    directions = np.eye(4)
    part = np.repeat([0, 1, 2, 3], 30)
    X = directions[part] + 0.01 * rng.normal(size=(120, 4))
    X[part == 3] += 0.3 * directions[2]  # nearer to the third part than to others, but apart
    picks, y = np.array([0, 40, 41, 80]), np.array([5, 6, 7, 8])
    model = GraphClassifier(method, n_neighbors=4).fit(X[picks], y, X_pool=X)
    found = model.transduction_
    assert set(found[part == 0]) == {5}
    assert set(found[part == 1]) <= {6, 7}
    assert set(found[part == 2]) == {8}
    nearest = CosineKNNClassifier().fit(X[picks], y)
    np.testing.assert_array_equal(found[part == 3], nearest.predict(X[part == 3]))
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_only_what_the_labels_of_a_block_reach_is_solved(rng, monkeypatch):
    part = np.repeat([0, 1, 2, 3], [20, 30, 40, 50])
    X = np.eye(4)[part] + 0.01 * rng.normal(size=(140, 4))
    picks = np.array([3, 25, 26, 60, 100, 101])
    y = np.array([0, 1, 2, 3, 4, 5])
    whole = GraphClassifier(n_neighbors=4).fit(X[picks], y, X_pool=X)
    sizes, solve = [], _propagation.solve_on_graph
    monkeypatch.setattr(_propagation, "solve_on_graph", lambda *a, **o: sizes.append(a[2].shape) or solve(*a, **o))
    monkeypatch.setattr(_propagation, "_ELEMENTS_AT_ONCE", 140)  # one class at a time
    blocks = GraphClassifier(n_neighbors=4).fit(X[picks], y, X_pool=X)
    assert sizes == [(20, 1), (30, 1), (30, 1), (40, 1), (50, 1), (50, 1)]
    np.testing.assert_allclose(blocks.predict_proba(X), whole.predict_proba(X), atol=1e-7)


def test_votes_travel_along_the_pool(rng):
    """Two half circles, one label on each: the far ends are nearer to the other's label."""
    angle = rng.uniform(0, np.pi, size=800)
    y = np.repeat([0, 1], 400)
    X = np.column_stack([np.cos(angle) + y, np.sin(angle) * (1 - 2 * y) + 0.4 * y]) + 0.03 * rng.normal(size=(800, 2))
    picks = np.array([np.argmax(X[:400, 1]), 400 + np.argmin(X[400:, 1])])
    model = GraphClassifier(metric="euclidean", alpha=0.99).fit(X[picks], y[picks], X_pool=X)
    assert (model.transduction_ == y).mean() > 0.99
    nearer = ((X[:, None] - X[picks]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearer == y).mean() < 0.9


def test_new_rows_ask_their_neighbours_in_the_pool(pool, rng):
    X, y = pool
    model = GraphClassifier(n_neighbors=5).fit(X[PICKS], y[PICKS], X_pool=X)
    known = model.predict_proba(X)
    new = X[[33, 310]] + 0.01
    rows = new.astype(float) / np.linalg.norm(new, axis=1, keepdims=True)
    units = X.astype(float) / np.linalg.norm(X, axis=1, keepdims=True)
    for row, found in zip(rows, model.predict_proba(new), strict=True):
        sq_dist = ((units - row) ** 2).sum(axis=1)
        near = np.argsort(sq_dist)[:5]
        weights = np.exp(-4 * sq_dist[near] / sq_dist[near[-1]])
        np.testing.assert_allclose(found, weights @ known[near] / weights.sum(), atol=1e-4)


def test_a_labelled_row_from_outside_votes_through_its_neighbours(pool):
    X, y = pool
    inside = np.setdiff1d(np.arange(400), PICKS)
    model = GraphClassifier().fit(X[PICKS], y[PICKS], X_pool=X[inside])
    assert (model.transduction_ == y[inside]).mean() > 0.9


def test_a_partly_labelled_y_stands_for_the_pool(pool):
    X, y = pool
    partly = np.full(400, np.nan)
    partly[PICKS] = y[PICKS]
    expected = GraphClassifier().fit(X[PICKS], y[PICKS], X_pool=X)
    np.testing.assert_array_equal(GraphClassifier().fit(X, partly).transduction_, expected.transduction_)


def test_copies_share_their_labels(rng):
    X = np.repeat(rng.normal(size=(6, 3)), 5, axis=0)
    model = GraphClassifier(n_neighbors=3).fit(X[[1, 7]], ["a", "b"], X_pool=X)
    np.testing.assert_array_equal(model.predict(X[:10]), np.repeat(["a", "b"], 5))


def test_class_priors_move_the_border(pool):
    X, y = pool
    shares = [
        (GraphClassifier(class_prior=[prior, 1, 1, 1]).fit(X[PICKS], y[PICKS], X_pool=X).transduction_ == 0).mean()
        for prior in (0.01, 1, 100)
    ]
    assert shares[0] < shares[1] < shares[2]
    with pytest.raises(ValueError, match="class_prior must hold a positive number for each of the 4 classes"):
        GraphClassifier(class_prior=[1, 2]).fit(X[PICKS], y[PICKS], X_pool=X)


def test_a_class_without_labels_has_no_votes(pool):
    X, y = pool
    for method in ("spreading", "poisson"):
        model = GraphClassifier(method, classes=range(6)).fit(X[PICKS], y[PICKS], X_pool=X)
        assert (model.predict_proba(X)[:, 4:] == 0).all() or method == "poisson"
        assert set(model.predict(X)) <= {0, 1, 2, 3}


def test_too_few_iterations_are_told(pool):
    X, y = pool
    with pytest.warns(ConvergenceWarning, match="2 iterations were too few for alpha=0.95 and tol=1e-08"):
        GraphClassifier(max_iter=2).fit(X[PICKS], y[PICKS], X_pool=X)


def test_an_opened_pool_keeps_its_graph(pool, monkeypatch):
    X, y = pool
    asked, find = [], _view.exact_neighbors
    monkeypatch.setattr(_view, "exact_neighbors", lambda *given: asked.append(given) or find(*given))
    opened = skal.Pool(X)
    found = [GraphClassifier().fit(X[PICKS], y[PICKS], X_pool=opened).transduction_ for _ in range(2)]
    assert len(asked) == 1
    np.testing.assert_array_equal(found[0], GraphClassifier().fit(X[PICKS], y[PICKS], X_pool=X).transduction_)
    model = pickle.loads(pickle.dumps(GraphClassifier().fit(X[PICKS], y[PICKS], X_pool=opened)))
    np.testing.assert_array_equal(model.predict(X), found[0])
