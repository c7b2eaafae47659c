"""
A comparison that goes on where it stopped
==========================================

Comparisons grow: another sampler, another classifier, ten more seeds. Kept in a file, each
selection and each score is computed once; what is asked for again is read, also after a power cut.
"""

import tempfile
import time
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal.classifiers import CosineKNNClassifier, RidgeProbe
from skal.evaluation import budget_curve
from skal.plotting import BudgetCurveDisplay
from skal.samplers import KMeansSampler, MaxHerdingSampler, RandomSampler

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=600, stratify=y, random_state=0)
file = Path(tempfile.mkdtemp()) / "comparison.jsonl"


def compare(samplers, classifiers):
    """Compare what is not in the file yet, and say how long it took."""
    start = time.process_time()
    data, budgets = (X, y, X_test, y_test), [10, 20, 50, 100]
    curve = budget_curve(samplers, classifiers, *data, budgets, n_seeds=5, resume_from=file)
    print(f"{curve!r}: {time.process_time() - start:.1f} s")
    return curve


# %%
# Today
# -----

samplers = {"Random": RandomSampler(), "K-means": KMeansSampler()}
curve = compare(samplers, {"1-NN": CosineKNNClassifier()})

# %%
# Tomorrow, with one sampler and one classifier more
# --------------------------------------------------
#
# Only what these add is computed. The same call without any news would compute nothing.

samplers["MaxHerding"] = MaxHerdingSampler()
curve = compare(samplers, {"1-NN": CosineKNNClassifier(), "Ridge": RidgeProbe()})

# %%
# A picture of either classifier
# ------------------------------

display = BudgetCurveDisplay.from_curve(curve, "Ridge")

# %%
# In a notebook
# -------------
#
# A curve shows itself as tables, with everything in them:

curve
