"""A curve that is not complete says what it has."""

from itertools import product

import numpy as np
import pytest

from skal.evaluation import BudgetCurve, Selections

VALUES = {
    ("Random", 3, 0, "NN", "accuracy"): 0.5,
    ("Random", 3, 1, "NN", "accuracy"): 0.7,
    ("K-means", 3, 1, "NN", "accuracy"): 0.8,
    ("K-means", 3, 1, "LIN", "accuracy"): 0.9,
    ("Random", 3, 0, None, "coverage"): 1.0,
}


@pytest.fixture
def curve():
    picks = {key: range(key[1]) for key in product(("Random", "K-means"), (3, 9), (0, 1))}
    return BudgetCurve(Selections(picks), ("LIN", "NN"), VALUES)


def test_only_pairs_of_seeds_are_compared(curve):
    (row,) = curve.paired_differences()
    assert (row["sampler"], row["classifier"], row["budget"], row["n_seeds"]) == ("K-means", "NN", 3, 1)
    assert row["mean"] == pytest.approx(0.1)
    assert np.isnan(row["low"])


def test_rows_say_how_many_seeds_there_are(curve):
    rows = {(row["sampler"], row["classifier"], row["metric"]): row for row in curve.to_rows()}
    assert set(rows) == {key[:1] + key[3:] for key in VALUES}
    assert rows["Random", "NN", "accuracy"]["mean"] == pytest.approx(0.6)
    assert [row["n_seeds"] for row in rows.values()] == [1, 2, 1, 1]
    np.testing.assert_allclose(curve.scores("Random", 3, "NN"), [0.5, 0.7])
    with pytest.raises(KeyError, match="no score of sampler 'K-means' at budget 9"):
        curve.scores("K-means", 9, "NN")


def test_cells_that_are_not_there_are_dashes(curve):
    lines = curve.to_text().splitlines()
    assert lines[3].split() == ["Random", "✓", "–", "–"]
    assert lines[4].split() == ["K-means", "✓", "90.0", "–"]
    assert lines[6].split() == ["Random", "✓", "60.0", "±", "14.1", "–"]


def test_nothing_at_all_can_be_shown():
    empty = BudgetCurve(Selections({}), (), {})
    assert repr(empty) == "BudgetCurve(0 samplers × 0 budgets × 0 seeds)"
    assert empty.to_rows() == []
    assert str(empty).startswith("Category coverage")
    assert empty.metrics == ()
