"""A curve that was interrupted goes on."""

import json
import os

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skal.base import BaseSampler
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import budget_curve
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
    torch = pytest.importorskip("torch")
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
