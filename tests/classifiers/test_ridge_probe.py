"""Ridge regression as a classifier."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.preprocessing import normalize

from skal.classifiers import LinearProbe, RidgeProbe
from skal.evaluation import budget_curve
from skal.samplers import RandomSampler


def in_float64(digits):
    """Unit rows of float32 are rounded to float32."""
    X, X_test, y, y_test = digits
    return X.astype(float), X_test.astype(float), y, y_test


def one_hot(y):
    return np.eye(y.max() + 1)[y]


def by_hand_on_a_pool(X, y, pool, alpha, offset):
    """Ridge regression around the mean of the pool, and its mean squared leave-one-out error by refitting."""
    center = normalize(pool).mean(axis=0)
    rows = normalize(X) - center
    unit = np.square(rows).sum(axis=1).mean()

    def augmented(rows):
        return np.hstack([rows, np.full((len(rows), 1), np.sqrt(offset * unit))])

    def fit(some):
        return Ridge(alpha * unit, fit_intercept=False).fit(augmented(rows[some]), one_hot(y)[some] - 0.1)

    everything = np.arange(len(X))
    others = [everything[everything != row] for row in everything]
    left_out = np.concatenate([fit(rest).predict(augmented(rows[[row]])) for row, rest in enumerate(others)])
    counts = np.bincount(y)
    error = np.square(one_hot(y) - 0.1 - left_out).sum(axis=1)[counts[y] > 1].mean()
    return (lambda test: fit(everything).predict(augmented(normalize(test) - center)) + 0.1), error


@pytest.mark.parametrize("is_uneven", [False, True])
def test_on_a_pool_it_is_ridge_regression_around_the_mean_of_the_pool(is_uneven, digits):
    X, X_test, y, _ = in_float64(digits)
    labeled = np.arange(60)
    if is_uneven:
        labeled = np.union1d(np.flatnonzero(y == 3)[:50], labeled)
    probe = RidgeProbe(alphas=[0.3]).fit(X[labeled], y[labeled], X_pool=X)
    candidates = [by_hand_on_a_pool(X[labeled], y[labeled], X, 0.3, offset) for offset in (0, 0.1)]
    (predict, error), (_, other_error) = candidates[::-1] if is_uneven else candidates
    assert error < other_error
    assert probe.loo_error_ == pytest.approx(error)
    scores = predict(X_test)
    np.testing.assert_allclose(probe.decision_function(X_test), probe.logit_scale_ * scores, atol=1e-8)
    np.testing.assert_allclose(probe.predict_proba(X_test), softmax(probe.logit_scale_ * scores, axis=1), atol=1e-9)
    np.testing.assert_array_equal(probe.predict(X_test), scores.argmax(axis=1))


@pytest.mark.parametrize("scaling", ["l2", None])
@pytest.mark.parametrize("n", [50, 600])
def test_without_a_pool_it_is_ridge_regression_with_an_intercept(n, scaling, digits, rng):
    X, X_test, y, _ = in_float64(digits)
    weights = rng.uniform(0.1, 5, size=n)
    probe = RidgeProbe(alphas=[2.0], scaling=scaling).fit(X[:n], y[:n], sample_weight=weights)
    prepare = normalize if scaling else np.asarray
    rows, test = prepare(X[:n]), prepare(X_test)
    weights /= weights.mean()
    center = weights @ rows / n
    penalty = 2 * np.mean(weights * np.square(rows - center).sum(axis=1))
    by_hand = Ridge(penalty).fit(rows, one_hot(y[:n]), sample_weight=weights)
    np.testing.assert_allclose(probe.decision_function(X_test), probe.logit_scale_ * by_hand.predict(test), atol=1e-7)


def test_the_penalty_has_the_least_leave_one_out_error(digits):
    X, _, y, _ = digits
    alphas = np.logspace(-4, 2, 19)
    probe = RidgeProbe().fit(X[:100], y[:100], X_pool=X)
    errors = [RidgeProbe(alphas=[alpha]).fit(X[:100], y[:100], X_pool=X).loo_error_ for alpha in alphas]
    assert probe.alpha_ == alphas[np.argmin(errors)]
    assert probe.loo_error_ == min(errors)
    assert 0 < np.argmin(errors) < 18


@pytest.mark.parametrize("with_pool", [False, True])
def test_integer_weights_are_repetitions_and_their_unit_does_not_matter(with_pool, digits, rng):
    X, X_test, y, _ = digits
    weights = rng.integers(0, 4, size=80)
    pool = {"X_pool": X} if with_pool else {}
    weighted = RidgeProbe().fit(X[:80], y[:80], sample_weight=weights, **pool)
    repeated = RidgeProbe().fit(np.repeat(X[:80], weights, axis=0), np.repeat(y[:80], weights), **pool)
    scaled = RidgeProbe().fit(X[:80], y[:80], sample_weight=weights / 7, **pool)
    for other in (repeated, scaled):
        assert other.alpha_ == weighted.alpha_
        np.testing.assert_allclose(other.predict_proba(X_test), weighted.predict_proba(X_test), atol=1e-9)


def test_copies_with_different_labels_are_one_row_between_the_classes():
    X = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.2]])
    probe = RidgeProbe().fit(X, ["a", "b", "a", "b"])
    np.testing.assert_allclose(probe.predict_proba(X[:1]).sum(), 1)
    copies = RidgeProbe().fit(X[:2], ["a", "b"])
    np.testing.assert_allclose(copies.predict_proba(X), 0.5)


def test_class_weights_are_those_of_the_rows(digits):
    X, X_test, y, _ = digits
    y = (y == 3).astype(int)
    weights = np.where(y[:90] == 1, 5.0, 1.0)
    by_class = RidgeProbe(class_weight={0: 1, 1: 5}).fit(X[:90], y[:90], X_pool=X)
    by_row = RidgeProbe().fit(X[:90], y[:90], sample_weight=weights, X_pool=X)
    np.testing.assert_allclose(by_class.predict_proba(X_test), by_row.predict_proba(X_test), atol=1e-12)
    assert by_class.coef_.shape == (1, 64)
    assert by_class.decision_function(X_test).shape == (600,)
    plain = RidgeProbe().fit(X[:90], y[:90])
    assert plain.predict(X_test).mean() < RidgeProbe(class_weight="balanced").fit(X[:90], y[:90]).predict(X_test).mean()


@pytest.mark.parametrize("seen", [[0], [1], [0, 2], [3]])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_classes_that_were_not_shown_get_probability_zero(seen, n_classes, blobs):
    X, y = blobs
    if max(seen) >= n_classes:
        pytest.skip("not among the classes")
    y = np.array(seen)[y % len(seen)]
    probe = RidgeProbe(classes=range(n_classes)).fit(X, y, X_pool=X)
    probabilities = probe.predict_proba(X)
    assert probabilities.shape == (len(X), n_classes)
    assert (probabilities[:, [c for c in range(n_classes) if c not in seen]] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert set(probe.predict(X)) <= set(seen)
    assert np.isnan(probe.alpha_) == (len(seen) == 1)


def test_one_label_a_class_is_enough(digits):
    X, X_test, y, y_test = digits
    first = [np.flatnonzero(y == c)[0] for c in range(10)]
    probe = RidgeProbe().fit(X[first], y[first], X_pool=X)
    assert probe.score(X_test, y_test) > 0.5
    assert probe.logit_scale_ == pytest.approx(10 / probe.loo_error_, rel=1e-4)
    assert 0.3 < probe.predict_proba(X_test).max(axis=1).mean() < 0.9


def test_probabilities_are_about_right(digits):
    X, X_test, y, y_test = digits
    for n in (30, 100, 600):
        probe = RidgeProbe().fit(X[:n], y[:n], X_pool=X)
        assert abs(probe.predict_proba(X_test).max(axis=1).mean() - probe.score(X_test, y_test)) < 0.15


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_common_scale_of_the_features_does_not_matter(scale, digits):
    X, X_test, y, _ = digits
    X, X_test = X.astype(float), X_test.astype(float)
    for scaling in ("l2", None):
        probe = RidgeProbe(scaling=scaling)
        expected = probe.fit(X[:50], y[:50], X_pool=X).predict_proba(X_test)
        found = probe.fit(scale * X[:50], y[:50], X_pool=scale * X).predict_proba(scale * X_test)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_many_at_once_are_each_by_itself(digits):
    X, _, y, _ = digits
    draws = [np.random.default_rng(seed).permutation(len(X))[:n] for seed, n in enumerate((10, 40, 90))]
    probes = [RidgeProbe(), RidgeProbe(scaling=None), RidgeProbe(classes=range(12))]
    alone = [clone(p).fit(X[rows], y[rows], X_pool=X) for p, rows in zip(probes, draws, strict=True)]
    together = RidgeProbe.fit_many(probes, ((X[rows], y[rows]) for rows in draws), X_pool=X)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.coef_, other.coef_)
    with pytest.raises(ValueError, match="occurs twice"):
        RidgeProbe.fit_many([probes[0], probes[0]], [(X, y)] * 2)
    with pytest.raises(ValueError, match="2 probes need as many"):
        RidgeProbe.fit_many(probes[:2], [(X, y)])


def test_evaluation_gives_it_the_pool(digits):
    X, X_test, y, y_test = digits
    curve = budget_curve(
        {"Random": RandomSampler()}, {"ridge": RidgeProbe()}, X, y, X_test, y_test, budgets=[30], n_seeds=1
    )
    picks = RandomSampler(30, random_state=0).fit_select(X)
    probe = RidgeProbe().fit(X[picks], y[picks], X_pool=X)
    (found,) = [row["mean"] for row in curve.to_rows() if row["metric"] == "accuracy"]
    assert found == probe.score(X_test, y_test)
    assert found != RidgeProbe().fit(X[picks], y[picks]).score(X_test, y_test)


def test_a_pool_of_another_scale_is_warned_of(digits):
    X, _, y, _ = digits
    with pytest.warns(UserWarning, match="X_pool is not the pool of these rows"):
        RidgeProbe(scaling=None).fit(100 * X[:50], y[:50], X_pool=X)
    with pytest.warns(UserWarning, match="X_pool is not the pool of these rows"):
        RidgeProbe().fit(X[:50] - X.mean(axis=0), y[:50], X_pool=X)


@pytest.mark.parametrize("alphas", [[], [0.0], [-1.0], [np.nan], [[1.0]]])
def test_penalties_that_mean_nothing_are_refused(alphas, blobs):
    with pytest.raises(ValueError, match="alphas must be positive"):
        RidgeProbe(alphas=alphas).fit(*blobs)


def test_the_two_probes_share_how_they_predict():
    assert LinearProbe.predict_proba is RidgeProbe.predict_proba
