"""Displays in the manner of scikit-learn. Matplotlib is imported only when one is drawn."""

from skal.plotting._budget_curve import BudgetCurveDisplay
from skal.plotting._category_histogram import CategoryHistogramDisplay
from skal.plotting._coverage_curve import CoverageCurveDisplay
from skal.plotting._embedding import EmbeddingDisplay
from skal.plotting._picked_images import PickedImagesDisplay

__all__ = [
    "BudgetCurveDisplay",
    "CategoryHistogramDisplay",
    "CoverageCurveDisplay",
    "EmbeddingDisplay",
    "PickedImagesDisplay",
]
