"""Label 30 digits, look at the result, then pay for 30 more: nothing labelled is asked for twice."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal.classifiers import LinearProbe
from skal.rounds import IterativeSampler, Ledger
from skal.samplers import KMeansSampler

X, y_truth = load_digits(return_X_y=True)
X_pool, X_test, y_truth, y_test = train_test_split(X, y_truth, test_size=600, stratify=y_truth, random_state=0)

rounds = IterativeSampler(KMeansSampler(), budgets=(30, 60), random_state=0)
with Ledger("two_rounds.jsonl") as ledger:  # on disk, so that tomorrow's round knows today's labels
    while len(rows := rounds.step(X_pool, ledger=ledger)):
        for row in rows:  # a person's answers
            ledger.answer(row, y_truth[row], annotator="Ada")
        probe = LinearProbe(random_state=0)
        probe.fit(X_pool[ledger.labeled_indices], ledger.labels, X_pool=X_pool)
        print(f"{len(ledger.labels)} labels: accuracy {probe.score(X_test, y_test):.1%}")
