"""No answer of an oracle is lost or asked for twice, whatever the oracle does."""

import json
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from skal.base import BaseSampler
from skal.pool import Pool
from skal.rounds import IterativeSampler, Ledger, MultiKMeansSampler
from skal.samplers import CoreSetSampler, KMeansSampler, MaxEntropySampler, RandomSampler, UniformSampler

BUDGETS = (4, 9, 30)


class Person:
    """Labels one row after the other; cannot tell some rows, and breaks off before the given answers."""

    def __init__(self, y, breaks_off_before=(), cannot_tell=()):
        self.y, self.breaks_off_before, self.cannot_tell = y, set(breaks_off_before), set(cannot_tell)
        self.answered = []

    def __call__(self, indices):
        for row in indices.tolist():
            if len(self.answered) in self.breaks_off_before:
                self.breaks_off_before.remove(len(self.answered))
                raise ConnectionError("the person has left")
            self.answered.append(row)
            yield None if row in self.cannot_tell else self.y[row]


def make(sampler=None):
    return IterativeSampler(MaxEntropySampler() if sampler is None else sampler, BUDGETS, random_state=0)


@pytest.mark.parametrize("sampler", [KMeansSampler(), MaxEntropySampler(), CoreSetSampler()])
def test_the_obvious_loop_loses_nothing_however_often_it_fails(sampler, blobs):
    X, y = blobs
    person = Person(y, breaks_off_before=[0, 3, 4, 7, 11, 12, 20, 29])
    rounds, rows, labels = make(sampler), None, None
    for n_failures in range(20):  # noqa: B007
        try:
            rounds.fit(X, person, labeled_indices=rows, labels=labels)
            break
        except ConnectionError:
            rows, labels = rounds.selected_indices_, rounds.selected_labels_
            np.testing.assert_array_equal(labels, y[rows])
            assert sorted(rows) == sorted(person.answered)
    assert n_failures == 8
    assert len(person.answered) == len(set(person.answered)) == 30
    assert sorted([*rows, *rounds.selected_indices_]) == sorted(person.answered)
    np.testing.assert_array_equal(rounds.selected_labels_, y[rounds.selected_indices_])


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("sampler", [KMeansSampler(n_init=1), MaxEntropySampler()])
@pytest.mark.slow
def test_with_a_ledger_an_interrupted_run_ends_as_one_that_was_not(sampler, where, blobs, tmp_path):
    X, y = blobs
    whole = make(sampler).fit(X, y)
    moments = (*range(11), 20, 29)  # all of two rounds, of the third its begin, middle and end
    for fails_at in moments if where == "file" else moments[::3]:
        person = Person(y, breaks_off_before=[fails_at])
        ledger = Ledger() if where == "memory" else tmp_path / f"{fails_at}.jsonl"
        with pytest.raises(ConnectionError):
            make(sampler).fit(X, person, ledger=ledger)
        rounds = make(sampler).fit(X, person, ledger=ledger)
        assert [rows.tolist() for rows in rounds.rounds_] == [rows.tolist() for rows in whole.rounds_]
        np.testing.assert_array_equal(rounds.selected_indices_, whole.selected_indices_)
        np.testing.assert_array_equal(rounds.selected_labels_, whole.selected_labels_)
        assert sorted(person.answered) == sorted(whole.selected_indices_)
        assert [len(each.rows) for each in rounds.ledger_.rounds] == [4, 5, 21]


@pytest.mark.slow
def test_rounds_that_are_killed_go_on(tmp_path, warm_python):
    script = Path(__file__).with_name("killed_rounds.py")
    done = subprocess.run([warm_python, script, tmp_path], check=True, capture_output=True, text=True)
    n_killed, selected, expected = map(json.loads, done.stdout.splitlines())
    assert n_killed >= 5
    assert selected == expected
    acknowledged = (tmp_path / "acknowledged.txt").read_text().split()
    assert len(acknowledged) == len(set(acknowledged))
    ledger = Ledger.read(tmp_path / "labels.jsonl")
    assert {int(row) for row in acknowledged} <= set(ledger.labeled_indices)
    assert len(ledger.history) == len(ledger.labels) == 30


@pytest.mark.parametrize(
    ("spoil", "n_kept"),
    [
        (lambda answers: iter([*answers[:6], ["two", "names"], *answers[7:]]), 6),
        (lambda answers: [*answers[:6], ["two", "names"], *answers[7:]], 9),
        (lambda answers: answers[:6], 6),
        (lambda answers: iter(answers[:6]), 6),
        (lambda answers: [*answers, 0], 10),
        (lambda answers: iter([*answers, 0]), 10),
        (lambda answers: np.column_stack([answers, answers]), 0),
        (lambda answers: None, 0),
    ],
    ids=[
        "no scalar", "no scalar in a list", "short", "short generator", "long", "long generator", "columns", "nothing",
    ],
)  # fmt: skip
def test_answers_that_do_not_fit_leave_all_others_where_they_belong(spoil, n_kept, blobs, tmp_path):
    X, y = blobs
    asked = []

    def oracle(indices):
        asked.append(indices)
        return spoil(y[indices].tolist()) if len(asked) == 2 else y[indices]

    rounds = IterativeSampler(KMeansSampler(), (5, 15, 20), random_state=0)
    with pytest.raises(ValueError, match="The oracle"):
        rounds.fit(X, oracle, ledger=tmp_path / "labels.jsonl")
    assert len(rounds.selected_indices_) == 5 + n_kept
    np.testing.assert_array_equal(rounds.selected_labels_, y[rounds.selected_indices_])
    rounds.fit(X, oracle, ledger=tmp_path / "labels.jsonl")
    assert len(np.concatenate(asked)) == 20 + 10 - n_kept
    assert len(rounds.selected_indices_) == 20
    np.testing.assert_array_equal(rounds.selected_labels_, y[rounds.selected_indices_])


@pytest.mark.parametrize(
    "form", [lambda rows, y: dict(zip(rows, y, strict=True)), lambda rows, y: pd.Series(y, index=rows).sort_index()]
)
def test_answers_by_row(form, blobs):
    X, y = blobs
    rounds = make().fit(X, lambda indices: form(indices.tolist(), y[indices]))
    np.testing.assert_array_equal(rounds.selected_indices_, make().fit(X, y).selected_indices_)
    np.testing.assert_array_equal(rounds.selected_labels_, y[rounds.selected_indices_])


def test_an_oracle_may_do_what_it_likes_with_its_array(blobs):
    X, y = blobs

    def careless(indices):
        answers = y[indices]
        indices[:] = 0
        return answers

    rounds = make().fit(X, careless)
    np.testing.assert_array_equal(rounds.selected_indices_, make().fit(X, y).selected_indices_)


@pytest.mark.parametrize("sampler", [KMeansSampler(), MaxEntropySampler(), CoreSetSampler(), RandomSampler()])
def test_a_row_that_cannot_be_told_is_set_aside_and_another_is_asked(sampler, blobs):
    X, y = blobs
    cannot_tell = make(sampler).fit(X, y).selected_indices_[[1, 2, 6, 20, 29]].tolist()
    person = Person(y, cannot_tell=cannot_tell)
    rounds = make(sampler).fit(X, person)
    assert [len(rows) for rows in rounds.rounds_] == [4, 5, 21]
    assert len(person.answered) == len(set(person.answered))
    skipped = set(cannot_tell) & set(person.answered)
    assert set(rounds.ledger_.skipped) == skipped >= set(cannot_tell[:2])
    assert len(person.answered) == 30 + len(skipped)
    assert not skipped & set(rounds.selected_indices_)
    np.testing.assert_array_equal(rounds.selected_labels_, y[rounds.selected_indices_])


def test_the_next_best_row_takes_the_place(blobs):
    X, y = blobs
    order = RandomSampler(120, random_state=0).fit_select(X)
    rounds = IterativeSampler(KMeansSampler(), (5,), initial=RandomSampler(), random_state=0)
    rounds.fit(X, Person(y, cannot_tell=order[[0, 3, 5]]))  # the first in place of 0 cannot be told either
    assert rounds.selected_indices_.tolist() == order[[1, 2, 4, 6, 7]].tolist()
    (asked,) = rounds.ledger_.rounds
    assert asked.rows == tuple(order[:8])


def test_set_aside_stays_set_aside_in_a_later_run(blobs, tmp_path):
    X, y = blobs
    order = RandomSampler(120, random_state=0).fit_select(X)
    person = Person(y, cannot_tell=order[[1, 3]], breaks_off_before=[4])
    rounds = IterativeSampler(RandomSampler(), (3, 6), random_state=0)
    with pytest.raises(ConnectionError):
        rounds.fit(X, person, ledger=tmp_path / "labels.jsonl")
    rounds.fit(X, person, ledger=tmp_path / "labels.jsonl")
    assert sorted(rounds.selected_indices_) == sorted(order[[0, 2, 4, 5, 6, 7]])
    assert sorted(person.answered) == sorted(order[:8])


def test_rounds_end_where_no_row_is_left(blobs):
    X, y = blobs[0][:12], blobs[1][:12]
    with pytest.warns(UserWarning, match=r"end at 10 labelled rows instead of 12: 2 were set aside, and no others"):
        rounds = IterativeSampler(KMeansSampler(), (6, 12)).fit(X, Person(y, cannot_tell=[3, 4]))
    assert sorted(rounds.selected_indices_) == [0, 1, 2, *range(5, 12)]


def test_an_oracle_that_labels_nothing_does_not_use_up_the_pool(blobs):
    X, y = blobs
    rounds, ledger = IterativeSampler(KMeansSampler(), (5, 10), random_state=0), Ledger()
    with pytest.raises(ValueError, match=r"none of the last 10 rows, .* at last rows (\d+, ){4}\d+; fit again"):
        rounds.fit(X, lambda indices: [None] * len(indices), ledger=ledger)
    assert len(ledger.skipped) == 10
    assert len(rounds.fit(X, Person(y), ledger=ledger).selected_indices_) == 10
    assert not set(ledger.skipped) & set(rounds.selected_indices_)


def test_rows_that_cannot_be_told_may_follow_each_other(blobs):
    X, y = blobs
    order = RandomSampler(120, random_state=0).fit_select(X)
    cannot_tell = [*order[0:9], *order[10:19]]  # nine, and nine more
    rounds = IterativeSampler(RandomSampler(), (1, 2), random_state=0).fit(X, Person(y, cannot_tell=cannot_tell))
    assert rounds.selected_indices_.tolist() == order[[9, 19]].tolist()


def test_a_ledger_on_file_belongs_to_one_pool(blobs, tmp_path):
    X, y = blobs
    path = tmp_path / "labels.jsonl"
    make().fit(X, y, ledger=path)
    for other in (X[::-1], X[:100], X + 1e-6):
        with pytest.raises(ValueError, match="Its row numbers no longer match"):
            make().fit(other, y[: len(other)], ledger=path)
    named = pd.DataFrame(X, columns=list("abcdef"), index=range(5, 125))
    assert make().fit(named, Person(y), ledger=path).rounds_[2].shape == (21,)


def test_the_owner_of_a_ledger_may_tell_pools_apart(blobs, tmp_path):
    X, y = blobs
    with Ledger(tmp_path / "labels.jsonl", n_samples=120, fingerprint="images of May") as ledger:
        make().fit(X, y, ledger=ledger)
        again = make().fit(X.astype(np.float16), Person(y), ledger=ledger)  # the same images, embedded anew
        assert len(again.selected_indices_) == 30
        assert ledger.fingerprint == "images of May"
        with pytest.raises(ValueError, match="of a pool of 120 rows, and this one has 100"):
            make().fit(X[:100], y[:100], ledger=ledger)


def test_whoever_opens_a_file_by_its_path_lets_go_of_it(blobs, tmp_path):
    X, y = blobs
    path = tmp_path / "labels.jsonl"
    with pytest.raises(ConnectionError):
        make().fit(X, Person(y, [6]), ledger=path)
    Ledger(path).close()
    rounds = make().fit(X, y, ledger=path)
    Ledger(path).close()
    assert len(rounds.ledger_.labels) == 30
    with pytest.raises(RuntimeError, match="closed"):
        rounds.ledger_.answer(0, 1)
    assert len(pickle.loads(pickle.dumps(rounds)).ledger_.labels) == 30
    with Ledger(path) as ledger:
        assert make().fit(X, y, ledger=ledger).ledger_ is ledger
        ledger.answer(0, 1)  # not closed: somebody else opened it


def test_labels_given_are_in_the_ledger_once_and_must_agree_with_it(blobs, tmp_path):
    X, y = blobs
    path, labeled = tmp_path / "labels.jsonl", np.array([50, 7, 90])
    first = make().fit(X, Person(y), labeled_indices=labeled, labels=y[labeled], ledger=path)
    assert [each.source for each in first.ledger_.history].count("given") == 3
    for labels in (None, y[labeled]):  # the ledger knows them by now
        again = make().fit(X, Person(y), labeled_indices=labeled, labels=labels, ledger=path)
        np.testing.assert_array_equal(again.selected_indices_, first.selected_indices_)
        assert len(again.ledger_.history) == 30
    part = first.selected_indices_[::2]
    rest = make().fit(X, Person(y), labeled_indices=part, ledger=path)
    np.testing.assert_array_equal(rest.selected_indices_, first.selected_indices_[1::2])
    with pytest.raises(ValueError, match=r"Row 7 is \d in the ledger and 5 among the labels given now"):
        make().fit(X, Person(y), labeled_indices=[7], labels=[5], ledger=path)
    with pytest.raises(ValueError, match="labels= with as many entries; found none"):
        make().fit(X, Person(y), labeled_indices=np.setdiff1d(range(120), first.selected_indices_)[:50], ledger=path)


def test_pick_now_and_label_later(blobs, tmp_path):
    X, y = blobs
    path = tmp_path / "labels.jsonl"
    picked = MultiKMeansSampler(BUDGETS, random_state=0).fit(X, ledger=path)
    assert picked.selected_labels_ is None
    np.testing.assert_array_equal(picked.ledger_.pending, picked.selected_indices_)
    again = MultiKMeansSampler(BUDGETS, random_state=0).fit(X, ledger=path)
    np.testing.assert_array_equal(again.selected_indices_, picked.selected_indices_)
    person = Person(y)
    labelled = MultiKMeansSampler(BUDGETS, random_state=0).fit(X, person, ledger=path)
    assert person.answered == picked.selected_indices_.tolist()
    np.testing.assert_array_equal(labelled.selected_labels_, y[picked.selected_indices_])


def test_one_step_a_round(blobs, tmp_path):
    X, y = blobs
    whole, person, steps = make().fit(X, y), Person(y, breaks_off_before=[6]), []
    rounds = make()
    for _ in range(5):
        try:
            steps.append(rounds.step(X, person, ledger=tmp_path / "labels.jsonl").tolist())
        except ConnectionError:
            assert rounds.selected_indices_.tolist() == whole.selected_indices_[:6].tolist()
    assert steps == [whole.rounds_[0].tolist(), whole.rounds_[1][2:].tolist(), whole.rounds_[2].tolist(), []]
    np.testing.assert_array_equal(rounds.selected_indices_, whole.selected_indices_)


def test_steps_with_labels_that_come_through_the_ledger(blobs):
    X, y = blobs
    whole, ledger, rounds = make().fit(X, y), Ledger(), make()
    for expected in whole.rounds_:
        rows = rounds.step(X, ledger=ledger)
        assert rows.tolist() == expected.tolist() == ledger.pending.tolist()
        for row in rows.tolist():
            ledger.answer(row, y[row], annotator="Ada")
    assert len(rounds.step(X, ledger=ledger)) == 0
    assert len(ledger.labels) == 30


def test_labels_in_the_ledger_are_known_without_y(blobs):
    X, y = blobs
    labeled = np.array([3, 50, 77, 91, 14, 60])
    ledger = Ledger(n_samples=120)
    ledger.answer(labeled, y[labeled])
    by_hand = MaxEntropySampler(4, random_state=0).fit_select(X, y, labeled_indices=labeled)
    for labeled_indices in (None, labeled):
        copy = pickle.loads(pickle.dumps(ledger))
        rounds = IterativeSampler(MaxEntropySampler(), (10,), random_state=0)
        rounds.fit(X, labeled_indices=labeled_indices, ledger=copy)
        np.testing.assert_array_equal(rounds.selected_indices_, by_hand)


def test_an_opened_pool_is_shared_by_all_rounds(blobs):
    X, y = blobs
    pool, seen = Pool(X), []

    class Watching(RandomSampler):
        def fit(self, X, y=None, *, labeled_indices=None):
            seen.append(X)
            return super().fit(X, y, labeled_indices=labeled_indices)

    rounds = IterativeSampler(Watching(), BUDGETS, random_state=0)
    np.testing.assert_array_equal(rounds.fit(pool, Person(y)).selected_indices_, rounds.fit_select(X, Person(y)))
    assert all(each is pool for each in seen[:3])
    assert seen[3] is seen[4] is seen[5]


def test_what_a_failing_sampler_leaves(blobs):
    class Flawed(BaseSampler):
        def _select_rows(self, request):
            if len(request.labeled_idx):
                raise ArithmeticError("singular")
            return np.arange(request.budget)

    X, y = blobs
    rounds = IterativeSampler(Flawed(), BUDGETS)
    with pytest.raises(ArithmeticError):
        rounds.fit(X, Person(y))
    assert rounds.selected_indices_.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(rounds.selected_labels_, y[:4])


def test_y_may_be_unknown_where_the_last_round_picks(blobs):
    X, y = blobs
    picks = make().fit(X, y).selected_indices_
    partly = y.astype(object)
    partly[picks[-3:]] = None
    rounds = make().fit(X, partly, labeled_indices=[])
    assert rounds.selected_indices_.tolist() == picks.tolist()
    assert rounds.selected_labels_[-3:].tolist() == [None, None, None]
    assert rounds.selected_labels_[:-3].tolist() == y[picks[:-3]].tolist()
    partly[picks[6]] = np.nan
    with pytest.raises(ValueError, match=f"y is NaN or None at row {picks[6]}, picked in an earlier round"):
        make().fit(X, partly, labeled_indices=[])


def test_a_partly_labelled_y_says_what_is_labelled(blobs):
    X, y = blobs
    partly = np.where(np.arange(120) % 15 == 0, y, np.nan)  # 8 rows
    rounds = make().set_params(budgets=(8, 12)).fit(X, partly)
    by_hand = MaxEntropySampler(4, random_state=0).fit_select(X, y, labeled_indices=np.arange(0, 120, 15))
    np.testing.assert_array_equal(rounds.selected_indices_, by_hand)
    assert rounds.selected_labels_.tolist() == [None] * 4
    np.testing.assert_array_equal(rounds.ledger_.labels, y[::15])
    with pytest.raises(ValueError, match=r"y is NaN or None at rows .* picked in an earlier round"):
        rounds.set_params(budgets=(12, 14)).fit(X, partly)


def test_labels_are_kept_once(blobs):
    X, y = blobs
    rounds = make().fit(X, Person(y))
    assert not [name for name, value in vars(rounds).items() if isinstance(value, np.ndarray) and len(value) >= 120]


def test_a_sampler_that_reads_all_labels_cannot_work_with_an_oracle(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="UniformSampler reads the label of every row, so y must be an array"):
        IterativeSampler(UniformSampler()).fit(X, Person(y))


def test_resampling_with_an_oracle(blobs):
    X, y = blobs
    X_picked, y_picked = make().fit_resample(X, Person(y))
    expected = make().fit(X, y)
    np.testing.assert_array_equal(X_picked, X[expected.selected_indices_])
    np.testing.assert_array_equal(y_picked, expected.selected_labels_)


@pytest.mark.parametrize("as_pool", [lambda X: X, torch.as_tensor, pd.DataFrame], ids=["array", "tensor", "frame"])
def test_rows_that_are_added_behind_the_others_are_taken_in(blobs, tmp_path, as_pool):
    X, y = blobs
    first, path = len(X) - 30, tmp_path / "labels.jsonl"
    make(RandomSampler()).fit(as_pool(X[:first].copy()), Person(y), ledger=path)
    person = Person(y)
    grown = IterativeSampler(RandomSampler(), (*BUDGETS, 50), random_state=1).fit(as_pool(X), person, ledger=path)
    assert len(person.answered) == 20
    assert max(person.answered) >= first
    with Ledger(path) as ledger:
        assert (ledger.n_samples, len(ledger.labels)) == (len(X), 50)
        assert set(ledger.labeled_indices) == set(grown.selected_indices_)
    changed = np.vstack([X, X[:5]])
    changed[3] += 1
    for other in (changed, X[:first]):
        with pytest.raises(ValueError, match=f"is of a pool of {len(X)} rows"):
            make(RandomSampler()).fit(as_pool(other), Person(y), ledger=path)
