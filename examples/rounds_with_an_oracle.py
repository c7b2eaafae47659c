"""Label in rounds through a service that breaks down once: nothing that was answered is asked again."""

from sklearn.datasets import load_digits

from skal.rounds import IterativeSampler
from skal.samplers import MaxEntropySampler, RandomSampler

X, y_truth = load_digits(return_X_y=True)
n_asked = 0


def labelling_service(indices):
    """Yield one label after the other; each costs money."""
    global n_asked
    for row in indices:
        n_asked += 1
        if n_asked == 25:
            raise ConnectionError("the service is down")
        yield None if n_asked == 7 else y_truth[row]  # None: "I cannot tell", and another row is asked instead


rounds = IterativeSampler(MaxEntropySampler(), budgets=(10, 20, 40), initial=RandomSampler(), random_state=0)
try:
    rounds.fit(X, labelling_service, ledger="service.jsonl")
except ConnectionError as error:
    print(f"{error}; {len(rounds.selected_labels_)} labels are safe")

rounds.fit(X, labelling_service, ledger="service.jsonl")
rows, labels, skipped = rounds.selected_indices_, rounds.selected_labels_, rounds.ledger_.skipped
print(
    f"{len(set(rows))} rows labelled, all correctly: {bool((labels == y_truth[rows]).all())}; {len(skipped)} set aside"
)
