"""Samplers × budgets × seeds × classifiers."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skal.base import BaseSampler
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import budget_curve, category_coverage
from skal.samplers import KMeansSampler, RandomSampler, UniformSampler

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
                probe = LinearProbe(random_state=seed).fit(X[picks], y[picks], X_unlabeled=X)
                assert curve.scores(name, budget, "LIN")[seed] == probe.score(X_test, y_test)
                nearest = CosineKNNClassifier().fit(X[picks], y[picks])
                assert curve.scores(name, budget, "NN")[seed] == nearest.score(X_test, y_test)
                assert curve.scores(name, budget, "coverage")[seed] == category_coverage(y, picks)


def test_rows_hold_mean_and_sample_deviation(curve):
    rows = curve.to_rows()
    assert len(rows) == 3 * 2 * 3
    row = next(r for r in rows if (r["sampler"], r["measure"], r["budget"]) == ("K-means", "NN", 10))
    scores = curve.scores("K-means", 10, "NN")
    assert row["mean"] == pytest.approx(scores.mean())
    assert row["std"] == pytest.approx(scores.std(ddof=1))
    assert row["n_seeds"] == 2
    frame = curve.to_frame()
    assert frame.shape == (18, 6)
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
        assert left.scores == pytest.approx(right.scores, abs=0.01)


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
    with pytest.raises(KeyError, match="no run of sampler 'Best'"):
        curve.scores("Best", 10, "NN")
