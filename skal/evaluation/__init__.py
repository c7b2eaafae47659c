"""What a selection buys: coverage, and metrics of classifiers over budgets."""

from skal.evaluation._budget_curve import budget_curve
from skal.evaluation._coverage_curve import CoverageCurve, coverage_curve
from skal.evaluation._curve import BudgetCurve
from skal.evaluation._holdout import HoldoutEstimate, draw_holdout, holdout_estimate
from skal.evaluation._metrics import category_counts, category_coverage
from skal.evaluation._score import score
from skal.evaluation._scores import Score
from skal.evaluation._select import select
from skal.evaluation._selections import Selection, Selections

__all__ = [
    "BudgetCurve",
    "CoverageCurve",
    "HoldoutEstimate",
    "Score",
    "Selection",
    "Selections",
    "budget_curve",
    "category_counts",
    "category_coverage",
    "coverage_curve",
    "draw_holdout",
    "holdout_estimate",
    "score",
    "select",
]
