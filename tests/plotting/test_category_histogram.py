"""How many categories have how many picks, counted by hand."""

import itertools
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
    display = CategoryHistogramDisplay.from_indices(y, picks, kind="lines")
    assert not display.bars_
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
    display = CategoryHistogramDisplay.from_curve(curve, y, 9, kind="lines")
    for name, line in zip(samplers, display.lines_, strict=True):
        by_hand = [histogram_by_hand(y, rows) for key, rows in curve.selections.items() if key[:2] == (name, 9)]
        assert len(by_hand) == 2
        heights = [np.mean([histogram[size] for histogram in by_hand]) for size in range(len(line.get_ydata()))]
        np.testing.assert_allclose(line.get_ydata(), heights)
    with pytest.raises(ValueError, match="budget=4 is not in this curve; it has 3, 9"):
        CategoryHistogramDisplay.from_curve(curve, y, 4)


@pytest.mark.parametrize("n_samplers", [1, 2, 4])
def test_the_legend_hides_no_bar(n_samplers):
    y = np.arange(100) % 10
    display = CategoryHistogramDisplay.from_indices(y, {f"sampler {n}": np.arange(30) for n in range(n_samplers)})
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    bars = [bar for container in display.bars_ for bar in container]
    assert not any(legend.overlaps(bar.get_window_extent()) for bar in bars)


def test_an_axes_of_the_users_is_drawn_on_again_and_again_and_nothing_is_changed(rng):
    y, picks = rng.integers(5, size=60), np.arange(20)
    y_before = y.copy()
    _, ax = plt.subplots()
    display = CategoryHistogramDisplay.from_indices(y, picks, kind="lines", ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    heights = display.lines_[0].get_ydata()
    np.testing.assert_array_equal(display.plot("lines").lines_[0].get_ydata(), heights)
    assert display.ax_ is not ax
    np.testing.assert_array_equal(y, y_before)
    np.testing.assert_array_equal(picks, np.arange(20))


def test_different_numbers_of_picks_do_not_compare(rng):
    with pytest.raises(ValueError, match="equally many rows"):
        CategoryHistogramDisplay.from_indices(rng.integers(5, size=60), {"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(ValueError, match="equally many rows"):
        CategoryHistogramDisplay.from_indices([0, 1], {})


@pytest.mark.parametrize(("n_categories", "are_bars"), [(2, True), (12, True), (13, False)])
def test_few_categories_are_bars_with_their_names(n_categories, are_bars):
    y = np.arange(60) % n_categories
    display = CategoryHistogramDisplay.from_indices(y, [0, 1, 3])
    assert (len(display.bars_), len(display.lines_)) == (1, 0) if are_bars else (0, 1)


def test_a_bar_is_the_picks_of_its_category(rng):
    y = np.array(["cat", "dog", "owl"])[rng.integers(3, size=60)]
    picks = {"a": rng.choice(60, 9, replace=False), "b": rng.choice(60, 9, replace=False)}
    display = CategoryHistogramDisplay.from_indices(y, picks)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["cat", "dog", "owl"]
    for bars, (name, rows) in zip(display.bars_, picks.items(), strict=True):
        assert bars.get_label() == name
        by_hand = Counter(y[rows])
        assert [bar.get_height() for bar in bars] == [by_hand[category] for category in ("cat", "dog", "owl")]
    assert display.even_line_.get_ydata()[0] == 3
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bars in display.bars_ for bar in bars)
    assert all(right <= left for (_, right), (left, _) in itertools.pairwise(edges))  # none hides another


def test_a_curves_bars_are_a_mean_over_its_seeds(blobs):
    X, y = blobs
    curve = budget_curve({"Random": RandomSampler()}, {}, X, y, X, y, [9], n_seeds=3)
    display = CategoryHistogramDisplay.from_curve(curve, y, 9, class_names=["cat", "dog", "owl"])
    by_hand = np.mean([np.bincount(y[rows], minlength=3) for rows in curve.selections.values()], axis=0)
    np.testing.assert_allclose([bar.get_height() for bar in display.bars_[0]], by_hand)
    assert display.names == ["cat", "dog", "owl"]
    for options, message in (
        ({"class_names": ["cat"]}, "1 names for the 3 categories"),
        ({"kind": "bar"}, "kind must be"),
    ):
        with pytest.raises(ValueError, match=message):
            CategoryHistogramDisplay.from_curve(curve, y, 9, **options)
