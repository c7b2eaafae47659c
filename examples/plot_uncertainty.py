"""
Does it pay to ask where the model is unsure?
=============================================

Classical active learning asks for the rows that a classifier finds hardest to tell. With few labels
that classifier knows next to nothing, not even what it is unsure of. Here it is given the best of
starts, and compared with K-means at each budget.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import skal
from skal.classifiers import CosineKNNClassifier
from skal.evaluation import budget_curve
from skal.plotting import BudgetCurveDisplay
from skal.rounds import IterativeSampler
from skal.samplers import KMeansSampler, MarginSampler, RandomSampler

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=600, stratify=y, random_state=0)

# %%
# Margin sampling, from two starts
# --------------------------------
#
# In rounds: train on what is labelled, ask for the rows whose two likeliest classes are closest,
# and so on. The first ten rows come from chance or from K-means.

samplers = {
    "Random": RandomSampler(),
    "Margin from a random start": IterativeSampler(MarginSampler(), initial=RandomSampler()),
    "Margin from K-means": IterativeSampler(MarginSampler(), initial=KMeansSampler()),
    "K-means": KMeansSampler(),
}
classifiers = {"1-NN": CosineKNNClassifier()}
budgets = [10, 20, 40, 80, 160, 320]
curve = budget_curve(samplers, classifiers, skal.Pool(X), y, X_test, y_test, budgets, n_seeds=5)
display = BudgetCurveDisplay.from_curve(curve, "1-NN")

# %%
# Is K-means ahead, seed by seed?
# -------------------------------
#
# With an interval of 95 %, which holds 0 where the difference may be luck:

for row in curve.paired_differences("Margin from K-means"):
    if (row["sampler"], row["metric"]) == ("K-means", "accuracy"):
        print(
            f"{row['budget']:4d} labels: K-means {100 * row['mean']:+.1f} points, "
            f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
        )

# %%
# On these digits uncertainty does not catch up within 320 labels. What is typical of the pool comes
# first; what is hard can wait for a budget of thousands.
