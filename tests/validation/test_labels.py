"""Which rows count as labelled, from every way of saying it."""

import numpy as np
import pandas as pd
import pytest
import torch

from skal._validation import labeled_rows

X = np.zeros((6, 2))


class Learner:
    pass


def find(y=None, labeled_indices=None, **options):
    rows, labels = labeled_rows(Learner(), X, y, labeled_indices, **options)
    return rows.tolist(), None if labels is None else labels.tolist()


PARTLY = {
    "NaN": np.array([np.nan, 1.0, np.nan, 0.0, np.nan, 1.0]),
    "objects": np.array([None, 1, np.nan, 0, pd.NA, 1], dtype=object),
    "list": [None, 1, None, 0, None, 1],
    "series": pd.Series([None, 1, None, 0, None, 1]),
    "nullable": pd.Series([pd.NA, 1, pd.NA, 0, pd.NA, 1], dtype="Int64"),
    "tensor": torch.tensor([torch.nan, 1, torch.nan, 0, torch.nan, 1]),
}


@pytest.mark.parametrize("kind", PARTLY)
def test_a_partly_labelled_y_says_which_rows_and_what(kind):
    assert find(PARTLY[kind]) == ([1, 3, 5], [1, 0, 1])


@pytest.mark.parametrize("y", [None, [None] * 6, np.full(6, np.nan), np.arange(6), list("abcabc"), np.arange(6.0)])
def test_a_y_without_gaps_or_without_entries_says_nothing(y):
    assert find(y) == ([], None)


@pytest.mark.parametrize("kind", PARTLY)
def test_given_rows_decide_and_must_have_their_labels(kind):
    assert find(PARTLY[kind], [5, 3]) == ([3, 5], [0, 1])
    assert find(PARTLY[kind], []) == ([], None)
    with pytest.raises(ValueError, match=r"NaN|None"):
        find(PARTLY[kind], [2, 3])


def test_text_is_taken_as_it_is():
    assert find(np.array([None, "cat", None, "dog", None, None], dtype=object)) == ([1, 3], ["cat", "dog"])
    with pytest.raises(ValueError, match="mixes text and numbers"):
        find(["cat", 1, None, None, None, None])


def test_labelled_rows_without_labels_are_refused_by_what_learns_from_them():
    assert find(None, [1, 2]) == ([1, 2], None)
    with pytest.raises(ValueError, match=r"2 rows are labelled, but y is None, and Learner learns from"):
        find(None, [1, 2], learns_from_labels=True)
    assert find(None, [], learns_from_labels=True) == ([], None)


def test_y_is_read_nowhere_else(counting_labels):
    labels = counting_labels(np.arange(6))
    assert find(labels, [4, 1]) == ([1, 4], [1, 4])
    assert sorted(labels.asked) == [1, 4]
    assert find(labels) == ([], None)


def test_another_length_is_refused():
    with pytest.raises(ValueError, match="X has 6 rows and y has 5"):
        find([None] * 5)


def test_masked_entries_are_no_labels():
    y = np.ma.array([7, 1, 7, 0, 7, 1], mask=[1, 0, 1, 0, 1, 0])
    assert find(y) == ([1, 3, 5], [1, 0, 1])
    assert find(y, [1, 3]) == ([1, 3], [1, 0])
    with pytest.raises(ValueError, match="NaN or None"):
        find(y, [1, 2])
