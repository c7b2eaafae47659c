"""Samplers × budgets × seeds × classifiers."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skal.base import BaseSampler
from skal.classifiers import CosineKNNClassifier, LinearProbe, _probe_training
from skal.evaluation import BudgetCurve, budget_curve, category_coverage
from skal.samplers import (
    CoreSetSampler,
    IterativeSampler,
    KMeansSampler,
    MaxEntropySampler,
    RandomSampler,
    UniformSampler,
    VAALSampler,
)

SAMPLERS = {"Uniform": UniformSampler(), "Random": RandomSampler(), "K-means": KMeansSampler()}


class PrefixSampler(BaseSampler):
    """Takes all budgets in one fit."""

    n_fits = 0

    def __init__(self, budgets=(10,), *, random_state=None):
        super().__init__(random_state=random_state)
        self.budgets = budgets

    def _select_rows(self, X, y, labeled_idx, budget, rng):
        PrefixSampler.n_fits += 1
        return rng.permutation(X.shape[0])[: max(self.budgets)]


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
                assert curve.scores(name, budget, "coverage")[seed] == category_coverage(y, picks)


def test_mean_per_class_accuracy_is_the_mean_of_the_recalls(digits):
    X, X_test, y, y_test = digits
    kept = (y_test != 3) | (np.arange(len(y_test)) % 10 == 0)  # uneven, so that it differs from top-1
    X_test, y_test = X_test[kept], y_test[kept]
    curve = budget_curve({"R": RandomSampler()}, {"NN": CosineKNNClassifier()}, X, y, X_test, y_test, [7], n_seeds=1)
    picks = curve.runs[0].selected_indices
    predicted = CosineKNNClassifier().fit(X[picks], y[picks]).predict(X_test)
    recalls = [(predicted[y_test == label] == label).mean() for label in np.unique(y_test)]
    assert curve.scores("R", 7, "NN, per class")[0] == pytest.approx(np.mean(recalls))
    assert curve.scores("R", 7, "NN")[0] == (predicted == y_test).mean() != pytest.approx(np.mean(recalls))
    assert f"{100 * np.mean(recalls):.1f}" in curve.to_text(mean_per_class=True).split("coverage")[0]
    assert curve.to_text(mean_per_class=True).startswith("Mean per-class accuracy")


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
    starts = {(run.sampler, run.seed): set(run.selected_indices[:10]) for run in curve.runs}
    for name in samplers:
        assert starts[name, 0] == starts["Random", 0]
        assert starts[name, 1] == starts["Random", 1] != starts["Random", 0]


def test_a_training_seed_leaves_the_selections_alone(curve, digits):
    X, X_test, y, y_test = digits
    probe = LinearProbe(batch_size=4, n_epochs=3)
    fixed = budget_curve(SAMPLERS, {"LIN": probe}, X, y, X_test, y_test, [10], n_seeds=2, training_seed=7)
    by_seed = {(run.sampler, run.seed): run for run in curve.runs if run.budget == 10}
    for run in fixed.runs:
        np.testing.assert_array_equal(run.selected_indices, by_seed[run.sampler, run.seed].selected_indices)
        assert (run.training_seed, by_seed[run.sampler, run.seed].training_seed) == (7, run.seed)
        picks = run.selected_indices
        alone = clone(probe).set_params(random_state=7).fit(X[picks], y[picks], X_pool=X)
        assert run.scores["LIN"] == alone.score(X_test, y_test)


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
    for measure in ("NN", "NN, per class"):
        row = next(r for r in rows if (r["sampler"], r["measure"]) == ("K-means", measure))
        test = stats.ttest_rel(curve.scores("K-means", 10, measure), curve.scores("Random", 10, measure))
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
    assert len(left.runs) == len(right.runs)
    for a, b in zip(left.runs, right.runs, strict=True):
        assert (a.sampler, a.budget, a.seed, a.training_seed) == (b.sampler, b.budget, b.seed, b.training_seed)
        np.testing.assert_array_equal(a.selected_indices, b.selected_indices)
        assert a.selected_indices.dtype == b.selected_indices.dtype == np.int64
        assert a.scores == b.scores


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
    row = next(r for r in rows if (r["sampler"], r["measure"], r["budget"]) == ("K-means", "NN", 10))
    scores = curve.scores("K-means", 10, "NN")
    assert row["mean"] == pytest.approx(scores.mean())
    assert row["std"] == pytest.approx(scores.std(ddof=1))
    assert row["n_seeds"] == 2
    frame = curve.to_frame()
    assert frame.shape == (3 * 2 * len(curve.measures), 6)
    assert frame["mean"].between(0, 1).all()


def test_it_prints_tables_like_the_papers(curve):
    text = str(curve)
    scores = 100 * curve.scores("K-means", 20, "LIN")
    line = next(line for line in text.splitlines() if line.startswith("K-means"))
    assert line.split()[:2] == ["K-means", "✓"]
    assert line.endswith(f"{scores.mean():.1f} ± {scores.std(ddof=1):.1f}")
    assert "Category coverage" in text
    assert "100.0 ± 0.0" in next(line for line in text.splitlines()[::-1] if line.startswith("Uniform"))


def test_parallel_runs_give_the_same_numbers(curve, digits):
    X, X_test, y, y_test = digits
    seen = []
    classifiers = {"LIN": LinearProbe(), "NN": CosineKNNClassifier()}
    parallel = budget_curve(
        SAMPLERS, classifiers, X, y, X_test, y_test, [10, 20], n_seeds=2, n_jobs=2, on_run=seen.append
    )
    assert len(seen) == len(parallel.runs) == len(curve.runs)
    for left, right in zip(parallel.runs, curve.runs, strict=True):
        assert (left.sampler, left.budget, left.seed) == (right.sampler, right.budget, right.seed)
        np.testing.assert_array_equal(left.selected_indices, right.selected_indices)
        assert left.scores == right.scores


def test_a_sampler_with_budgets_is_fitted_once_a_seed(blobs):
    X, y = blobs
    PrefixSampler.n_fits = 0
    curve = budget_curve({"all": PrefixSampler()}, {}, X, y, X, y, [5, 10, 20], n_seeds=2)
    assert PrefixSampler.n_fits == 2
    picks = {(run.budget, run.seed): run.selected_indices for run in curve.runs}
    np.testing.assert_array_equal(picks[20, 0][:5], picks[5, 0])
    assert not np.array_equal(picks[20, 0], picks[20, 1])


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
    with pytest.raises(ValueError, match="may not be called 'coverage'"):
        budget_curve({"R": RandomSampler()}, {"coverage": LinearProbe()}, X, y, X, y, [5])
    with pytest.raises(ValueError, match="may not be called 'A, per class'"):
        budget_curve({"R": RandomSampler()}, {"A": LinearProbe(), "A, per class": LinearProbe()}, X, y, X, y, [5])
    with pytest.raises(KeyError, match="no run of sampler 'Best'"):
        curve.scores("Best", 10, "NN")
    with pytest.raises(KeyError, match="no measure 'SVM'"):
        curve.scores("Random", 10, "SVM")
