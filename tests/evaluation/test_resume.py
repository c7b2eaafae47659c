"""A curve that was interrupted goes on."""

import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from skal.base import BaseSampler
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import BudgetCurve, _journal, budget_curve
from skal.evaluation._journal import describe, fingerprint
from skal.samplers import RandomSampler


class Interrupted(Exception):
    pass


class FlakySampler(BaseSampler):
    """Random rows, until it has been fitted `n_allowed` times."""

    n_fits, n_allowed = 0, 10**6

    def _select_rows(self, X, y, labeled_idx, budget, rng):
        if FlakySampler.n_fits == FlakySampler.n_allowed:
            raise Interrupted
        FlakySampler.n_fits += 1
        return rng.permutation(X.shape[0])[:budget]


class FlakyClassifier(ClassifierMixin, BaseEstimator):
    """The most frequent class, until it has been fitted `n_allowed` times."""

    n_fits, n_allowed = 0, 10**6

    def __init__(self, random_state=None, offset=0):
        self.random_state = random_state
        self.offset = offset

    def fit(self, X, y):
        if FlakyClassifier.n_fits == FlakyClassifier.n_allowed:
            raise Interrupted
        FlakyClassifier.n_fits += 1
        self.classes_, counts = np.unique(y, return_counts=True)
        self.winner_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        return np.full(len(X), self.winner_)


@pytest.fixture(autouse=True)
def start_over():
    for flaky in (FlakySampler, FlakyClassifier):
        flaky.n_fits, flaky.n_allowed = 0, 10**6


@pytest.fixture
def evaluate(blobs, tmp_path):
    X, y = blobs

    def run(path="journal", sampler=None, classifiers=None, data=(X, y, X, y), budgets=(4, 9), **more):
        classifiers = {"Mode": FlakyClassifier()} if classifiers is None else classifiers
        samplers = {"Flaky": FlakySampler() if sampler is None else sampler}
        return budget_curve(samplers, classifiers, *data, budgets, resume_from=tmp_path / path, **more)

    return run


def as_plain(curve):
    return [(r.sampler, r.budget, r.seed, r.selected_indices.tolist(), r.scores) for r in curve.runs]


def test_selections_are_kept_when_a_later_one_fails(evaluate):
    expected = as_plain(evaluate("another"))
    FlakySampler.n_fits, FlakySampler.n_allowed = 0, 4
    with pytest.raises(Interrupted):
        evaluate()
    assert FlakySampler.n_fits == 4
    FlakySampler.n_fits, FlakySampler.n_allowed = 0, 2
    assert as_plain(evaluate()) == expected


def test_scores_are_kept_when_a_later_training_fails(evaluate):
    expected = as_plain(evaluate("another"))
    FlakyClassifier.n_fits, FlakyClassifier.n_allowed = 0, 5
    with pytest.raises(Interrupted):
        evaluate()
    FlakySampler.n_allowed, FlakyClassifier.n_fits, FlakyClassifier.n_allowed = 0, 0, 1
    assert as_plain(evaluate()) == expected


def test_a_finished_curve_is_given_back_and_tells_of_every_run(evaluate):
    expected = as_plain(evaluate())
    FlakySampler.n_allowed = FlakyClassifier.n_allowed = 0
    selections, runs = [], []
    assert as_plain(evaluate(on_selection=selections.append, on_run=runs.append)) == expected
    assert len(selections) == len(runs) == len(expected)
    assert all(set(run.scores) == {"coverage"} for run in selections)
    assert all(set(run.scores) == {"coverage", "Mode", "Mode, per class"} for run in runs)


def test_only_what_is_asked_for_otherwise_is_computed_anew(evaluate):
    evaluate()
    n_selections, n_trainings = FlakySampler.n_fits, FlakyClassifier.n_fits
    evaluate(classifiers={"Mode": FlakyClassifier(), "Other": FlakyClassifier(offset=1)})
    assert (FlakySampler.n_fits, FlakyClassifier.n_fits) == (n_selections, 2 * n_trainings)
    evaluate(budgets=(4, 9, 20), n_seeds=1)
    assert (FlakySampler.n_fits, FlakyClassifier.n_fits) == (n_selections + 1, 2 * n_trainings + 1)
    evaluate(training_seed=3)
    assert FlakySampler.n_fits == n_selections + 1


@pytest.mark.parametrize("n_bytes_lost", [1, 20])
def test_what_a_crash_left_of_the_last_line_is_dropped(n_bytes_lost, evaluate, tmp_path):
    expected = as_plain(evaluate())
    journal = tmp_path / "journal"
    os.truncate(journal, journal.stat().st_size - n_bytes_lost)
    FlakySampler.n_allowed, FlakyClassifier.n_fits, FlakyClassifier.n_allowed = 0, 0, 1
    assert as_plain(evaluate()) == expected
    FlakyClassifier.n_allowed = 0
    assert as_plain(evaluate()) == expected
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_full_disk_is_said_and_what_was_there_stays(evaluate, monkeypatch):
    expected = as_plain(evaluate("another"))
    n_left, fsync = [3], os.fsync

    def fill_up(descriptor):
        n_left[0] -= 1
        if n_left[0] < 0:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fill_up)
        with pytest.raises(OSError, match="No space left"):
            evaluate()
    FlakySampler.n_fits, FlakySampler.n_allowed = 0, len(expected) - 2
    assert as_plain(evaluate()) == expected


def test_other_data_are_refused(evaluate, blobs):
    X, y = blobs
    evaluate()
    shifted = X.copy()
    shifted[17] += 1
    for data in ((shifted, y, X, y), (X, y[::-1], X, y), (X, y, X[:-1], y[:-1]), (X, y.astype(str), X, y)):
        with pytest.raises(ValueError, match="was written for other data"):
            evaluate(data=data)


def test_a_damaged_line_and_other_files_are_named(evaluate, tmp_path):
    evaluate()
    journal = tmp_path / "journal"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([*lines[:2], '{"selection": "half', *lines[3:]]) + "\n")
    with pytest.raises(ValueError, match=r"line 3 of .*journal is damaged"):
        evaluate()
    for content in ("a,b,c\n1,2,3\n", "no line at all", "{}\n", "[]\n"):
        (tmp_path / "other").write_text(content)
        with pytest.raises(ValueError, match="is no journal of budget_curve"):
            evaluate("other")
        assert (tmp_path / "other").read_text() == content
    lines[0] = json.dumps({**json.loads(lines[0]), "skal": "0.0.1"})
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"was written for skal 0\.0\.1"):
        evaluate()


def test_any_kind_of_pool_and_labels_can_be_resumed(evaluate, blobs):
    X, y = blobs
    names = np.array(["cat", "dog", "owl"], dtype=object)[y]
    data = (torch.from_numpy(X), names, torch.from_numpy(X), names)
    more = {
        "data": data,
        "sampler": RandomSampler(),
        "classifiers": {"LIN": LinearProbe(classes=["cat", "dog", "owl"])},
    }
    assert as_plain(evaluate(**more)) == as_plain(evaluate(**more))


def test_processes_resume_too(evaluate):
    classifiers = {"LIN": LinearProbe(n_epochs=5), "NN": CosineKNNClassifier()}
    expected = as_plain(evaluate("one", sampler=RandomSampler(), classifiers=classifiers, n_seeds=1))
    evaluate(sampler=RandomSampler(), classifiers={"NN": classifiers["NN"]}, n_seeds=1, budgets=[4])
    assert as_plain(evaluate(sampler=RandomSampler(), classifiers=classifiers, n_seeds=1, n_jobs=2)) == expected


def test_a_numpy_integer_may_seed_the_trainings_and_is_saved(evaluate, tmp_path):
    curve = evaluate(training_seed=np.int64(3))
    curve.save(tmp_path / "curve.json")
    assert as_plain(BudgetCurve.load(tmp_path / "curve.json")) == as_plain(curve) == as_plain(evaluate(training_seed=3))
    with pytest.raises(TypeError, match="integer"):
        evaluate(training_seed=0.5)


LARGE = np.arange(5000.0)


@pytest.mark.parametrize(
    "wrap",
    [
        np.array,
        torch.tensor,
        lambda values: torch.tensor(values, dtype=torch.bfloat16),
        pd.Series,
        lambda values: pd.DataFrame({"a": values, "b": "text"}),
        lambda values: values.astype(object),
        lambda values: {"inner": [{"weights": torch.tensor(values)}]},
        lambda values: np.array([values, None], dtype=object),
    ],
)
def test_one_value_in_the_middle_of_a_large_parameter_is_seen(wrap):
    changed = LARGE.copy()
    changed[2500] = -1
    assert describe(FlakyClassifier(wrap(LARGE))) == describe(FlakyClassifier(wrap(LARGE.copy())))
    assert describe(FlakyClassifier(wrap(LARGE))) != describe(FlakyClassifier(wrap(changed)))


def test_the_names_of_a_frame_are_seen():
    frame = pd.DataFrame({"a": LARGE})
    assert describe(frame) != describe(frame.rename(columns={"a": "b"}))
    assert describe(frame) != describe(frame.set_axis(frame.index + 1))


def test_the_weights_of_a_module_are_seen():
    module = torch.nn.Linear(3, 2)
    before = describe(module)
    assert describe(module) == before
    with torch.no_grad():
        module.weight[0, 0] += 1
    assert describe(module) != before


def closing_over(value):
    return lambda rows: rows * value


def test_functions_are_told_apart_by_what_they_do():
    functions = [
        np.linalg.norm,
        len,
        "".join,
        np.add,
        closing_over,
        FlakyClassifier,
        FlakyClassifier().fit,
        FlakyClassifier(offset=1).fit,
        closing_over(LARGE),
        closing_over(-LARGE),
        partial(closing_over, 1),
        partial(closing_over, 2),
        lambda rows: rows + 1,
        lambda rows: rows + 2,
        lambda rows, by=1: rows + by,
        lambda rows, by=2: rows + by,
    ]
    assert len({describe(function) for function in functions}) == len(functions)
    assert describe(closing_over(LARGE)) == describe(closing_over(LARGE.copy()))


def test_another_process_describes_alike():
    script = (
        "from skal.evaluation._journal import describe\n"
        "def outer(by):\n    return lambda text: text in {'a', 'b', 'c'} and any(each == by for each in text)\n"
        "print(describe([outer, outer(3), {'x': 1, 'y': {'d', 'e', 'f'}}, len]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in (1, 2)
    }
    assert len(said) == 1


def test_every_value_of_the_data_is_compared(monkeypatch, rng):
    monkeypatch.setattr(_journal, "_TILE_BYTES", 1000)
    X, y = rng.normal(size=(1000, 3)), rng.integers(5, size=1000)
    for wrap in (np.asarray, torch.from_numpy, pd.DataFrame, np.ndarray.tolist, np.asfortranarray):
        before = fingerprint(wrap(X), y, wrap(X), y)
        assert fingerprint(wrap(X.copy()), y, wrap(X), y) == before
        for row in rng.integers(1000, size=5):
            changed = X.copy()
            changed[row, rng.integers(3)] += 1e-9
            assert fingerprint(wrap(changed), y, wrap(X), y) != before
            assert fingerprint(wrap(X), y, wrap(changed), y) != before
            assert fingerprint(wrap(X), np.where(np.arange(1000) == row, 9, y), wrap(X), y) != before


@pytest.mark.parametrize("n_bytes", [1, 100, 10**6])
def test_the_size_of_the_tiles_does_not_matter(n_bytes, monkeypatch, rng):
    X, y = rng.normal(size=(50, 3)), np.array(["cat", "dog"] * 25, dtype=object)
    expected = fingerprint(X, y, X, y)
    monkeypatch.setattr(_journal, "_TILE_BYTES", n_bytes)
    assert fingerprint(X, y, X, y) == fingerprint(np.asfortranarray(X), y, X, y) == expected


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_saved_curve_follows_the_umask(umask, evaluate, tmp_path):
    curve, before = evaluate(), os.umask(umask)
    try:
        curve.save(tmp_path / "curve.json")
    finally:
        os.umask(before)
    assert (tmp_path / "curve.json").stat().st_mode & 0o777 == 0o666 & ~umask
