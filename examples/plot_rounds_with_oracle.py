"""
Labelling in rounds: what is lost when the connection breaks?
=============================================================

Labels come from a service that costs money, cannot tell some images, and breaks down once. A ledger
on disk keeps every answer as it comes, so that the same call, made again, goes on where it stopped.
"""

import tempfile
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal.classifiers import CosineKNNClassifier
from skal.rounds import IterativeSampler, Ledger
from skal.samplers import KMeansSampler

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=600, stratify=y, random_state=0)

# %%
# A service with faults
# ---------------------
#
# An oracle is a function of row numbers. Here it gives one label after the other; None means "I
# cannot tell", and another image is asked for instead. At the 42nd question it fails.

questions = []


def service(rows):
    for row in rows:
        questions.append(row)
        if len(questions) == 42:
            raise ConnectionError("the service is down")
        yield None if len(questions) % 9 == 0 else y[row]


# %%
# Three rounds
# ------------
#
# To 20 labels, then to 40, then to 60. K-means knows in each round what is labelled, and picks
# elsewhere.

path = Path(tempfile.mkdtemp()) / "labels.jsonl"
rounds = IterativeSampler(KMeansSampler(), budgets=(20, 40, 60), random_state=0)
try:
    rounds.fit(X, service, ledger=path)
except ConnectionError as error:
    n_kept = len(Ledger.read(path).labels)
    print(f"{error} after {len(questions)} questions; {n_kept} labels are on disk")

# %%
# The next day, the same call:

rounds.fit(X, service, ledger=path)
ledger = rounds.ledger_
asked_twice = [row for row, times in Counter(questions).items() if times > 1]
print(f"{len(questions)} questions: {len(ledger.labels)} labels, {len(ledger.skipped)} set aside")
print(f"asked twice: {len(asked_twice)} image, the one whose answer did not come")

# %%
# What was paid for, and what was kept
# ------------------------------------

kept = np.isin(questions, ledger.labeled_indices)
kept[41] = False  # the question that the service did not answer
number, total = np.arange(1, len(questions) + 1), np.cumsum(kept)
aside = np.isin(questions, ledger.skipped)

_, ax = plt.subplots(layout="constrained")
ax.step(number, total, where="post", color="#0072B2", label="Labels in the ledger")
ax.plot(number[aside], total[aside], "x", color="#D55E00", markersize=9, label="Could not tell")
ax.axvline(42, color="0.4", linestyle=":", label="Breakdown")
ax.set(xlabel="Questions asked", ylabel="Labels kept", xlim=(0, None), ylim=(0, None))
ax.grid(alpha=0.3)
ax.legend(loc="upper left")

# %%
# What each round bought
# ----------------------
#
# The ledger knows the order of the answers:

for total in (20, 40, 60):
    rows, labels = ledger.labeled_indices[:total], ledger.labels[:total]
    accuracy = CosineKNNClassifier().fit(X[rows], labels).score(X_test, y_test)
    print(f"{total} labels: accuracy {accuracy:.1%}")

# %%
# Without a function to call, for people who answer in their own time, ``rounds.step(X,
# ledger=ledger)`` gives the rows of one round, and ``ledger.answer(row, label)`` takes each answer.
