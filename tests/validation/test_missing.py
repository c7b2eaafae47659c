"""What means "no label", and the one warning where -1 looks as if it did."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

import skal
from skal._validation import is_missing, missing_entries, warn_of_minus_one
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.rounds import IterativeSampler, Ledger
from skal.samplers import KMeansSampler, MaxEntropySampler, RandomSampler, UniformSampler

MISSING = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.ma.masked]
LABELS = [-1, 0, 1.5, "cat", "", "nan", False, np.int64(-1)]


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_no_label(value):
    assert is_missing(value)
    given = np.empty(2, dtype=object)
    given[:] = [0, None]
    given[1] = value
    assert missing_entries(given).tolist() == [False, True]


@pytest.mark.parametrize("value", LABELS, ids=repr)
def test_a_label(value):
    assert not is_missing(value)
    given = np.empty(2, dtype=object)
    given[:] = [None, value]
    assert missing_entries(given).tolist() == [True, False]


@pytest.mark.parametrize("value", [value for value in MISSING if value is not pd.NaT], ids=repr)
def test_a_ledger_means_the_same(value):
    ledger = Ledger()
    ledger.bind(3)
    with pytest.raises(ValueError, match="set_aside"):
        ledger.answer([0], [value])


@pytest.mark.parametrize(
    "labels", [[-1, 0, 1], [-1, 0], [-1, 2], [-1.0, 0.0, 3.0], [-1, -1], np.array([3, -1], "int8")]
)
def test_minus_one_beside_other_classes_warns(labels):
    with pytest.warns(UserWarning, match=r"-1 is among the labels .* None or NaN there, or say with labeled_indices"):
        warn_of_minus_one(np.asarray(labels))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([-1, 1, -1], None),
        ([-1.0, 1.0], None),
        ([-2, -1, 0], None),
        ([0, 1, 2], None),
        (["-1", "0"], None),
        ([True, False], None),
        ([], None),
        ([-1, 0, 1], [-1, 0, 1]),
    ],
)
def test_minus_one_as_a_class_does_not_warn(labels, classes):
    warn_of_minus_one(np.asarray(labels), classes)  # a warning is an error in these tests


def count_warnings(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    ours = [warning for warning in caught if "-1 is among the labels" in str(warning.message)]
    assert all(warning.filename == __file__ for warning in ours)  # it points at the user's line
    return len(ours)


def fits(X, y):
    labeled = np.arange(30)
    return {
        "LinearProbe": lambda: LinearProbe(n_epochs=1).fit(X, y),
        "CosineKNNClassifier": lambda: CosineKNNClassifier().fit(X, y),
        "KMeansSampler": lambda: KMeansSampler(3).fit(X, y, labeled_indices=labeled),
        "MaxEntropySampler": lambda: MaxEntropySampler(3).fit(X, y, labeled_indices=labeled),
        "UniformSampler": lambda: UniformSampler(6).fit(X, y),
        "LowBudgetClassifier": lambda: skal.LowBudgetClassifier(RandomSampler(30, random_state=0)).fit(X, y),
        "another's classifier": lambda: skal.LowBudgetClassifier(
            MaxEntropySampler(30), LogisticRegression(), random_state=0
        ).fit(X, y, labeled_indices=np.isin(np.arange(len(X)), labeled)),
        "an oracle": lambda: skal.LowBudgetClassifier(
            IterativeSampler(MaxEntropySampler(), (20, 25, 30)), random_state=0
        ).fit(X, lambda rows: y[rows]),
    }


NAMES = list(fits(None, None))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrap", [np.asarray, np.ndarray.tolist, pd.Series, torch.tensor])
def test_one_warning_a_fit(name, wrap, blobs):
    X, y = blobs
    y = wrap(np.where(np.arange(120) % 3 == 0, y, -1))
    if name == "an oracle" and not isinstance(y, np.ndarray):
        pytest.skip("an oracle gives arrays here")
    assert count_warnings(fits(X, y)[name]) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_binary_problem_of_minus_one_and_one_does_not_warn(name, blobs):
    X, y = blobs
    assert count_warnings(fits(X, np.where(y == 0, -1, 1))[name]) == 0


def test_listed_classes_do_not_warn(blobs):
    X, y = blobs
    probe = LinearProbe(n_epochs=1, classes=[-1, 0, 1])
    assert count_warnings(lambda: probe.fit(X, y - 1)) == 0
    assert count_warnings(lambda: skal.LowBudgetClassifier(KMeansSampler(20), probe, random_state=0).fit(X, y - 1)) == 0


def test_cross_validation_of_a_pool_whose_gaps_are_minus_one_warns(blobs):
    X, y = blobs
    model = skal.LowBudgetClassifier(KMeansSampler(30), random_state=0)
    given = np.where(np.random.default_rng(0).random(120) < 0.2, y, -1)
    assert count_warnings(lambda: cross_val_score(model, X, given, cv=3)) == 3  # one a fold


def test_a_pick_without_a_label_is_named_with_what_to_do(blobs):
    X, y = blobs
    given = np.where(np.arange(120) < 5, y, np.nan)
    with pytest.raises(ValueError, match=r"KMeansSampler picked row \d+, and y has no label .* oracle") as error:
        skal.LowBudgetClassifier(KMeansSampler(10), random_state=0).fit(X, given)
    row = int(str(error.value).split("row ")[1].split(",")[0])
    assert np.isnan(given[row])
