"""Samplers × budgets × seeds × classifiers."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

import skal
from skal.classifiers import CosineKNNClassifier, LinearProbe, _probe_training
from skal.evaluation import BudgetCurve, budget_curve, category_coverage
from skal.rounds import IterativeSampler
from skal.samplers import (
    CoreSetSampler,
    KMeansSampler,
    MaxEntropySampler,
    RandomSampler,
    UniformSampler,
    VAALSampler,
)

SAMPLERS = {"Uniform": UniformSampler(), "Random": RandomSampler(), "K-means": KMeansSampler()}


@pytest.fixture(scope="module")
def curve(digits):
    X, X_test, y, y_test = digits
    classifiers = {"LIN": LinearProbe(), "NN": CosineKNNClassifier()}
    return budget_curve(SAMPLERS, classifiers, X, y, X_test, y_test, [20, 10], n_seeds=2)


def test_each_score_is_that_of_the_parts_run_by_hand(curve, digits):
    X, X_test, y, y_test = digits
    for name, sampler in SAMPLERS.items():
        for budget in (10, 20):
            for seed in range(2):
                picks = clone(sampler).set_params(budget=budget, random_state=seed).fit_select(X, y)
                probe = LinearProbe(random_state=seed).fit(X[picks], y[picks], X_pool=X)
                assert curve.scores(name, budget, "LIN")[seed] == probe.score(X_test, y_test)
                nearest = CosineKNNClassifier().fit(X[picks], y[picks])
                assert curve.scores(name, budget, "NN")[seed] == nearest.score(X_test, y_test)
                assert curve.scores(name, budget)[seed] == category_coverage(y, picks)


def test_mean_per_class_accuracy_is_the_mean_of_the_recalls(digits):
    X, X_test, y, y_test = digits
    kept = (y_test != 3) | (np.arange(len(y_test)) % 10 == 0)  # uneven, so that it differs from top-1
    X_test, y_test = X_test[kept], y_test[kept]
    curve = budget_curve({"R": RandomSampler()}, {"NN": CosineKNNClassifier()}, X, y, X_test, y_test, [7], n_seeds=1)
    picks = curve.selections["R", 7, 0]
    predicted = CosineKNNClassifier().fit(X[picks], y[picks]).predict(X_test)
    recalls = [(predicted[y_test == label] == label).mean() for label in np.unique(y_test)]
    assert curve.scores("R", 7, "NN", "balanced_accuracy")[0] == pytest.approx(np.mean(recalls))
    assert curve.scores("R", 7, "NN")[0] == (predicted == y_test).mean() != pytest.approx(np.mean(recalls))
    assert f"{100 * np.mean(recalls):.1f}" in curve.to_text("balanced_accuracy").split("coverage")[0]
    assert curve.to_text("balanced_accuracy").startswith("Mean per-class accuracy")


def test_a_seed_gives_every_sampler_the_same_start(digits):
    X, X_test, y, y_test = digits
    start = RandomSampler()
    samplers = {"Random": start} | {
        name: IterativeSampler(sampler, initial=start)
        for name, sampler in {
            "Max-Entropy": MaxEntropySampler(),
            "Core-set": CoreSetSampler(),
            "VAAL": VAALSampler(n_epochs=1),
        }.items()
    }
    curve = budget_curve(samplers, {}, X, y, X_test, y_test, [10, 14], n_seeds=2)
    starts = {(key.sampler, key.seed): set(rows[:10]) for key, rows in curve.selections.items()}
    for name in samplers:
        assert starts[name, 0] == starts["Random", 0]
        assert starts[name, 1] == starts["Random", 1] != starts["Random", 0]


def test_a_training_seed_leaves_the_selections_alone(curve, digits):
    X, X_test, y, y_test = digits
    probe = LinearProbe(batch_size=4, n_epochs=3)
    fixed = budget_curve(SAMPLERS, {"LIN": probe}, X, y, X_test, y_test, [10], n_seeds=2, training_seed=7)
    assert (fixed.training_seed, curve.training_seed) == (7, None)
    for key, picks in fixed.selections.items():
        np.testing.assert_array_equal(picks, curve.selections[key])
        alone = clone(probe).set_params(random_state=7).fit(X[picks], y[picks], X_pool=X)
        assert fixed.values[(*key, "LIN", "accuracy")] == alone.score(X_test, y_test)


def test_the_probes_of_a_budget_are_one_training(digits, monkeypatch):
    X, X_test, y, y_test = digits
    n_stacked, train = [], _probe_training.train_softmax

    def count(problems, *args, **more):
        n_stacked.append(len(problems))
        return train(problems, *args, **more)

    monkeypatch.setattr(_probe_training, "train_softmax", count)
    budget_curve(SAMPLERS, {"LIN": LinearProbe()}, X, y, X_test, y_test, [10, 20], n_seeds=2)
    assert n_stacked == [6, 6]


class OwnFitProbe(LinearProbe):
    n_fits = 0

    def fit(self, X, y, sample_weight=None, *, X_pool=None):
        OwnFitProbe.n_fits += 1
        return super().fit(X, y, sample_weight, X_pool=X_pool)


def test_a_probe_with_a_fit_of_its_own_is_not_stacked(blobs):
    X, y = blobs
    both = {"own": OwnFitProbe(n_epochs=3), "LIN": LinearProbe(n_epochs=3)}
    curve = budget_curve({"Uniform": UniformSampler()}, both, X, y, X, y, [6], n_seeds=2)
    assert OwnFitProbe.n_fits == 2
    np.testing.assert_array_equal(curve.scores("Uniform", 6, "own"), curve.scores("Uniform", 6, "LIN"))


def test_paired_differences_are_those_of_a_paired_t_test(digits):
    X, X_test, y, y_test = digits
    curve = budget_curve(SAMPLERS, {"NN": CosineKNNClassifier()}, X, y, X_test, y_test, [10], n_seeds=4)
    rows = curve.paired_differences(confidence=0.9)
    assert len(rows) == 2 * len(curve.measures)
    for metric in ("accuracy", "balanced_accuracy"):
        row = next(r for r in rows if (r["sampler"], r["classifier"], r["metric"]) == ("K-means", "NN", metric))
        test = stats.ttest_rel(curve.scores("K-means", 10, "NN", metric), curve.scores("Random", 10, "NN", metric))
        expected = test.confidence_interval(0.9)
        np.testing.assert_allclose((row["low"], row["high"]), (expected.low, expected.high))
        assert row["low"] < row["mean"] < row["high"]
        assert (row["baseline"], row["n_seeds"]) == ("Random", 4)


def test_differences_that_mean_nothing(curve, blobs):
    with pytest.raises(ValueError, match=r"baseline='Best' is not in this curve; it has Uniform, Random, K-means"):
        curve.paired_differences("Best")
    with pytest.raises(ValueError, match="confidence must be between"):
        curve.paired_differences(confidence=95)
    X, y = blobs
    one_seed = budget_curve({"Random": RandomSampler(), "U": UniformSampler()}, {}, X, y, X, y, [5], n_seeds=1)
    assert np.isnan(one_seed.paired_differences()[0]["low"])


def assert_same_curve(left, right):
    assert (left.samplers, left.classifiers, left.budgets) == (right.samplers, right.classifiers, right.budgets)
    assert list(left.selections) == list(right.selections)
    for key, picks in left.selections.items():
        np.testing.assert_array_equal(picks, right.selections[key])
        assert picks.dtype == right.selections[key].dtype == np.int64
    assert list(left.values.items()) == list(right.values.items())
    assert (left.training_seed, left.selections.coverage) == (right.training_seed, right.selections.coverage)


def test_a_saved_curve_is_the_same_when_loaded(curve, tmp_path):
    path = tmp_path / "curve.json"
    path.write_text("an older file")
    curve.save(path)
    assert_same_curve(BudgetCurve.load(path), curve)
    assert str(BudgetCurve.load(path)) == str(curve)
    assert [file.name for file in tmp_path.iterdir()] == ["curve.json"]


def test_a_save_that_fails_leaves_the_older_file(curve, tmp_path, monkeypatch):
    path = tmp_path / "curve.json"
    curve.save(path)
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        curve.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["curve.json"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "skal budget curve 9"}', "not json"])
def test_a_file_that_is_no_curve(content, tmp_path):
    (tmp_path / "other").write_text(content)
    with pytest.raises(ValueError, match="is not a curve that this version of skal saved"):
        BudgetCurve.load(tmp_path / "other")


def test_rows_hold_mean_and_sample_deviation(curve):
    rows = curve.to_rows()
    assert len(rows) == 3 * 2 * len(curve.measures)
    named = {"sampler": "K-means", "classifier": "NN", "metric": "accuracy", "budget": 10}
    row = next(r for r in rows if named.items() <= r.items())
    scores = curve.scores("K-means", 10, "NN")
    assert row["mean"] == pytest.approx(scores.mean())
    assert row["std"] == pytest.approx(scores.std(ddof=1))
    assert row["n_seeds"] == 2
    frame = curve.to_frame()
    assert frame.shape == (3 * 2 * len(curve.measures), 7)
    assert frame["mean"].between(0, 1).all()


def test_it_prints_tables_like_the_papers(curve):
    text = str(curve)
    scores = 100 * curve.scores("K-means", 20, "LIN")
    line = next(line for line in text.splitlines() if line.startswith("K-means"))
    assert line.split()[:2] == ["K-means", "✓"]
    assert line.endswith(f"{scores.mean():.1f} ± {scores.std(ddof=1):.1f}")
    assert "Category coverage" in text
    assert "100.0 ± 0.0" in next(line for line in text.splitlines()[::-1] if line.startswith("Uniform"))


@pytest.mark.slow
def test_parallel_runs_give_the_same_numbers(curve, digits):
    X, X_test, y, y_test = digits
    seen = []
    classifiers = {"LIN": LinearProbe(), "NN": CosineKNNClassifier()}
    parallel = budget_curve(
        SAMPLERS, classifiers, X, y, X_test, y_test, [10, 20], n_seeds=2, n_jobs=2, on_score=seen.append
    )
    assert len(seen) == 2 * len(parallel.selections) == 2 * len(curve.selections)
    assert_same_curve(parallel, curve)


def test_any_scikit_learn_classifier_will_do(blobs):
    X, y = blobs
    curve = budget_curve({"Uniform": UniformSampler()}, {"LR": LogisticRegression()}, X, y, X, y, [6], n_seeds=1)
    assert curve.scores("Uniform", 6, "LR")[0] > 0.9
    assert "±" not in next(line for line in str(curve).splitlines() if line.startswith("Uniform"))
    assert np.isnan(curve.to_rows()[0]["std"])


def test_estimators_passed_in_are_left_alone(blobs):
    X, y = blobs
    sampler, classifier = KMeansSampler(budget=7), LinearProbe()
    budget_curve({"K": sampler}, {"LIN": classifier}, X, y, X, y, [5], n_seeds=1)
    assert sampler.get_params() == KMeansSampler(budget=7).get_params()
    assert not hasattr(sampler, "selected_indices_")
    assert not hasattr(classifier, "coef_")


@pytest.mark.parametrize("budgets", [[], [0], [1.5], [5, 5], 7, [[1]]])
def test_budgets_that_mean_nothing(budgets, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="budgets"):
        budget_curve({"R": RandomSampler()}, {}, X, y, X, y, budgets)


def test_names_that_mean_nothing(blobs, curve):
    X, y = blobs
    with pytest.raises(ValueError, match="n_seeds"):
        budget_curve({"R": RandomSampler()}, {}, X, y, X, y, [5], n_seeds=0)
    with pytest.raises(ValueError, match="samplers is empty"):
        budget_curve({}, {}, X, y, X, y, [5])
    for arguments, message in [
        (("Best", 10, "NN"), "no score of sampler 'Best'"),
        (("Random", 11, "NN"), "no score of sampler 'Random' at budget 11"),
        (("Random", 10, "SVM"), "no classifier 'SVM'; there are LIN, NN"),
        (("Random", 10, "NN", "f1"), "no metric 'f1'; there are accuracy, balanced_accuracy"),
        (("Random", 10, None, "accuracy"), "is a metric of classifiers: name one of LIN, NN"),
    ]:
        with pytest.raises(KeyError, match=message):
            curve.scores(*arguments)


def test_a_classifier_may_be_called_what_it_likes(blobs):
    X, y = blobs
    classifiers = {"coverage": CosineKNNClassifier(), "3NN, per class": CosineKNNClassifier(3)}
    curve = budget_curve({"Uniform": UniformSampler()}, classifiers, X, y, X, y, [6], n_seeds=1)
    assert curve.scores("Uniform", 6, "coverage")[0] == curve.values["Uniform", 6, 0, "coverage", "accuracy"]
    assert curve.values["Uniform", 6, 0, None, "coverage"] == 1
    _, header, _, of_coverage, _, of_3nn, *_ = str(curve).splitlines()
    assert (of_coverage.index("✓"), of_3nn.index("✓")) == (header.index("coverage"), header.index("3NN"))
    assert header.split() == ["Method", "coverage", "3NN,", "per", "class", "6"]


def test_it_is_short_in_a_line_and_a_table_in_a_notebook(curve, blobs):
    assert repr(curve) == "BudgetCurve(3 samplers × 2 budgets × 2 seeds; LIN, NN; accuracy, balanced_accuracy)"
    page = curve._repr_html_()
    scores = 100 * curve.scores("K-means", 20, "LIN")
    assert f"<td>{scores.mean():.1f} ± {scores.std(ddof=1):.1f}</td>" in page
    assert page.count("<table>") == page.count("</table>") == 2
    X, y = blobs
    evil = "<script>alert(1)</script>&"
    page = budget_curve({evil: RandomSampler()}, {evil: CosineKNNClassifier()}, X, y, X, y, [5])._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;") == 3


def test_a_pool_that_is_opened_gives_the_same(curve, digits):
    X, X_test, y, y_test = digits
    classifiers = {"LIN": LinearProbe(), "NN": CosineKNNClassifier()}
    opened = skal.Pool(X), y, skal.Pool(X_test), y_test
    assert_same_curve(budget_curve(SAMPLERS, classifiers, *opened, [20, 10], n_seeds=2), curve)
