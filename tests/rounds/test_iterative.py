"""Rounds: totals, the oracle, what is kept when it fails."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import skal
from skal.classifiers import CosineKNNClassifier
from skal.evaluation import budget_curve
from skal.rounds import IterativeSampler
from skal.samplers import (
    CoreSetSampler,
    KMeansSampler,
    MarginSampler,
    MaxEntropySampler,
    RandomSampler,
    UniformSampler,
)


class Oracle:
    """Knows every label, counts what it is asked, and fails on the given call."""

    def __init__(self, y, fails_at_call=None):
        self.y, self.fails_at_call = y, fails_at_call
        self.calls = []

    def __call__(self, indices):
        if len(self.calls) + 1 == self.fails_at_call:
            raise ConnectionError("the labelling service is gone")
        self.calls.append(np.array(indices))
        return self.y[indices]


SAMPLERS = [
    KMeansSampler(), MaxEntropySampler(), MarginSampler(classifier=LogisticRegression()), CoreSetSampler(),
    RandomSampler(),
]  # fmt: skip


@pytest.mark.parametrize("initial", [None, RandomSampler()], ids=["itself", "random"])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_an_oracle_is_asked_once_for_each_pick_and_for_nothing_else(sampler, initial, blobs):
    X, y = blobs
    oracle = Oracle(y)
    rounds = IterativeSampler(sampler, (4, 9, 30), initial, random_state=0).fit(X, oracle)
    assert [len(rows) for rows in rounds.rounds_] == [4, 5, 21]
    assert len(set(rounds.selected_indices_)) == 30
    assert len(oracle.calls) == 3
    np.testing.assert_array_equal(np.concatenate(oracle.calls), rounds.selected_indices_)
    np.testing.assert_array_equal(np.concatenate(rounds.rounds_), rounds.selected_indices_)
    np.testing.assert_array_equal(rounds.selected_labels_, y[rounds.selected_indices_])
    assert rounds.selected_labels_.dtype == y.dtype
    simulated = IterativeSampler(sampler, (4, 9, 30), initial, random_state=0).fit(X, y)
    np.testing.assert_array_equal(simulated.selected_indices_, rounds.selected_indices_)
    np.testing.assert_array_equal(simulated.selected_labels_, rounds.selected_labels_)


def test_each_round_is_the_sampler_by_hand(blobs):
    X, y = blobs
    rounds = IterativeSampler(MaxEntropySampler(), (6, 12, 20), RandomSampler(), random_state=4).fit(X, y)
    by_hand = RandomSampler(6, random_state=4).fit_select(X)
    for total in (12, 20):
        sampler = MaxEntropySampler(total - len(by_hand), random_state=4)
        by_hand = np.concatenate([by_hand, sampler.fit_select(X, y, labeled_indices=by_hand)])
    np.testing.assert_array_equal(rounds.selected_indices_, by_hand)


def test_none_leaves_the_seeds_of_the_parts(blobs):
    X, y = blobs
    rounds = IterativeSampler(RandomSampler(random_state=1), (3, 8), RandomSampler(random_state=2)).fit(X, y)
    np.testing.assert_array_equal(rounds.rounds_[0], RandomSampler(3, random_state=2).fit_select(X))
    second = RandomSampler(5, random_state=1).fit_select(X, labeled_indices=rounds.rounds_[0])
    np.testing.assert_array_equal(rounds.rounds_[1], second)
    drawn = [
        IterativeSampler(RandomSampler(), (3, 8), random_state=np.random.RandomState(0)).fit_select(X, y)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*drawn)


def test_totals_that_are_reached_are_skipped(blobs):
    X, y = blobs
    labeled = np.arange(12)
    oracle = Oracle(y)
    rounds = IterativeSampler(KMeansSampler(), (5, 12, 20, 25), initial=RandomSampler(), random_state=0)
    rounds.fit(X, oracle, labeled_indices=labeled, labels=y[labeled])
    assert [len(rows) for rows in rounds.rounds_] == [8, 5]
    assert not np.isin(rounds.selected_indices_, labeled).any()
    first = KMeansSampler(8, random_state=0).fit_select(X, labeled_indices=labeled)
    np.testing.assert_array_equal(rounds.rounds_[0], first)  # not cold, so not by `initial`
    done = rounds.set_params(budgets=(5, 12)).fit(X, oracle, labeled_indices=labeled, labels=y[labeled])
    assert done.rounds_ == []
    assert not hasattr(done, "sampler_")
    assert len(done.selected_indices_) == len(done.selected_labels_) == 0


def test_shares_of_the_pool(blobs):
    X, y = blobs
    rounds = IterativeSampler(RandomSampler(), (0.05, 0.1, 40), random_state=0).fit(X, y)
    assert [len(rows) for rows in rounds.rounds_] == [6, 6, 28]


def test_without_labels(blobs):
    X, _ = blobs
    rounds = IterativeSampler(CoreSetSampler(), (5, 15)).fit(X)
    assert rounds.selected_labels_ is None
    np.testing.assert_array_equal(rounds.selected_indices_, CoreSetSampler(15).fit_select(X))


def test_nothing_paid_for_is_lost_and_a_second_fit_goes_on(blobs):
    X, y = blobs
    whole = IterativeSampler(MaxEntropySampler(), (6, 12, 30), RandomSampler(), random_state=0).fit(X, y)
    broken = IterativeSampler(MaxEntropySampler(), (6, 12, 30), RandomSampler(), random_state=0)
    with pytest.raises(ConnectionError):
        broken.fit(X, Oracle(y, fails_at_call=3))
    assert [len(rows) for rows in broken.rounds_] == [6, 6]
    np.testing.assert_array_equal(broken.selected_labels_, y[broken.selected_indices_])
    paid = broken.selected_indices_
    oracle = Oracle(y)
    broken.fit(X, oracle, labeled_indices=paid, labels=broken.selected_labels_)
    np.testing.assert_array_equal(np.concatenate([paid, broken.selected_indices_]), whole.selected_indices_)
    assert not np.isin(np.concatenate(oracle.calls), paid).any()


def test_an_oracle_that_yields_keeps_the_labels_before_it_stops(blobs):
    X, y = blobs

    def person(indices):
        for row in indices:
            if row == stops_at:
                raise KeyboardInterrupt
            yield y[row]

    stops_at = -1
    rounds = IterativeSampler(KMeansSampler(), (5, 12), random_state=0).fit(X, person)
    np.testing.assert_array_equal(rounds.selected_labels_, y[rounds.selected_indices_])
    stops_at = rounds.selected_indices_[8]
    with pytest.raises(KeyboardInterrupt):
        rounds.fit(X, person)
    assert [len(rows) for rows in rounds.rounds_] == [5, 3]
    np.testing.assert_array_equal(rounds.selected_labels_, y[rounds.selected_indices_])


def test_labels_are_matched_to_their_rows(blobs):
    X, y = blobs
    names = np.array(["a", "bb", "ccc"])[y]
    labeled = np.random.default_rng(1).permutation(120)[:30]
    sampler = MaxEntropySampler(random_state=0)
    expected = MaxEntropySampler(10, random_state=0).fit_select(X, names, labeled_indices=labeled)
    mask = np.isin(np.arange(120), labeled)
    for given, labels in ((labeled, names[labeled]), (mask, names[mask]), (labeled.tolist(), names[labeled].tolist())):
        picks = IterativeSampler(sampler, (40,)).fit_select(X, Oracle(names), labeled_indices=given, labels=labels)
        np.testing.assert_array_equal(picks, expected)


def test_a_sampler_that_sees_all_labels_gets_them(blobs):
    X, y = blobs
    rounds = IterativeSampler(MaxEntropySampler(), (6, 10), initial=UniformSampler(), random_state=0).fit(X, y)
    assert np.bincount(y[rounds.rounds_[0]]).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"budgets": (10, 5)}, "must ascend"),
        ({"budgets": ()}, "empty"),
        ({"budgets": (5, 0)}, "budgets"),
        ({"budgets": (5, "ten")}, "budgets"),
        ({"budgets": (5, 121)}, "n_samples=120"),
        ({"sampler": LogisticRegression()}, "sampler"),
    ],
)
def test_bad_parameters(parameters, message, blobs):
    with pytest.raises(ValueError, match=message):
        IterativeSampler(**parameters).fit(*blobs)


def test_labels_that_do_not_fit(blobs):
    X, y = blobs
    rounds = IterativeSampler(RandomSampler(), (5, 10))
    with pytest.raises(ValueError, match="gave 3 labels for 5 rows"):
        rounds.fit(X, lambda indices: y[indices[:3]])
    with pytest.raises(ValueError, match="gave 3 labels for 5 rows"):
        rounds.fit(X, lambda indices: iter(y[indices[:3]]))
    with pytest.raises(ValueError, match=r"2 labeled_indices need labels= .* found none"):
        rounds.fit(X, Oracle(y), labeled_indices=[1, 2])
    with pytest.raises(ValueError, match="found 3"):
        rounds.fit(X, Oracle(y), labeled_indices=[1, 2], labels=[0, 0, 1])
    with pytest.raises(ValueError, match="labels= goes with an oracle"):
        rounds.fit(X, y, labeled_indices=[1, 2], labels=[0, 0])


def test_mixed_answers_are_kept_as_they_are(blobs):
    X, _ = blobs
    rounds = IterativeSampler(KMeansSampler(), (2,)).fit(X, lambda indices: np.array(["?", 3], dtype=object))
    assert rounds.selected_labels_.tolist() == ["?", 3]


def test_in_the_one_step_classifier_only_the_picked_labels_are_looked_up(digits, counting_labels):
    X, X_test, y, y_test = digits
    labels = counting_labels(y)
    rounds = IterativeSampler(MaxEntropySampler(), (10, 30, 60))
    model = skal.LowBudgetClassifier(rounds, random_state=0).fit(X, labels)
    assert set(labels.asked) == set(model.selected_indices_)
    assert len(model.selected_indices_) == 60
    assert model.score(X_test, y_test) > 0.6


def test_budget_curve_evaluates_the_prefixes_of_one_fit(blobs):
    X, y = blobs
    samplers = {"Max-Entropy": IterativeSampler(MaxEntropySampler(), initial=RandomSampler())}
    curve = budget_curve(samplers, {"NN": CosineKNNClassifier()}, X, y, X, y, [4, 9], n_seeds=2)
    for seed in range(2):
        four, nine = (curve.selections["Max-Entropy", budget, seed] for budget in (4, 9))
        np.testing.assert_array_equal(four, RandomSampler(4, random_state=seed).fit_select(X))
        np.testing.assert_array_equal(nine[:4], four)
        assert len(nine) == 9


def test_verbose_prints_each_round(blobs, capsys):
    IterativeSampler(RandomSampler(), (3, 8), verbose=1).fit(*blobs)
    assert capsys.readouterr().out.splitlines() == [
        "[IterativeSampler] round 1: labelled rows 3",
        "[IterativeSampler] round 2: labelled rows 8",
    ]


def test_labels_are_kept_by_row_and_not_as_n_objects(blobs):
    X, y = blobs
    seen = []

    class Looking(RandomSampler):
        def fit(self, X, y=None, *, labeled_indices=None):
            seen.append(y)
            return super().fit(X, y, labeled_indices=labeled_indices)

    IterativeSampler(Looking(), (5, 10), random_state=0).fit(X, lambda rows: y[rows])
    target = seen[-1]
    assert not isinstance(target, np.ndarray)
    assert target.shape == (len(X),)
    assert len(target) == len(X)
    full = np.asarray(target)
    known = np.flatnonzero([label is not None for label in full])
    assert len(known) == 5
    np.testing.assert_array_equal(full[known].astype(int), y[known])
    np.testing.assert_array_equal(target[known], full[known])
    np.testing.assert_array_equal(target[::7], full[::7])
    np.testing.assert_array_equal(target[np.isin(np.arange(len(X)), known)], full[known])
    assert target[-1] == full[-1]
    assert target[int(known[0])] == y[known[0]]
