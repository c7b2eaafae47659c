"""How many categories have how many picks, counted by hand."""

from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skal.evaluation import budget_curve
from skal.plotting import CategoryHistogramDisplay
from skal.samplers import KMeansSampler, RandomSampler


def histogram_by_hand(y, picks):
    picks_of = Counter(y[row] for row in picks)
    return Counter(picks_of[category] for category in set(y.tolist()))


def test_histograms_are_those_counted_by_hand(rng):
    y = rng.integers(12, size=300)
    picks = {"a": rng.choice(300, 40, replace=False), "b": rng.choice(300, 40, replace=False)}
    display = CategoryHistogramDisplay.from_indices(y, picks)
    assert [line.get_label() for line in display.lines_] == ["a", "b"]
    for line in display.lines_:
        wanted = histogram_by_hand(y, picks[line.get_label()])
        sizes, heights = np.round(line.get_xdata()).astype(int), line.get_ydata()
        assert {size: height for size, height in zip(sizes, heights, strict=True) if height} == wanted
    assert display.even_line_.get_xdata()[0] == 40 / 12


def test_a_curves_histogram_is_a_mean_over_its_seeds(blobs):
    X, y = blobs
    samplers = {"Random": RandomSampler(), "K-means": KMeansSampler()}
    curve = budget_curve(samplers, {}, X, y, X, y, [3, 9], n_seeds=2)
    display = CategoryHistogramDisplay.from_curve(curve, y, 9)
    for name, line in zip(samplers, display.lines_, strict=True):
        by_hand = [histogram_by_hand(y, rows) for key, rows in curve.selections.items() if key[:2] == (name, 9)]
        assert len(by_hand) == 2
        heights = [np.mean([histogram[size] for histogram in by_hand]) for size in range(len(line.get_ydata()))]
        np.testing.assert_allclose(line.get_ydata(), heights)
    with pytest.raises(ValueError, match="budget=4 is not in this curve; it has 3, 9"):
        CategoryHistogramDisplay.from_curve(curve, y, 4)


def test_an_axes_of_the_users_is_drawn_on_again_and_again_and_nothing_is_changed(rng):
    y, picks = rng.integers(5, size=60), np.arange(20)
    y_before = y.copy()
    _, ax = plt.subplots()
    display = CategoryHistogramDisplay.from_indices(y, picks, ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    heights = display.lines_[0].get_ydata()
    np.testing.assert_array_equal(display.plot().lines_[0].get_ydata(), heights)
    assert display.ax_ is not ax
    np.testing.assert_array_equal(y, y_before)
    np.testing.assert_array_equal(picks, np.arange(20))


def test_different_numbers_of_picks_do_not_compare(rng):
    with pytest.raises(ValueError, match="equally many rows"):
        CategoryHistogramDisplay.from_indices(rng.integers(5, size=60), {"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(ValueError, match="equally many rows"):
        CategoryHistogramDisplay.from_indices([0, 1], {})
