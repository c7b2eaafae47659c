"""What a selection buys: coverage, and metrics of classifiers over budgets."""

from skal.evaluation._budget_curve import budget_curve
from skal.evaluation._curve import BudgetCurve, Score
from skal.evaluation._metrics import category_counts, category_coverage
from skal.evaluation._score import score
from skal.evaluation._select import select
from skal.evaluation._selections import Selection, Selections

__all__ = [
    "BudgetCurve",
    "Score",
    "Selection",
    "Selections",
    "budget_curve",
    "category_counts",
    "category_coverage",
    "score",
    "select",
]
