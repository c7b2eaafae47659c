"""What an oracle may give back, and what is kept of it when it does not fit."""

import numpy as np
import pandas as pd
import pytest
import torch

from skal.rounds import Ledger
from skal.rounds._answers import keep_answers

ASKED = np.array([30, 7, 99, 12])
NAMES = {30: "cat", 7: "dog", 99: "cat", 12: "cow"}
IN_ORDER = list(NAMES.values())


@pytest.fixture
def ledger():
    ledger = Ledger(n_samples=1000)
    ledger.ask(ASKED)
    return ledger


def known(ledger):
    return dict(zip(ledger.labeled_indices.tolist(), ledger.labels.tolist(), strict=True))


@pytest.mark.parametrize(
    "answers",
    [
        IN_ORDER,
        tuple(IN_ORDER),
        np.array(IN_ORDER),
        np.array(IN_ORDER)[:, None],
        pd.Categorical(IN_ORDER),
        NAMES,
        dict(reversed(NAMES.items())),
        {np.int64(row): name for row, name in NAMES.items()},
        NAMES.values(),
        (name for name in IN_ORDER),
        map(str, IN_ORDER),
        pd.Series(IN_ORDER),
        pd.Series(IN_ORDER, index=list("abcd")),
        pd.Series(IN_ORDER, index=[1030, 1007, 30, 1012]),  # rows of something else
        pd.Series(NAMES),
        pd.Series(NAMES).sort_index(),
        pd.Series(NAMES).sort_values().to_frame("label"),
        pd.DataFrame({"label": IN_ORDER}),
    ],
    ids=lambda answers: type(answers).__name__,
)
def test_one_label_for_each_row(answers, ledger):
    keep_answers(ledger, ASKED, answers)
    assert known(ledger) == NAMES
    assert len(ledger.history) == 4
    assert {each.source for each in ledger.history} == {"oracle"}
    assert ledger.unread == ()


@pytest.mark.parametrize(
    "answers", [[4, 0, 2, 1], torch.tensor([4, 0, 2, 1]), torch.tensor([[4], [0], [2], [1]]), range(4)]
)
def test_numbers(answers, ledger):
    keep_answers(ledger, ASKED, answers)
    assert ledger.labels.dtype == np.int64
    assert ledger.labels.tolist() == ([0, 1, 2, 3] if isinstance(answers, range) else [4, 0, 2, 1])


@pytest.mark.parametrize("answer", ["cat", 3, np.float32(0.5), torch.tensor(2), True])
def test_one_row_may_be_answered_by_one_label(answer, ledger):
    keep_answers(ledger, ASKED[:1], answer)
    assert ledger.labels.tolist() == [answer]
    assert len(ledger.pending) == 3


@pytest.mark.parametrize(
    "answers",
    [
        ["cat", None, np.nan, "cow"],
        np.array(["cat", None, None, "cow"], dtype=object),
        {30: "cat", 7: None, 99: pd.NA, 12: "cow"},
        iter(["cat", None, None, "cow"]),
        pd.Series(["cat", None, None, "cow"], dtype="string"),
    ],
    ids=lambda answers: type(answers).__name__,
)
def test_what_cannot_be_told_is_set_aside(answers, ledger):
    keep_answers(ledger, ASKED, answers)
    assert known(ledger) == {30: "cat", 12: "cow"}
    assert ledger.skipped.tolist() == [7, 99]
    assert ledger.current(7).reason == "the oracle gave no label"
    assert len(ledger.pending) == 0


def test_a_series_that_just_numbers_its_entries_is_read_in_order():
    ledger = Ledger(n_samples=1000)
    keep_answers(ledger, np.array([2, 0, 1, 3]), pd.Series(IN_ORDER))  # its index is 0 to 3
    assert known(ledger) == {2: "cat", 0: "dog", 1: "cat", 3: "cow"}


def test_true_is_no_row_number():
    ledger = Ledger(n_samples=1000)
    with pytest.raises(ValueError, match=r"answered for \[True\]"):
        keep_answers(ledger, np.array([1, 5]), {True: "cat", 5: "dog"})
    assert known(ledger) == {5: "dog"}


def test_missing_numbers_are_set_aside(ledger):
    keep_answers(ledger, ASKED, np.ma.masked_array([1, 2, 3, 4], mask=[0, 1, 0, 0]))
    assert known(ledger) == {30: 1, 99: 3, 12: 4}
    keep_answers(ledger, ASKED[:2], np.array([np.nan, 5.0]))
    assert known(ledger) == {99: 3, 12: 4, 7: 5.0}
    keep_answers(ledger, ASKED[2:], torch.tensor([2.0, torch.nan]))
    assert known(ledger) == {99: 2.0, 7: 5.0}


@pytest.mark.parametrize(
    ("answers", "kept", "message"),
    [
        (["cat", "dog"], {30: "cat", 7: "dog"}, r"2 labels for 4 rows.* 2 answers are kept; .*: rows 99, 12\."),
        ([], {}, "0 labels for 4 rows.* 0 answers are kept"),
        ([*IN_ORDER, "hen"], NAMES, "5 labels for 4 rows; .* Every row has its label, and all are kept"),
        (iter(["cat", "dog"]), {30: "cat", 7: "dog"}, r"2 labels for 4 rows.*: rows 99, 12\."),
        (iter([*IN_ORDER, "hen"]), NAMES, "more than 4 labels for 4 rows; .* all are kept"),
        (
            ["cat", ["dog"], "cat", "cow"],
            {30: "cat", 99: "cat", 12: "cow"},
            r"row 7 cannot be read: \['dog'\] .*: row 7\.",
        ),
        (
            iter(["cat", ["dog"], "cat"]),
            {30: "cat"},
            r"row 7 cannot be read: \['dog'\] is no label.*: rows 7, 99, 12\.",
        ),
        ({30: "cat", 12: "cow"}, {30: "cat", 12: "cow"}, r"2 labels for 4 rows.*: rows 7, 99\."),
        (NAMES | {5: "hen"}, NAMES, r"answered for \[5\], which it was not asked"),
        ({"30": "cat"} | {7: "dog"}, {7: "dog"}, r"answered for \['30'\].* 1 labels for 4 rows"),
        (pd.Series(NAMES)[[7, 30]], {30: "cat", 7: "dog"}, r"2 labels for 4 rows.*: rows 99, 12\."),
        (pd.Series(["a", "b", "c", "d"], index=[7, 7, 30, 30]), {}, "names a row more than once"),
        (np.array([IN_ORDER, IN_ORDER]).T, {}, r"shape \(4, 2\) for 4 rows; .*: rows 30, 7, 99, 12\."),
        (pd.DataFrame({"a": IN_ORDER, "b": IN_ORDER}), {}, r"shape \(4, 2\)"),
        (np.array([IN_ORDER]), {}, r"shape \(1, 4\)"),
        ("meow", {}, "gave 'meow' for 4 rows; give a list"),
        (None, {}, "gave None for 4 rows"),
        (3, {}, "gave 3 for 4 rows"),
        ({"cat", "dog"}, {}, "for 4 rows; give a list"),
    ],
)
def test_what_can_be_told_is_kept_and_the_rest_is_named(answers, kept, message, ledger):
    with pytest.raises(ValueError, match=message):
        keep_answers(ledger, ASKED, answers)
    assert known(ledger) == kept
    assert sorted(ledger.pending) == sorted(set(NAMES) - set(kept))


def test_an_index_is_not_taken_for_rows_where_any_index_would_fit():
    ledger = Ledger(n_samples=4)
    ledger.ask([2, 0, 1, 3])
    shuffled = pd.Series(IN_ORDER, index=[3, 1, 0, 2])
    with pytest.raises(ValueError, match="in another order than the rows that it was asked, all rows of the pool"):
        keep_answers(ledger, np.array([2, 0, 1, 3]), shuffled)
    assert known(ledger) == {}
    keep_answers(ledger, np.array([2, 0, 1, 3]), pd.Series(IN_ORDER, index=[2, 0, 1, 3]))
    assert ledger.labels.tolist() == IN_ORDER


def test_an_answer_that_cannot_be_read_stays_in_the_record(ledger):
    with pytest.raises(ValueError, match="shape"):
        keep_answers(ledger, ASKED, np.array([["cat", "Ada"]] * 4))
    (unread,) = ledger.unread
    assert unread.rows == tuple(ASKED)
    assert unread.given == repr([["cat", "Ada"]] * 4)
    with pytest.raises(ValueError, match="row 7"):
        keep_answers(ledger, ASKED, iter(["cat", ("dog", 0.7)]))
    assert ledger.unread[1].rows == (7,)
    assert ledger.unread[1].given == "('dog', 0.7)"


def test_long_answers_are_written_out_in_full(ledger):
    with pytest.raises(ValueError, match="shape"):
        keep_answers(ledger, ASKED, np.arange(2000).reshape(1, -1))
    assert ledger.unread[0].given == repr([list(range(2000))])


@pytest.mark.parametrize("kind", [np.array, list, pd.Series])
def test_labels_of_the_whole_pool_are_not_mistaken_for_those_asked(kind, ledger):
    with pytest.raises(ValueError, match=r"1000 labels for 4 rows, one for each row of the pool; .* y\[indices\]"):
        keep_answers(ledger, ASKED, kind(range(1000)))
    assert known(ledger) == {}


def test_each_answer_is_recorded_before_the_next_is_asked_for(ledger):
    def person():
        for place, name in enumerate(IN_ORDER):
            assert len(ledger.labels) == place
            yield name

    keep_answers(ledger, ASKED, person())
    assert known(ledger) == NAMES


def test_a_generator_that_fails_keeps_what_it_gave(ledger):
    def person():
        yield from IN_ORDER[:2]
        raise ConnectionError("the line is dead")

    with pytest.raises(ConnectionError, match="the line is dead"):
        keep_answers(ledger, ASKED, person())
    assert known(ledger) == {30: "cat", 7: "dog"}
