"""A curve that was interrupted goes on."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from skal.base import BaseSampler
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import BudgetCurve, budget_curve, score, select
from skal.rounds import IterativeSampler
from skal.samplers import KMeansSampler, MaxEntropySampler, RandomSampler

JOB = Path(__file__).with_name("selecting_job.py")


class Interrupted(Exception):
    pass


class Allowance:
    """How often something may be done; counted in the environment, which no description looks into."""

    def __init__(self, name):
        self.name = name

    @property
    def n_used(self):
        return int(os.environ[f"{self.name}_USED"])

    def reset(self, n_allowed=10**6):
        os.environ |= {f"{self.name}_USED": "0", f"{self.name}_ALLOWED": str(n_allowed)}

    def use(self):
        if self.n_used == int(os.environ[f"{self.name}_ALLOWED"]):
            raise Interrupted
        os.environ[f"{self.name}_USED"] = str(self.n_used + 1)


SELECTIONS, TRAININGS, MEASURED = (Allowance(name) for name in ("SELECTIONS", "TRAININGS", "MEASURED"))


class FlakySampler(BaseSampler):
    """Random rows, as long as it is allowed to pick."""

    def _select_rows(self, request):
        SELECTIONS.use()
        return request.rng.permutation(request.candidate_idx)[: request.budget]


class FlakyClassifier(ClassifierMixin, BaseEstimator):
    """The most frequent class, as long as it is allowed to be trained."""

    def __init__(self, random_state=None, offset=0):
        self.random_state = random_state
        self.offset = offset

    def fit(self, X, y):
        TRAININGS.use()
        self.classes_, counts = np.unique(y, return_counts=True)
        self.winner_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        return np.full(len(X), self.winner_)


@pytest.fixture(autouse=True)
def start_over():
    SELECTIONS.reset()
    TRAININGS.reset()
    MEASURED.reset()


@pytest.fixture
def evaluate(blobs, tmp_path):
    X, y = blobs

    def run(path="records", sampler=None, classifiers=None, data=(X, y, X, y), budgets=(4, 9), **more):
        classifiers = {"Mode": FlakyClassifier()} if classifiers is None else classifiers
        samplers = {"Flaky": FlakySampler() if sampler is None else sampler}
        return budget_curve(samplers, classifiers, *data, budgets, resume_from=tmp_path / path, **more)

    return run


def as_plain(curve):
    return {key: rows.tolist() for key, rows in curve.selections.items()}, curve.values


def test_selections_are_kept_when_a_later_one_fails(evaluate):
    expected = as_plain(evaluate("another"))
    SELECTIONS.reset(n_allowed=4)
    with pytest.raises(Interrupted):
        evaluate()
    assert SELECTIONS.n_used == 4
    SELECTIONS.reset(n_allowed=2)
    assert as_plain(evaluate()) == expected


def test_scores_are_kept_when_a_later_training_fails(evaluate):
    expected = as_plain(evaluate("another"))
    TRAININGS.reset(n_allowed=5)
    with pytest.raises(Interrupted):
        evaluate()
    SELECTIONS.reset(n_allowed=0)
    TRAININGS.reset(n_allowed=1)
    assert as_plain(evaluate()) == expected


def test_a_finished_curve_is_given_back_and_tells_of_everything(evaluate):
    expected = as_plain(evaluate())
    SELECTIONS.reset(n_allowed=0)
    TRAININGS.reset(n_allowed=0)
    selections, scores = [], []
    assert as_plain(evaluate(on_selection=selections.append, on_score=scores.append)) == expected
    assert len(selections) == len(scores) == len(expected[0])
    assert all(0 < selection.coverage <= 1 for selection in selections)
    assert all(set(each.values) == {"accuracy", "balanced_accuracy"} for each in scores)


def test_only_what_is_asked_for_otherwise_is_computed_anew(evaluate):
    evaluate()
    n_selections, n_trainings = SELECTIONS.n_used, TRAININGS.n_used
    evaluate(classifiers={"Mode": FlakyClassifier(), "Other": FlakyClassifier(offset=1)})
    assert (SELECTIONS.n_used, TRAININGS.n_used) == (n_selections, 2 * n_trainings)
    evaluate(budgets=(4, 9, 20), n_seeds=1)
    assert (SELECTIONS.n_used, TRAININGS.n_used) == (n_selections + 1, 2 * n_trainings + 1)
    evaluate(training_seed=3)
    assert SELECTIONS.n_used == n_selections + 1


def share_of_zeros(classifier, X, y):
    MEASURED.use()
    return (classifier.predict(X) == 0).mean()


def share_of_ones(classifier, X, y):
    MEASURED.use()
    return (classifier.predict(X) == 1).mean()


def test_a_metric_that_is_added_is_computed_alone(evaluate):
    first = evaluate(scoring="accuracy")
    n_trainings = TRAININGS.n_used
    both = evaluate(scoring={"accuracy": "accuracy", "share": share_of_zeros})
    assert TRAININGS.n_used == 2 * n_trainings == 2 * MEASURED.n_used
    assert both.values.items() > first.values.items()
    evaluate(scoring={"share": share_of_zeros, "accuracy": "accuracy", "f1": "f1_macro"})
    assert TRAININGS.n_used == 3 * n_trainings == 3 * MEASURED.n_used
    TRAININGS.reset(n_allowed=0)
    renamed = evaluate(scoring={"top-1": "accuracy", "zeros": share_of_zeros})
    assert renamed.metrics == ("top-1", "zeros")
    np.testing.assert_array_equal(renamed.scores("Flaky", 9, "Mode", "zeros"), both.scores("Flaky", 9, "Mode", "share"))


def test_another_scorer_of_the_same_name_is_computed_anew(evaluate):
    zeros, ones = (
        evaluate(scoring={"share": scorer}).scores("Flaky", 9, "Mode") for scorer in (share_of_zeros, share_of_ones)
    )
    assert not np.array_equal(zeros, ones)
    np.testing.assert_array_equal(evaluate(scoring=share_of_ones).scores("Flaky", 9, "Mode"), ones)


def test_select_and_score_share_a_file(evaluate, blobs, tmp_path):
    X, y = blobs
    path = tmp_path / "records"
    selections = select({"Flaky": FlakySampler()}, X, y, budgets=(4, 9), resume_from=path)
    curve = score(selections, {"Mode": FlakyClassifier()}, X, y, X, y, resume_from=path)
    SELECTIONS.reset(n_allowed=0)
    TRAININGS.reset(n_allowed=0)
    assert as_plain(evaluate()) == as_plain(curve)


def test_selections_without_labels_are_others(blobs, tmp_path):
    X, y = blobs
    path = tmp_path / "records"
    for labels, n_selections in ((None, 1), (None, 1), (y, 2), (y, 2)):
        select({"Flaky": FlakySampler()}, X, labels, budgets=[4], n_seeds=1, resume_from=path)
        assert SELECTIONS.n_used == n_selections


def test_what_was_there_before_does_not_change_the_order(blobs, tmp_path):
    X, y = blobs
    path, samplers = tmp_path / "records", {"A": KMeansSampler(), "B": RandomSampler()}
    select({"B": RandomSampler()}, X, y, budgets=[9], resume_from=path)
    resumed, expected = (select(samplers, X, y, budgets=[4, 9], resume_from=file) for file in (path, None))
    assert list(resumed) == list(expected)


def test_after_an_interruption_the_rest_comes_in_the_same_order(blobs, tmp_path):
    X, y = blobs
    samplers = {"Rounds": IterativeSampler(KMeansSampler()), "Random": RandomSampler()}

    def tell_of(into, n_allowed):
        def tell(selection):
            into.append((selection.sampler, selection.budget, selection.seed))
            if len(into) == n_allowed:
                raise Interrupted

        return tell

    in_one_go, before, after = [], [], []
    select(samplers, X, y, budgets=[4, 9, 20], on_selection=tell_of(in_one_go, None))
    resumed = {"budgets": [4, 9, 20], "resume_from": tmp_path / "records"}
    with pytest.raises(Interrupted):
        select(samplers, X, y, **resumed, on_selection=tell_of(before, 14))
    select(samplers, X, y, **resumed, on_selection=tell_of(after, None))
    assert before == in_one_go[:14]
    assert [key for key in after if key not in before] == in_one_go[14:]


def test_what_is_finished_can_be_read_while_somebody_writes(evaluate):
    assert len(evaluate(only_finished=True).selections) == 0
    seen = []

    def look(selection):
        seen.append(len(evaluate(only_finished=True).selections))

    curve = evaluate(on_selection=look)
    assert seen == [1, 2, 3, 4, 5, 6]
    SELECTIONS.reset(n_allowed=0)
    TRAININGS.reset(n_allowed=0)
    assert as_plain(evaluate(only_finished=True)) == as_plain(curve)
    partly = evaluate(only_finished=True, classifiers={"Mode": FlakyClassifier(), "Other": FlakyClassifier(offset=1)})
    assert "–" in str(partly)
    assert partly.paired_differences("Flaky") == []
    assert {row["classifier"] for row in partly.to_rows()} == {"Mode", None}


@pytest.mark.parametrize("n_bytes_lost", [1, 20])
def test_what_a_crash_left_of_the_last_line_is_dropped(n_bytes_lost, evaluate, tmp_path):
    expected = as_plain(evaluate())
    records = tmp_path / "records"
    os.truncate(records, records.stat().st_size - n_bytes_lost)
    SELECTIONS.reset(n_allowed=0)
    TRAININGS.reset(n_allowed=1)
    assert as_plain(evaluate()) == expected
    TRAININGS.reset(n_allowed=0)
    assert as_plain(evaluate()) == expected
    assert all(json.loads(line) for line in records.read_text().splitlines())


def test_a_full_disk_is_said_and_what_was_there_stays(evaluate, monkeypatch):
    expected = as_plain(evaluate("another"))
    n_left, fsync = [5], os.fsync  # the new file, its folder, what it belongs to, and two selections

    def fill_up(descriptor):
        n_left[0] -= 1
        if n_left[0] < 0:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fill_up)
        with pytest.raises(OSError, match="No space left"):
            evaluate()
    SELECTIONS.reset(n_allowed=len(expected[0]) - 2)
    assert as_plain(evaluate()) == expected


def test_other_data_are_refused(evaluate, blobs):
    X, y = blobs
    evaluate()
    SELECTIONS.reset(n_allowed=0)
    shifted = X.copy()
    shifted[17] += 1
    for data in ((shifted, y, X, y), (X, y[::-1], X, y), (X, y, X[:-1], y[:-1]), (X, y.astype(str), X, y)):
        for only_finished in (False, True):
            with pytest.raises(ValueError, match=r"was written for other (pool|labels|test set)"):
                evaluate(data=data, budgets=(4, 9, 20), only_finished=only_finished)


def test_a_damaged_line_and_other_files_are_named(evaluate, tmp_path):
    evaluate()
    records = tmp_path / "records"
    lines = records.read_text().splitlines()
    records.write_text("\n".join([*lines[:2], lines[2].replace("4", "5"), *lines[3:]]) + "\n")
    with pytest.raises(ValueError, match=r"line 3 of .*records is damaged"):
        evaluate()
    for content in ("a,b,c\n1,2,3\n", "no line at all", "{}\n", "[]\n"):
        (tmp_path / "other").write_text(content)
        with pytest.raises(ValueError, match="is no 'skal evaluation 1' log"):
            evaluate("other")
        assert (tmp_path / "other").read_text() == content


def test_another_version_of_skal_is_refused(evaluate, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("skal.__version__", "0.0.1")
        evaluate()
    with pytest.raises(ValueError, match=r"was written for other skal \(it says skal 0\.0\.1"):
        evaluate()


def test_a_file_that_another_process_writes_is_refused(evaluate):
    def try_too(selection):
        with pytest.raises(RuntimeError, match="records is open for writing elsewhere"):
            evaluate()
        raise Interrupted

    with pytest.raises(Interrupted):
        evaluate(on_selection=try_too)


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


@pytest.mark.slow
def test_processes_resume_too(evaluate):
    classifiers = {"LIN": LinearProbe(n_epochs=5), "NN": CosineKNNClassifier()}
    expected = as_plain(evaluate("one", sampler=RandomSampler(), classifiers=classifiers, n_seeds=1))
    evaluate(sampler=RandomSampler(), classifiers={"NN": classifiers["NN"]}, n_seeds=1, budgets=[4])
    assert as_plain(evaluate(sampler=RandomSampler(), classifiers=classifiers, n_seeds=1, n_jobs=2)) == expected


def test_a_numpy_integer_may_seed_the_trainings_and_is_saved(evaluate, tmp_path):
    curve = evaluate(training_seed=np.int64(3))
    curve.save(tmp_path / "curve.json")
    loaded = BudgetCurve.load(tmp_path / "curve.json")
    assert as_plain(loaded) == as_plain(curve) == as_plain(evaluate(training_seed=3))
    assert loaded.training_seed == 3
    with pytest.raises(TypeError, match="integer"):
        evaluate(training_seed=0.5)


def make_flaky(source):
    """Make another `FlakySampler` of the same name, as if its file had been edited."""
    namespace = {"BaseSampler": BaseSampler, "SELECTIONS": SELECTIONS, "SHIFT": 0, "__name__": __name__}
    exec(source, namespace)  # noqa: S102
    return namespace["FlakySampler"]


FLAKY = """
class FlakySampler(BaseSampler):
    def _select_rows(self, request):
        SELECTIONS.use()
        return (request.candidate_idx[: request.budget] + SHIFT) % 100
"""


@pytest.mark.parametrize(
    ("old", "new"), [("[: request.budget]", "[-request.budget :]"), ("+ SHIFT", "+ 2 * SHIFT"), ("% 100", "% 101")]
)
def test_an_edited_sampler_picks_anew(old, new, evaluate):
    evaluate(sampler=make_flaky(FLAKY)())
    n_selections = SELECTIONS.n_used
    evaluate(sampler=make_flaky(FLAKY)())
    assert SELECTIONS.n_used == n_selections
    evaluate(sampler=make_flaky(FLAKY.replace(old, new))())
    assert SELECTIONS.n_used == 2 * n_selections


def test_a_changed_global_and_a_changed_version_pick_anew(evaluate):
    evaluate(sampler=make_flaky(FLAKY)())
    n_selections = SELECTIONS.n_used
    shifted = make_flaky(FLAKY)
    shifted._select_rows.__globals__["SHIFT"] = 3
    first = evaluate(sampler=shifted())
    assert SELECTIONS.n_used == 2 * n_selections
    assert first.selections["Flaky", 4, 0].tolist() == [3, 4, 5, 6]
    for version in ("2", "2", "3"):
        evaluate(sampler=make_flaky(FLAKY)(), version=version)
    assert SELECTIONS.n_used == 4 * n_selections


def test_renamed_columns_are_other_data(evaluate, blobs):
    import pandas as pd

    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcdef"))
    evaluate(data=(frame, y, frame, y))
    with pytest.raises(ValueError, match="other pool"):
        evaluate(data=(frame.rename(columns={"a": "A"}), y, frame, y))


def test_a_budget_that_is_added_costs_one_round(evaluate):
    rounds = IterativeSampler(FlakySampler())
    evaluate(sampler=rounds, budgets=(4, 9), n_seeds=2)
    assert SELECTIONS.n_used == 4
    longer = evaluate(sampler=rounds, budgets=(4, 9, 20), n_seeds=2)
    assert SELECTIONS.n_used == 6
    assert as_plain(evaluate("another", sampler=rounds, budgets=(4, 9, 20), n_seeds=2)) == as_plain(longer)
    SELECTIONS.reset()
    evaluate(sampler=rounds, budgets=(4, 7, 9), n_seeds=2)
    assert SELECTIONS.n_used == 4  # 9 comes after 7 now, and 4 is there


def test_an_interruption_costs_one_round_at_most(evaluate):
    rounds = IterativeSampler(MaxEntropySampler(), initial=FlakySampler())
    expected = as_plain(evaluate("another", sampler=rounds, budgets=(4, 9, 20), n_seeds=1))
    seen = []

    def interrupt(selection):
        seen.append(selection.budget)
        raise Interrupted

    for _ in range(2):
        with pytest.raises(Interrupted):
            evaluate(sampler=rounds, budgets=(4, 9, 20), n_seeds=1, on_selection=interrupt)
        found = evaluate(sampler=rounds, budgets=(4, 9, 20), n_seeds=1, only_finished=True)
        assert len(found.selections) == 1
    assert seen == [4, 4]
    assert as_plain(evaluate(sampler=rounds, budgets=(4, 9, 20), n_seeds=1)) == expected
    assert SELECTIONS.n_used == 2  # the initial round, here and in the other file


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(blobs, tmp_path, rng, warm_python):
    X, y = blobs
    np.savez(tmp_path / "data.npz", X=X, y=y)
    command = [warm_python, JOB, tmp_path / "data.npz", tmp_path / "records"]
    what = {"samplers": {"Rounds": IterativeSampler(KMeansSampler())}, "X": X, "y": y, "budgets": range(3, 90, 3)}
    resumed = {**what, "n_seeds": 1, "resume_from": tmp_path / "records"}
    acknowledged = set()
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
            job.stdout.readline()  # it is past its imports
            time.sleep(rng.uniform(0, 0.05))
            job.kill()
            acknowledged |= {int(line) for line in job.stdout if line.endswith("\n")}
        assert job.returncode == -signal.SIGKILL
        assert acknowledged <= set(select(**resumed, only_finished=True).budgets)
    found, expected = select(**resumed), select(**what, n_seeds=1)
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    totals = [json.loads(line)["entry"].get("totals") for line in (tmp_path / "records").read_text().splitlines()]
    assert totals[2:] == [list(range(3, total + 3, 3)) for total in range(3, 90, 3)]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_saved_curve_follows_the_umask(umask, evaluate, tmp_path):
    curve, before = evaluate(), os.umask(umask)
    try:
        curve.save(tmp_path / "curve.json")
    finally:
        os.umask(before)
    assert (tmp_path / "curve.json").stat().st_mode & 0o777 == 0o666 & ~umask
