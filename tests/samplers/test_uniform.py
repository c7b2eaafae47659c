"""Equal shares of the classes."""

import numpy as np
import pytest

from skal.samplers import UniformSampler

SIZES = {"a": 30, "b": 3, "c": 12}
Y = np.repeat(list(SIZES), list(SIZES.values()))
X = np.zeros((len(Y), 2))


def counts(indices, y=Y):
    return [int((y[indices] == name).sum()) for name in SIZES]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(6, [2, 2, 2]), (7, [3, 2, 2]), (9, [3, 3, 3]), (15, [6, 3, 6]), (2, [1, 0, 1]), (45, [30, 3, 12])],
)
def test_shares(budget, expected):
    for seed in range(3):
        assert counts(UniformSampler(budget=budget, random_state=seed).fit_select(X, Y)) == expected


def test_labels_already_there_count_towards_the_share():
    labeled = np.flatnonzero(Y == "a")[:4]
    picks = UniformSampler(budget=5, random_state=0).fit_select(X, Y, labeled_indices=labeled)
    assert counts(picks) == [0, 2, 3]


def test_order_is_one_of_each_class_then_the_next():
    picks = UniformSampler(budget=9, random_state=0).fit_select(X, Y)
    assert "".join(Y[picks]) == "abcabcabc"


def test_rows_within_a_class_are_random():
    drawn = np.concatenate([UniformSampler(budget=3, random_state=seed).fit_select(X, Y) for seed in range(300)])
    assert set(drawn) == set(range(len(Y)))


def test_it_cannot_do_without_labels():
    with pytest.raises(ValueError, match="requires y to be passed"):
        UniformSampler(budget=3).fit(X)
    with pytest.raises(ValueError, match="Unknown label type"):
        UniformSampler(budget=3).fit(X, np.linspace(0, 1, len(Y)))
