"""Jobs share the cores."""

import threading

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_info, threadpool_limits

from skal.base import BaseSampler
from skal.evaluation import budget_curve, select
from skal.evaluation._threads import one_thread, one_thread_here

pytest.importorskip("faiss")  # its OpenMP is one more of those below


class TakesThreeThreads:
    """As soon as it arrives in a job's process, that process takes three threads."""

    def __setstate__(self, state):
        super().__setstate__(state)
        threadpool_limits(3)
        torch.set_num_threads(3)


class ThreadCountSampler(TakesThreeThreads, BaseSampler):
    """Picks the row whose number is the largest number of threads that anything here would take."""

    def _select_rows(self, request):
        return np.array([most_threads()])


class ThreadCounter(TakesThreeThreads, ClassifierMixin, BaseEstimator):
    """Predicts the largest number of threads that anything here would take."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), most_threads())


def most_threads():
    return max(torch.get_num_threads(), *n_threads().values())


def threads_of_a_new_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def n_threads():
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    with threadpool_limits(2):
        torch.set_num_threads(2)
        yield
        torch.set_num_threads(before)


def test_torch_blas_and_openmp_are_held_and_released(two_threads):
    before = n_threads()
    assert len(before) >= 2
    assert 2 in before.values()
    with one_thread():
        assert set(n_threads().values()) == {1}
        assert torch.get_num_threads() == 1
    assert (n_threads(), torch.get_num_threads()) == (before, 2)


def test_a_thread_holds_and_releases_its_own_openmp():
    found = []

    def note():
        found.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"})

    def work():
        threadpool_limits(2, user_api="openmp")
        note()
        with one_thread_here():
            note()
        note()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [{2}, {1}, {2}]


def test_without_a_number_everything_is_left_alone(two_threads, blobs):
    X, y = blobs
    assert select({"Count": ThreadCountSampler()}, X, y, budgets=[1], n_seeds=1)["Count", 1, 0] == most_threads() > 1


@pytest.mark.parametrize(("n_jobs", "config"), [(1, {}), (2, {}), (None, {"n_jobs": 2})])
@pytest.mark.slow
def test_the_jobs_of_a_curve_have_one_thread_for_any_number(n_jobs, config, two_threads, blobs):
    X, y = blobs
    samplers, expected = {"Count": ThreadCountSampler()}, np.ones(len(X), dtype=int)
    with joblib.parallel_config(**config):
        curve = budget_curve(samplers, {"Count": ThreadCounter()}, X, y, X, expected, [1], n_seeds=2, n_jobs=n_jobs)
    assert [rows.tolist() for rows in curve.selections.values()] == [[1]] * 2
    np.testing.assert_array_equal(curve.scores("Count", 1, "Count"), 1)


class MeetingSampler(BaseSampler):
    """Picks its number of threads, while as many others pick theirs as there are parties."""

    meeting = threading.Barrier(3)

    def _select_rows(self, request):
        MeetingSampler.meeting.wait(timeout=60)
        n_found = most_threads()
        MeetingSampler.meeting.wait(timeout=60)
        return np.array([n_found])


def test_jobs_that_share_a_process_leave_it_as_they_found_it(two_threads, blobs):
    X, y = blobs
    before = n_threads()
    with joblib.parallel_config(backend="threading"):
        selections = select({"Meet": MeetingSampler()}, X, y, budgets=[1], n_seeds=6, n_jobs=3)
    assert [rows.tolist() for rows in selections.values()] == [[1]] * 6
    assert (n_threads(), torch.get_num_threads(), threads_of_a_new_thread()) == (before, 2, 2)


@pytest.mark.filterwarnings("ignore:.*tasks")  # joblib's, as the filters of threads are one another's
def test_jobs_that_are_interrupted_leave_their_process_as_they_found_it(two_threads, blobs):
    X, y = blobs
    before = n_threads()

    def interrupt(selection):
        raise KeyboardInterrupt

    with joblib.parallel_config(backend="threading"), pytest.raises(KeyboardInterrupt):
        select({"Meet": MeetingSampler()}, X, y, budgets=[1], n_seeds=6, n_jobs=3, on_selection=interrupt)
    assert (n_threads(), torch.get_num_threads()) == (before, 2)


class LateSampler(BaseSampler):
    """Picks at once with seed 0, and when it may with another."""

    may_go = threading.Event()

    def fit(self, X, y=None, **more):
        if self.random_state:
            LateSampler.may_go.wait(timeout=60)
        return super().fit(X, y, **more)

    def _select_rows(self, request):
        return np.array([0])


@pytest.mark.filterwarnings("ignore:.*tasks")
def test_a_job_that_outlives_an_interruption_changes_nothing(two_threads, blobs):
    X, y = blobs
    before, threads = n_threads(), set(threading.enumerate())

    def interrupt(selection):
        raise KeyboardInterrupt

    with joblib.parallel_config(backend="threading"), pytest.raises(KeyboardInterrupt):
        select({"Late": LateSampler()}, X, y, budgets=[1], n_seeds=2, n_jobs=2, on_selection=interrupt)
    late = [thread for thread in threading.enumerate() if thread not in threads]
    assert late
    LateSampler.may_go.set()
    for thread in late:
        thread.join(timeout=60)
    assert (n_threads(), torch.get_num_threads(), threads_of_a_new_thread()) == (before, 2, 2)
