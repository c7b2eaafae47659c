"""Coverage of the picks, and accuracy per budget."""

from skal.evaluation._budget_curve import budget_curve
from skal.evaluation._curve import BudgetCurve, Run
from skal.evaluation._metrics import category_counts, category_coverage

__all__ = ["BudgetCurve", "Run", "budget_curve", "category_counts", "category_coverage"]
