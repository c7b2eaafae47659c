"""A line and a band a sampler, as the curve has them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skal.evaluation import Selections, budget_curve, score
from skal.plotting import BudgetCurveDisplay
from skal.samplers import KMeansSampler, RandomSampler


@pytest.fixture
def curve(blobs):
    X, y = blobs
    return budget_curve({"Random": RandomSampler(), "K-means": KMeansSampler()}, {}, X, y, X, y, [3, 9], n_seeds=2)


def test_a_line_and_a_band_for_each_sampler(curve):
    display = BudgetCurveDisplay.from_curve(curve)
    assert [line.get_label() for line in display.lines_] == ["Random", "K-means"]
    assert len(display.bands_) == 2
    for line in display.lines_:
        mean = [100 * curve.scores(line.get_label(), budget).mean() for budget in (3, 9)]
        np.testing.assert_allclose(line.get_ydata(), mean)
        np.testing.assert_array_equal(line.get_xdata(), [3, 9])
    assert display.ax_.get_ylabel() == "Category coverage (%)"


def test_a_band_of_a_fraction_ends_at_0_and_100_per_cent():
    y = np.arange(40) % 4
    picks = {("by hand", 4, 0): [0, 1, 2, 3], ("by hand", 4, 1): [0, 1, 4, 8], ("by hand", 5, 0): range(5)}
    curve = score(Selections({**picks, ("by hand", 5, 1): range(5)}), {}, np.zeros((40, 2)), y, np.zeros((1, 2)), [0])
    (band,) = BudgetCurveDisplay.from_curve(curve).bands_
    heights = band.get_paths()[0].vertices[:, 1]
    mean, std = np.mean([100, 50]), np.std([100, 50], ddof=1)
    assert mean + std > 100
    assert heights.max() == 100
    np.testing.assert_allclose(heights.min(), mean - std)


def test_an_axes_of_the_users_is_drawn_on(curve):
    _, ax = plt.subplots()
    display = BudgetCurveDisplay.from_curve(curve, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_one_seed_has_no_band(blobs):
    X, y = blobs
    curve = budget_curve({"Random": RandomSampler()}, {}, X, y, X, y, [3, 9], n_seeds=1)
    assert BudgetCurveDisplay.from_curve(curve).bands_ == []


def test_metrics_of_a_classifier_have_their_own_names_and_units(blobs):
    X, y = blobs
    curve = budget_curve(
        {"Random": RandomSampler(), "K-means": KMeansSampler()}, {"LR": LogisticRegression()}, X, y, X, y, [9, 20],
        n_seeds=2, scoring=["accuracy", "balanced_accuracy", "neg_log_loss"],
    )  # fmt: skip
    labels = {
        None: "LR, top-1 accuracy (%)",
        "balanced_accuracy": "LR, mean per-class accuracy (%)",
        "neg_log_loss": "LR, neg_log_loss",
    }
    for metric, label in labels.items():
        display = BudgetCurveDisplay.from_curve(curve, "LR", metric)
        assert display.ax_.get_ylabel() == label
        factor = 1 if metric == "neg_log_loss" else 100
        mean = [factor * curve.scores("K-means", budget, "LR", metric).mean() for budget in (9, 20)]
        np.testing.assert_allclose(display.lines_[1].get_ydata(), mean)


def test_samplers_may_have_budgets_of_their_own():
    y = np.arange(40) % 4
    selections = Selections({("by hand", 3, 0): [0, 1, 2], ("Random", 10, 0): range(10), ("Random", 20, 0): range(20)})
    curve = score(selections, {}, np.zeros((40, 2)), y, np.zeros((1, 2)), [0])
    display = BudgetCurveDisplay.from_curve(curve)
    assert [line.get_xdata().tolist() for line in display.lines_] == [[3], [10, 20]]
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["3", "10", "20"]


def test_what_is_not_in_the_curve(curve):
    with pytest.raises(ValueError, match="no classifier 'NN'; there are none, and the coverage"):
        BudgetCurveDisplay.from_curve(curve, "NN")
    with pytest.raises(ValueError, match="'accuracy' is a metric of classifiers"):
        BudgetCurveDisplay.from_curve(curve, metric="accuracy")
