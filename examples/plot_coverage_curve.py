"""
How many labels before the next one adds little?
================================================

Before anything is paid for, the embeddings alone say how well the picks of each budget would stand
for the whole pool. The curve rises steeply and then bends; its knee is a first guess at a budget.
"""

from sklearn.datasets import load_digits

from skal.classifiers import CosineKNNClassifier
from skal.evaluation import coverage_curve
from skal.plotting import CoverageCurveDisplay

X, y = load_digits(return_X_y=True)

# %%
# One curve for all budgets
# -------------------------
#
# The picks of a small budget are the first of those of a larger one, so one pass gives every budget
# up to 200.

curve = coverage_curve(X, 200)
display = CoverageCurveDisplay.from_curve(curve)

# %%
# The dashed line matters as much: it is the radius, the distance of the image that is farthest from
# all picks. While it stays high, something in the pool is like nothing that was picked.

for row in curve.to_rows():
    if row["budget"] in (10, curve.knee, 100, 200):
        print(f"{row['budget']:4d} labels: {row['coverage']:.0%} covered, radius {row['radius']:.2f}")

# %%
# Does accuracy bend there too?
# -----------------------------
#
# The curve claims nothing about accuracy, as it saw no label. Here the labels are known, and a look
# is allowed:

for budget in (10, curve.knee, 100, 200):
    picks = curve.picks[:budget]
    accuracy = CosineKNNClassifier().fit(X[picks], y[picks]).score(X, y)
    print(f"{budget:4d} labels: accuracy of the nearest neighbour {accuracy:.1%}")

# %%
# Take the knee as the size of a first round, look at what it gave, and go on from there.
