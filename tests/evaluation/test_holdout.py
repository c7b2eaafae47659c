"""An accuracy from random rows, and whether its interval holds what it promises."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClassifierMixin

from skal.evaluation import draw_holdout, holdout_estimate


class Dictated(ClassifierMixin, BaseEstimator):
    """Predicts what the rows say."""

    def predict(self, X):
        return np.asarray(X)[:, 0].astype(int)


def estimate(is_correct, rows, labeled=(), **options):
    """Of a classifier that is right where `is_correct` says; every label is 1."""
    is_correct = np.asarray(is_correct)
    X, y = is_correct[:, None].astype(float), np.ones(len(is_correct), dtype=int)
    return holdout_estimate(Dictated(), X, y, rows, labeled_indices=labeled, **options)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("n_correct", [0, 3, 17, 40])
def test_wilsons_interval(n_correct, confidence):
    is_correct = np.arange(100) < n_correct
    found = estimate(is_correct, range(40), [50, 60], confidence=confidence)
    expected = binomtest(n_correct, 40).proportion_ci(confidence, method="wilson")
    assert found.accuracy == n_correct / 40
    np.testing.assert_allclose([found.low, found.high], expected, atol=1e-12)
    assert (found.n_labels, found.n_effective) == (40, 40.0)
    assert estimate(is_correct, range(40), [50, 60], confidence=confidence, groups=np.arange(100)) == found


def test_it_reads_as_a_sentence():
    assert str(estimate(np.arange(100) < 30, range(40))) == "75.0% [59.8%, 85.8%] at 95% from 40 labels"


def test_rows_that_were_picked_are_refused_by_name():
    with pytest.raises(ValueError, match=r"2 of the 5 rows .* row 3 is labelled already"):
        estimate(np.ones(20), [1, 3, 5, 7, 9], [3, 7, 12])
    mask = np.isin(np.arange(20), [3, 7, 12])
    with pytest.raises(ValueError, match="row 3 is labelled already"):
        estimate(np.ones(20), [1, 3, 5], mask)


def test_near_copies_of_picked_rows_are_refused():
    groups = np.arange(20) // 2
    with pytest.raises(ValueError, match="row 2 is in a group with a labelled row"):
        estimate(np.ones(20), [2, 5], [3], groups=groups)
    assert set(draw_holdout(20, 18, labeled_indices=[3], groups=groups, random_state=0)) == set(range(20)) - {2, 3}


def coverage_of_intervals(n_trials, draw_one):
    return np.mean([found.low <= truth <= found.high for found, truth in (draw_one(s) for s in range(n_trials))])


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_the_interval_holds_the_truth_as_often_as_it_says(share):
    def draw_one(seed):
        rng = np.random.default_rng(seed)
        is_correct = rng.random(5000) < share
        rows = draw_holdout(5000, 80, labeled_indices=range(100), random_state=seed)
        return estimate(is_correct, rows, range(100)), is_correct[100:].mean()

    assert 0.92 <= coverage_of_intervals(400, draw_one) <= 0.985


def test_near_duplicates_widen_the_interval_as_much_as_they_must():
    def draw_one(seed, with_groups=True):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(1000), 5)
        is_correct = np.repeat(rng.random(1000) < 0.7, 5)
        rows = np.flatnonzero(np.isin(groups, rng.choice(1000, size=40, replace=False)))
        return estimate(is_correct, rows, groups=groups if with_groups else None), is_correct.mean()

    assert draw_one(0)[0].n_effective == pytest.approx(39, abs=1)
    assert 0.9 <= coverage_of_intervals(300, draw_one) <= 0.99
    assert coverage_of_intervals(300, lambda seed: draw_one(seed, with_groups=False)) < 0.75
    agreeing = estimate(np.ones(50), range(50), groups=np.arange(50) // 10)
    assert agreeing.n_effective == 5


def test_strata_weigh_as_much_as_their_rows_and_narrow_the_interval():
    strata = np.repeat(["a", "b"], [900, 100])

    def draw_one(seed):
        rng = np.random.default_rng(seed)
        is_correct = rng.random(1000) < np.where(strata == "a", 0.95, 0.2)
        rows = np.concatenate([rng.choice(900, 30, replace=False), 900 + rng.choice(100, 30, replace=False)])
        return estimate(is_correct, rows, strata=strata), is_correct.mean()

    found, truth = draw_one(0)
    assert abs(found.accuracy - truth) < 0.1
    assert 0.9 <= coverage_of_intervals(400, draw_one) <= 0.995
    by_hand = np.r_[np.ones(27), np.zeros(3), np.ones(6), np.zeros(24)]
    X = np.zeros(1000)
    X[np.r_[0:30, 900:930]] = by_hand
    exact = estimate(X, np.r_[0:30, 900:930], strata=strata)
    assert exact.accuracy == pytest.approx(0.9 * 0.9 + 0.1 * 0.2)
    variance = 0.81 * (28 / 32) * (4 / 32) / 30 + 0.01 * (7 / 32) * (25 / 32) / 30
    overall = 0.9 * 28 / 32 + 0.1 * 7 / 32
    assert exact.n_effective == pytest.approx(overall * (1 - overall) / variance)


def test_strata_are_drawn_from_in_proportion():
    strata = np.repeat([0, 1, 2, 3], [500, 300, 190, 10])
    rows = draw_holdout(1000, 103, strata=strata, labeled_indices=[0, 999], random_state=0)
    counts = np.bincount(strata[rows])
    assert counts.sum() == 103
    np.testing.assert_allclose(counts, [51, 31, 19, 2], atol=1)
    assert counts.min() >= 2
    assert not {0, 999} & set(rows)
    assert len(draw_holdout(1000, 1000, strata=strata, random_state=0)) == 1000
    assert np.bincount(strata[draw_holdout(1000, 8, strata=strata, random_state=0)]).tolist() == [2, 2, 2, 2]


def test_labels_are_read_at_those_rows_only(counting_labels):
    y = counting_labels(np.ones(30, dtype=int))
    holdout_estimate(Dictated(), np.ones((30, 1)), y, [4, 8], labeled_indices=[1])
    assert set(y.asked) == {4, 8}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, "confidence must lie"),
        ({"strata": np.zeros(20), "groups": np.zeros(20)}, "cannot be combined"),
        ({"strata": np.zeros(3)}, "strata needs one entry a row"),
        ({"strata": np.arange(20) // 10}, "No row was drawn from stratum 1"),
    ],
)
def test_what_means_nothing_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        estimate(np.ones(20), [1, 2], **options)


def test_drawing_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"size=6 must be in \[1, 5\]"):
        draw_holdout(10, 6, labeled_indices=range(5))
    with pytest.raises(ValueError, match="less than two rows for each of 3 strata"):
        draw_holdout(9, 5, strata=np.arange(9) // 3)
    with pytest.raises(ValueError, match="is empty"):
        estimate(np.ones(5), [])
