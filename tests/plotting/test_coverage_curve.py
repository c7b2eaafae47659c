"""Coverage and radius over the budget, as the curve has them."""

import matplotlib.pyplot as plt
import numpy as np

from skal.evaluation import coverage_curve
from skal.plotting import CoverageCurveDisplay


def test_lines_and_knee_are_those_of_the_curve(digits):
    curve = coverage_curve(digits[0][:300], 40)
    display = CoverageCurveDisplay.from_curve(curve)
    np.testing.assert_array_equal(display.coverage_line_.get_xdata(), curve.budgets)
    np.testing.assert_allclose(display.coverage_line_.get_ydata(), 100 * curve.coverage)
    np.testing.assert_array_equal(display.radius_line_.get_ydata(), curve.radius)
    assert display.radius_line_.axes is display.radius_ax_
    assert display.knee_line_.get_xdata()[0] == curve.knee
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["Coverage", "Distance of the farthest row", f"Knee: {curve.knee} labels"]


def test_an_axes_of_the_users_is_drawn_on(digits):
    _, ax = plt.subplots()
    display = CoverageCurveDisplay.from_curve(coverage_curve(digits[0][:100], 5), ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
