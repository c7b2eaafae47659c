"""A line and a band a sampler, as the curve has them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skal.evaluation import budget_curve
from skal.plotting import BudgetCurveDisplay
from skal.samplers import KMeansSampler, RandomSampler


@pytest.fixture
def curve(blobs):
    X, y = blobs
    return budget_curve({"Random": RandomSampler(), "K-means": KMeansSampler()}, {}, X, y, X, y, [3, 9], n_seeds=2)


def test_a_line_and_a_band_for_each_sampler(curve):
    display = BudgetCurveDisplay.from_curve(curve, "coverage")
    assert [line.get_label() for line in display.lines_] == ["Random", "K-means"]
    assert len(display.bands_) == 2
    for line in display.lines_:
        mean = [100 * curve.scores(line.get_label(), budget, "coverage").mean() for budget in (3, 9)]
        np.testing.assert_allclose(line.get_ydata(), mean)
        np.testing.assert_array_equal(line.get_xdata(), [3, 9])
    assert display.ax_.get_ylabel() == "Category coverage (%)"


def test_an_axes_of_the_users_is_drawn_on(curve):
    _, ax = plt.subplots()
    display = BudgetCurveDisplay.from_curve(curve, "coverage", ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_one_seed_has_no_band(blobs):
    X, y = blobs
    curve = budget_curve({"Random": RandomSampler()}, {}, X, y, X, y, [3, 9], n_seeds=1)
    assert BudgetCurveDisplay.from_curve(curve, "coverage").bands_ == []


def test_a_measure_that_is_not_there(curve):
    with pytest.raises(ValueError, match="it has coverage"):
        BudgetCurveDisplay.from_curve(curve, "NN")
