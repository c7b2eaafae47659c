"""The paper's LIN."""

import warnings

import numpy as np
import pytest
import sklearn
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from skal._core.moments import pool_moments
from skal.classifiers import LinearProbe, _scaling


def test_coefficients_act_on_the_features_as_given(blobs):
    X, y = blobs
    probe = LinearProbe(random_state=0).fit(X, y)
    assert probe.coef_.shape == (3, 6)
    logits = X @ probe.coef_.T + probe.intercept_
    np.testing.assert_allclose(probe.decision_function(X), logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(probe.predict_proba(X), softmax(logits, axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(probe.predict(X), probe.classes_[logits.argmax(axis=1)])
    assert len(probe.loss_curve_) == 100
    assert probe.loss_curve_[-1] < 0.3 * probe.loss_curve_[0]


def test_it_reaches_the_optimum_that_logistic_regression_finds(rng):
    X = rng.normal(size=(300, 4))
    y = (X[:, 0] + rng.logistic(size=300) > 0).astype(int) + (X[:, 1] + rng.logistic(size=300) > 1)
    probe = LinearProbe(lr=0.05, n_epochs=800, milestones=(400, 600), batch_size=300).fit(X, y)
    reference = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(probe.predict_proba(X), reference.predict_proba(X), atol=2e-3)


def test_two_classes_have_one_column(blobs):
    X, y = blobs
    probe = LinearProbe(random_state=0).fit(X[y < 2], y[y < 2])
    assert probe.coef_.shape == (1, 6)
    assert probe.decision_function(X).shape == (len(X),)
    np.testing.assert_allclose(probe.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(probe.predict(X), (probe.decision_function(X) > 0).astype(int))


@pytest.mark.parametrize("seen", [[0], [1], [0, 2], [3]])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_classes_that_were_not_shown_get_probability_zero(seen, n_classes, blobs):
    X, y = blobs
    if max(seen) >= n_classes:
        pytest.skip("not among the classes")
    y = np.array(seen)[y % len(seen)]
    probe = LinearProbe(classes=range(n_classes), random_state=0).fit(X, y)
    assert probe.classes_.tolist() == list(range(n_classes))
    probabilities = probe.predict_proba(X)
    assert probabilities.shape == (len(X), n_classes)
    unseen = [c for c in range(n_classes) if c not in seen]
    assert (probabilities[:, unseen] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert set(probe.predict(X)) <= set(seen)


def test_one_class_only_is_predicted():
    probe = LinearProbe().fit(np.eye(3), ["only"] * 3)
    assert probe.predict(np.zeros((2, 3))).tolist() == ["only", "only"]
    assert probe.predict_proba(np.zeros((2, 3))).tolist() == [[1.0], [1.0]]
    assert probe.loss_curve_ == []


def test_standardisation_takes_its_statistics_from_the_pool(rng):
    pool = rng.normal(size=(5000, 4)) * [1, 10, 0.1, 0] + [0, 5, -3, 2]
    X, y = pool[:40], rng.integers(0, 2, size=40)
    with_pool = LinearProbe(random_state=0).fit(X, y, X_pool=pool)
    by_hand = LinearProbe(scaling=None, random_state=0).fit(StandardScaler().fit(pool).transform(X), y)
    np.testing.assert_allclose(
        with_pool.decision_function(X), by_hand.decision_function(StandardScaler().fit(pool).transform(X)), atol=1e-6
    )
    alone = LinearProbe(random_state=0).fit(X, y)
    by_hand = LinearProbe(scaling=None, random_state=0).fit(StandardScaler().fit_transform(X), y)
    np.testing.assert_allclose(
        alone.decision_function(X), by_hand.decision_function(StandardScaler().fit_transform(X)), atol=1e-6
    )
    assert not np.allclose(alone.decision_function(X), with_pool.decision_function(X), atol=1e-3)


@pytest.mark.parametrize("with_pool", [False, True])
@pytest.mark.parametrize(
    ("exponent", "dtype"), [(e, np.float32) for e in (-40, -25, 12, 25, 36)] + [(-100, float), (100, float)]
)
def test_the_scale_of_the_features_does_not_matter(exponent, dtype, with_pool, digits):
    X, X_test, y, _ = digits  # some pixels are constant
    given = [(rows.astype(np.float64) * 10.0**exponent).astype(dtype) for rows in (X - 8, X_test - 8)]
    ordinary = [rows.astype(dtype) - 8 for rows in (X, X_test)]
    accuracies = []
    for pool, test in (ordinary, given):
        probe = LinearProbe(random_state=0).fit(pool[:100], y[:100], X_pool=pool if with_pool else None)
        assert np.isfinite(probe.decision_function(test)).all()
        accuracies.append(np.mean(probe.predict(test) == digits[3]))
    assert accuracies[0] > 0.8
    assert abs(accuracies[1] - accuracies[0]) < 0.01


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_a_scale_that_float64_cannot_square_is_refused(scale, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="multiply all features by a constant"):
        LinearProbe().fit(scale * X.astype(float), y)


@pytest.mark.parametrize("scale", [1e25, 1e-25])
def test_features_that_unscaled_teach_nothing_are_warned_of(scale, blobs):
    X, y = blobs
    with pytest.warns(UserWarning, match="Adam learns nothing from features of that size"):
        LinearProbe(scaling=None, n_epochs=2).fit((scale * X.astype(float)).astype(np.float32), y)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), Normalizer()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("n", [5, 100])
def test_a_pool_that_a_pipeline_did_not_scale_is_warned_of_once(n, scaler, digits):
    X, _, y, _ = digits
    model = make_pipeline(scaler, LinearProbe(n_epochs=2))
    with pytest.warns(UserWarning, match=r"X_pool is not the pool of these rows.*transform_input") as caught:
        model.fit(X[:n], y[:n], linearprobe__X_pool=X)
    assert len(caught) == 1
    scaled = scaler.fit_transform(X)
    with pytest.warns(UserWarning, match="X_pool is not the pool of these rows") as caught:
        LinearProbe.fit_many([LinearProbe(n_epochs=2) for _ in range(3)], [(scaled[:n], y[:n])] * 3, X_pool=X)
    assert len(caught) == 1


def test_a_pipeline_scales_the_pool_where_it_is_told_to(digits):
    X, X_test, y, y_test = digits
    with sklearn.config_context(enable_metadata_routing=True):
        probe = LinearProbe(random_state=0).set_fit_request(X_pool=True)
        model = Pipeline([("scaler", MinMaxScaler()), ("probe", probe)], transform_input=["X_pool"])
        model.fit(X[:50], y[:50], X_pool=X)
    scaler = MinMaxScaler().fit(X[:50])
    by_hand = LinearProbe(random_state=0).fit(scaler.transform(X[:50]), y[:50], X_pool=scaler.transform(X))
    np.testing.assert_array_equal(model.predict(X_test), by_hand.predict(scaler.transform(X_test)))
    assert model.score(X_test, y_test) > 0.7


@pytest.mark.parametrize("n", [1, 2, 5, 20, 100])
def test_ordinary_pools_are_not_warned_of(n, digits):
    X, _, y, _ = digits
    rng = np.random.default_rng(n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            rows = rng.permutation(len(X))
            LinearProbe(n_epochs=1).fit(X[rows[:n]], y[rows[:n]], X_pool=X)
            LinearProbe(n_epochs=1).fit(X[rows[:n]], y[rows[:n]], X_pool=X[rows[n:]])  # the labelled rows left out
            of_one_class = np.flatnonzero(y == y[rows[0]])[:n]
            LinearProbe(n_epochs=1).fit(X[of_one_class], y[of_one_class], X_pool=X)
        copies = np.repeat(rows[:1], n)
        LinearProbe(n_epochs=1).fit(X[copies], y[copies], X_pool=X)


def test_l2_scaling_ignores_the_length_of_a_row(blobs, rng):
    X, y = blobs
    probe = LinearProbe(scaling="l2", random_state=0).fit(X, y)
    longer = X * np.exp2(rng.integers(0, 9, size=(len(X), 1))).astype(np.float32)
    np.testing.assert_array_equal(probe.predict_proba(X), probe.predict_proba(longer))
    np.testing.assert_array_equal(LinearProbe(scaling="l2", random_state=0).fit(longer, y).coef_, probe.coef_)


def test_weights_count_as_repetitions_in_batches_too(rng):
    X, y = rng.normal(size=(20, 3)), rng.integers(0, 2, size=20)
    weights = np.ones(20)
    weights[:5] = 0
    left_out = LinearProbe(batch_size=4, random_state=0).fit(X[5:], y[5:])
    weighted = LinearProbe(batch_size=4, random_state=0).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(weighted.coef_, left_out.coef_, rtol=1e-9)
    heavier = LinearProbe(batch_size=4, random_state=0).fit(X[5:], y[5:], sample_weight=np.full(15, 7.0))
    np.testing.assert_allclose(heavier.coef_, left_out.coef_, rtol=1e-6)


def test_weights_are_repetitions_as_long_as_an_epoch_is_one_step(rng):
    X, y, weights = rng.normal(size=(20, 3)), rng.integers(0, 2, size=20), rng.integers(1, 4, size=20)
    repeated = LinearProbe(batch_size=60).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    weighted = LinearProbe(batch_size=60).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 1.0, 2: 0.5}])
def test_class_weights_are_row_weights(class_weight, blobs):
    X, y = blobs
    X, y = X[(y == 0) | (np.arange(120) % 3 == 0)], y[(y == 0) | (np.arange(120) % 3 == 0)]
    row_weights = np.linspace(0.5, 1.5, len(y))
    weighted = LinearProbe(class_weight=class_weight, random_state=0).fit(X, y, row_weights)
    by_hand = LinearProbe(random_state=0).fit(X, y, row_weights * compute_sample_weight(class_weight, y))
    np.testing.assert_array_equal(weighted.coef_, by_hand.coef_)
    assert not np.array_equal(weighted.coef_, LinearProbe(random_state=0).fit(X, y, row_weights).coef_)
    (many,) = LinearProbe.fit_many([LinearProbe(class_weight=class_weight, random_state=0)], [(X, y)])
    np.testing.assert_array_equal(
        many.coef_, LinearProbe(random_state=0).fit(X, y, compute_sample_weight(class_weight, y)).coef_
    )


def test_class_weights_with_classes_that_were_not_shown(blobs):
    X, y = blobs
    probe = LinearProbe(class_weight="balanced", classes=range(5), random_state=0).fit(X, y)
    assert probe.score(X, y) > 0.95
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        LinearProbe(class_weight={0: -1.0}).fit(X, y)


@pytest.mark.parametrize("classes", [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]])
def test_logarithms_of_probabilities(classes, blobs):
    X, y = blobs
    is_known = np.isin(y, classes)
    probe = LinearProbe(classes=classes, random_state=0).fit(X[is_known], y[is_known])
    with np.errstate(divide="ignore"):
        expected = np.log(probe.predict_proba(X).astype(float))
    found = probe.predict_log_proba(X)
    np.testing.assert_allclose(found[expected > -50], expected[expected > -50], rtol=1e-4, atol=1e-6)
    if len(classes) == 4:
        assert (found[:, 3] == -np.inf).all()
    far = probe.predict_log_proba(1000 * X)[:, :3]
    assert np.isfinite(far).all()


def test_seeds_order_the_batches(blobs):
    X, y = blobs
    first, same, other = (LinearProbe(batch_size=8, n_epochs=3, random_state=s).fit(X, y).coef_ for s in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


class EpochCounter:
    n_epochs = n_teardowns = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.n_teardowns += 1

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.n_epochs += context.task_name == "epoch"


def assert_same_probe(probe, alone):
    np.testing.assert_array_equal(probe.classes_, alone.classes_)
    np.testing.assert_allclose(probe.coef_, alone.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(probe.intercept_, alone.intercept_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(probe.loss_curve_, alone.loss_curve_, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("working_memory", [1024, 0.01])
@pytest.mark.parametrize("scaling", ["standardize", "l2", None])
def test_probes_fitted_at_once_are_those_fitted_alone(scaling, working_memory, digits):
    X, X_test, y, _ = digits
    draws = [np.random.default_rng(seed).permutation(len(X)) for seed in range(6)]
    sizes = [30, 30, 12, 30, 12, 30]  # under 30 rows, some of the ten classes are missing
    picks = [draw[:size] for draw, size in zip(draws, sizes, strict=True)]
    picks[3] = np.flatnonzero(y == 7)[:30]  # one class only
    settings = [{"batch_size": 4}] * 5 + [{"batch_size": 8, "classes": range(12)}]
    make = [LinearProbe(random_state=seed, scaling=scaling, **given) for seed, given in enumerate(settings)]
    with sklearn.config_context(working_memory=working_memory):
        probes = LinearProbe.fit_many(make, ((X[rows], y[rows]) for rows in picks), X_pool=X)
    for seed, (probe, given, rows) in enumerate(zip(probes, settings, picks, strict=True)):
        alone = LinearProbe(random_state=seed, scaling=scaling, **given)
        alone.fit(X[rows], y[rows], X_pool=X)
        assert_same_probe(probe, alone)
        np.testing.assert_array_equal(probe.predict(X_test), alone.predict(X_test))


def test_probes_fitted_at_once_without_a_pool(blobs):
    X, y = blobs
    sets = [(X[start::4], y[start::4]) for start in range(4)]
    for probe, rows_and_labels in zip(
        LinearProbe.fit_many([LinearProbe(random_state=0) for _ in sets], sets), sets, strict=True
    ):
        assert_same_probe(probe, LinearProbe(random_state=0).fit(*rows_and_labels))


def test_the_pool_of_many_probes_is_read_once(blobs, monkeypatch):
    X, y = blobs
    n_reads = []
    monkeypatch.setattr(_scaling, "pool_moments", lambda pool: n_reads.append(1) or pool_moments(pool))
    LinearProbe.fit_many([LinearProbe() for _ in range(3)], [(X, y)] * 3, X_pool=X)
    assert len(n_reads) == 1


def test_many_probes_report_each_epoch(blobs, capsys):
    X, y = blobs
    LinearProbe.fit_many([LinearProbe(verbose=1, n_epochs=3), LinearProbe(n_epochs=3)], [(X, y)] * 2)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"[LinearProbe] epoch {epoch}" for epoch in (1, 2, 3)
    ]


def test_scikit_learns_callbacks_see_each_epoch_of_each_probe(blobs):
    pytest.importorskip("sklearn.callback")
    X, y = blobs
    probes = [LinearProbe(n_epochs=4), LinearProbe(n_epochs=4)]
    monitors = [EpochCounter(), EpochCounter()]
    for probe, monitor in zip(probes, monitors, strict=True):
        probe.set_callbacks(monitor)
    LinearProbe.fit_many(probes, [(X, y)] * 2)
    assert [(monitor.n_epochs, monitor.n_teardowns) for monitor in monitors] == [(4, 1)] * 2


def test_probes_and_sets_must_go_together(blobs):
    X, y = blobs
    for n_sets in (1, 3):
        with pytest.raises(ValueError, match="2 probes need as many labeled_sets"):
            LinearProbe.fit_many([LinearProbe(), LinearProbe()], [(X, y)] * n_sets)
    probe = LinearProbe()
    with pytest.raises(ValueError, match="occurs twice"):
        LinearProbe.fit_many([probe, probe], [(X, y)] * 2)
    with pytest.raises(ValueError, match="scaling"):
        LinearProbe.fit_many([LinearProbe(scaling="standardise")], [(X, y)])


def test_bad_input_is_refused_and_named(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match=r"holds the class .*2.*, which classes=\[0, 1\]"):
        LinearProbe(classes=[0, 1]).fit(X, y)
    with pytest.raises(ValueError, match="NaN: row 3 "):
        LinearProbe().fit(np.where(np.arange(len(X))[:, None] == 3, np.nan, X), y)
    with pytest.raises(ValueError, match="120 rows and y has 119"):
        LinearProbe().fit(X, y[:-1])
    with pytest.raises(ValueError, match="features"):
        LinearProbe().fit(X, y, X_pool=X[:, :2])
    with pytest.raises(ValueError, match="zero"):
        LinearProbe().fit(X, y, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match="scaling"):
        LinearProbe(scaling="standardise").fit(X, y)


@pytest.mark.parametrize("milestones", [(75, 50), (50, 50), (-1, 50), (50.0, 75.0), [[50, 75]], "ab", None])
def test_milestones_that_are_no_ascending_epochs(milestones, blobs):
    with pytest.raises(ValueError, match="milestones"):
        LinearProbe(milestones=milestones).fit(*blobs)


@pytest.mark.gpu
def test_the_same_probe_on_a_gpu(blobs):
    X, y = blobs
    on_cpu, on_gpu = (LinearProbe(device=device, random_state=0).fit(X, y) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), atol=1e-3)
