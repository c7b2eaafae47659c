"""Whatever selections, classifiers and metrics are handed over are scored."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, get_scorer, make_scorer
from sklearn.neighbors import KNeighborsClassifier

from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import Selections, _training, budget_curve, category_coverage, score, select
from skal.rounds import IterativeSampler
from skal.samplers import KMeansSampler, RandomSampler, UniformSampler


@pytest.fixture(scope="module")
def picks():
    rng = np.random.default_rng(0)
    return {("by hand", n, seed): rng.choice(1000, n, replace=False) for n in (7, 30) for seed in (0, 5)}


def test_picks_from_elsewhere_are_scored_as_the_parts_by_hand(picks, digits):
    X, X_test, y, y_test = digits
    classifiers = {"NN": CosineKNNClassifier(), "LIN": LinearProbe(batch_size=4, n_epochs=5)}
    curve = score(Selections(picks), classifiers, X, y, X_test, y_test)
    for key, rows in picks.items():
        for name, template in classifiers.items():
            classifier = clone(template)
            if name == "LIN":
                classifier.set_params(random_state=key[2]).fit(X[rows], y[rows], X_pool=X)
            else:
                classifier.fit(X[rows], y[rows])
            assert curve.values[(*key, name, "accuracy")] == classifier.score(X_test, y_test)
        assert curve.values[(*key, None, "coverage")] == category_coverage(y, rows)
    assert curve.seeds == (0, 5)
    assert curve.scores("by hand", 7, "NN").shape == (2,)


def test_all_kinds_of_scoring_are_taken(picks, digits):
    X, X_test, y, y_test = digits
    rows = picks["by hand", 30, 0]
    fitted = CosineKNNClassifier().fit(X[rows], y[rows])
    predicted = fitted.predict(X_test)
    f1 = f1_score(y_test, predicted, average="macro")

    def errors(classifier, X, y):
        wrong = classifier.predict(X) != y
        return {"n_wrong": wrong.sum(), "share": wrong.mean()}

    def values_of(scoring):
        one = Selections({("by hand", 30, 0): rows})
        curve = score(one, {"NN": CosineKNNClassifier()}, X, y, X_test, y_test, scoring=scoring)
        return {metric: curve.scores("by hand", 30, "NN", metric)[0] for metric in curve.metrics}

    accuracy = np.mean(predicted == y_test)
    assert values_of("accuracy") == {"accuracy": accuracy}
    assert values_of(["f1_macro", "accuracy"]) == {"f1_macro": f1, "accuracy": accuracy}
    assert values_of({"F": make_scorer(f1_score, average="macro")}) == {"F": f1}
    assert values_of(make_scorer(f1_score, average="macro")) == {"score": f1}
    assert values_of(get_scorer("accuracy")) == {"score": accuracy}
    assert values_of(None) == {"score": accuracy}
    of_errors = {"n_wrong": (predicted != y_test).sum(), "share": 1 - accuracy}
    assert values_of(errors) == pytest.approx(of_errors)
    assert values_of({"errors": errors, "accuracy": "accuracy"}) == pytest.approx({**of_errors, "accuracy": accuracy})


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ("acuracy", "acuracy"),
        (["accuracy", "acuracy"], "acuracy"),
        ([], "scoring is empty"),
        (["accuracy", "accuracy"], "distinct names"),
        ([get_scorer("accuracy")], "Pass scorers in a dict"),
        (f1_score, "make_scorer"),
    ],
)
def test_metrics_that_do_not_exist_are_refused_before_anything_is_picked(scoring, message, blobs):
    X, y = blobs
    picked = []
    with pytest.raises(ValueError, match=message):
        budget_curve(
            {"R": RandomSampler()}, {"NN": CosineKNNClassifier()}, X, y, X, y, [5], scoring=scoring,
            on_selection=picked.append,
        )  # fmt: skip
    assert picked == []


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        (lambda classifier, X, y: "good", "must give a number"),
        (lambda classifier, X, y: {"a": [1, 2]}, "must give a number"),
        ({"a": lambda *three: {"b": 1}, "b": "accuracy"}, "two metrics called 'b'"),
    ],
)
def test_scorers_that_give_no_numbers(scoring, message, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match=message):
        budget_curve({"R": RandomSampler()}, {"NN": CosineKNNClassifier()}, X, y, X, y, [5], scoring=scoring)


class CountingPredictions(CosineKNNClassifier):
    n_predictions = 0

    def predict(self, X):
        CountingPredictions.n_predictions += 1
        return super().predict(X)


def test_metrics_share_the_predictions(blobs):
    X, y = blobs
    CountingPredictions.n_predictions = 0
    budget_curve(
        {"R": RandomSampler()}, {"NN": CountingPredictions()}, X, y, X, y, [5, 9], n_seeds=2,
        scoring=["accuracy", "balanced_accuracy", "f1_macro", "recall_micro"],
    )  # fmt: skip
    assert CountingPredictions.n_predictions == 4


def test_classes_that_the_test_set_does_not_have_cost_no_warning(digits):
    X, X_test, y, y_test = digits
    kept = y_test < 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = budget_curve(
            {"R": UniformSampler()}, {"NN": CosineKNNClassifier()}, X, y, X_test[kept], y_test[kept], [10], n_seeds=2
        )
    for seed, found in enumerate(curve.scores("R", 10, "NN", "balanced_accuracy")):
        rows = curve.selections["R", 10, seed]
        predicted = CosineKNNClassifier().fit(X[rows], y[rows]).predict(X_test[kept])
        recalls = [(predicted[y_test[kept] == label] == label).mean() for label in range(5)]
        assert found == pytest.approx(np.mean(recalls))
        with pytest.warns(UserWarning, match="classes not in y_true"):
            assert found == pytest.approx(balanced_accuracy_score(y_test[kept], predicted))


class ManyAtOnce(ClassifierMixin, BaseEstimator):
    """A classifier of somebody else that offers to train many."""

    stacks = []

    def fit(self, X, y):
        self.model_ = KNeighborsClassifier(1).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    @staticmethod
    def fit_many(classifiers, labeled_sets, *, X_pool=None):
        ManyAtOnce.stacks.append(len(classifiers))
        for classifier, (X, y) in zip(classifiers, labeled_sets, strict=True):
            classifier.fit(X, y)
        return classifiers

    def predict(self, X):
        return self.model_.predict(X)


@pytest.mark.parametrize(("rows_together", "stacks"), [(10**5, [4, 4]), (21, [3, 1, 2, 2]), (1, [1] * 8)])
def test_any_classifier_may_offer_to_train_many(rows_together, stacks, blobs, monkeypatch):
    X, y = blobs
    monkeypatch.setattr(_training, "_ROWS_TOGETHER", rows_together)
    ManyAtOnce.stacks = []
    samplers = {"Random": RandomSampler(), "K-means": KMeansSampler()}
    curve = budget_curve(samplers, {"many": ManyAtOnce()}, X, y, X, y, [7, 9], n_seeds=2)
    assert sorted(ManyAtOnce.stacks) == sorted(stacks)
    alone = budget_curve(samplers, {"many": KNeighborsClassifier(1)}, X, y, X, y, [7, 9], n_seeds=2)
    assert curve.values == alone.values


class CountingFits(LogisticRegression):
    n_fits = 0

    def fit(self, X, y):
        CountingFits.n_fits += 1
        return super().fit(X, y)


@pytest.mark.parametrize("is_resumable", [False, True])
def test_strategies_that_start_from_the_same_rows_are_trained_on_once(is_resumable, blobs, tmp_path):
    X, y = blobs
    CountingFits.n_fits = 0
    samplers = {"Random": RandomSampler(), "Rounds": IterativeSampler(KMeansSampler(), initial=RandomSampler())}
    resume_from = tmp_path / "records" if is_resumable else None
    selections = select(samplers, X, y, budgets=[9, 20], n_seeds=2)
    scores = []
    curve = score(selections, {"LR": CountingFits()}, X, y, X, y, resume_from=resume_from, on_score=scores.append)
    assert CountingFits.n_fits == 2 + 4
    assert len(scores) == 8
    np.testing.assert_array_equal(curve.scores("Random", 9, "LR"), curve.scores("Rounds", 9, "LR"))


class Guess(ClassifierMixin, BaseEstimator):
    """Predicts at random."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.random.default_rng(self.random_state).choice(self.classes_, len(X))


def test_the_same_rows_with_another_seed_are_trained_on_again(blobs):
    X, y = blobs
    same = Selections({("by hand", 60, seed): range(60) for seed in range(3)})
    assert len(set(score(same, {"Guess": Guess()}, X, y, X, y).scores("by hand", 60, "Guess"))) == 3
    fixed = score(same, {"Guess": Guess()}, X, y, X, y, training_seed=1)
    assert len(set(fixed.scores("by hand", 60, "Guess"))) == 1


def test_rows_that_the_pool_does_not_have(blobs):
    X, y = blobs
    with pytest.raises(IndexError, match=r"\('by hand', 2, 0\) hold row 500; X has 120 rows"):
        score(Selections({("by hand", 2, 0): [3, 500]}), {"NN": CosineKNNClassifier()}, X, y, X, y)


def test_other_metrics_are_printed_as_they_are(blobs):
    X, y = blobs
    scoring = ["accuracy", "neg_log_loss"]
    curve = budget_curve(
        {"U": UniformSampler()}, {"LR": LogisticRegression()}, X, y, X, y, [9], n_seeds=2, scoring=scoring
    )
    losses = curve.scores("U", 9, "LR", "neg_log_loss")
    lines = curve.to_text("neg_log_loss").splitlines()
    assert lines[0] == "neg_log_loss, (mean ± std over 2 seeds), by budget"
    assert lines[3].endswith(f"{losses.mean():.4g} ± {losses.std(ddof=1):.4g}")
    assert curve.to_text().startswith("Top-1 accuracy, %")
