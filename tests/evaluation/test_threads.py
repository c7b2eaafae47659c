"""Jobs share the cores."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_info, threadpool_limits

from skal.base import BaseSampler
from skal.evaluation import budget_curve
from skal.evaluation._threads import limited_threads, threads_of_each_job

pytest.importorskip("faiss")  # its OpenMP is one more of those below


class TakesThreeThreads:
    """As soon as it arrives in a job's process, that process takes three threads."""

    def __setstate__(self, state):
        super().__setstate__(state)
        threadpool_limits(3)
        torch.set_num_threads(3)


class ThreadCountSampler(TakesThreeThreads, BaseSampler):
    """Picks the row whose number is the largest number of threads that anything here would take."""

    def _select_rows(self, X, y, labeled_idx, budget, rng):
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


def n_threads():
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    with threadpool_limits(2):
        torch.set_num_threads(2)
        yield
        torch.set_num_threads(before)


def test_one_job_keeps_what_it_has(two_threads):
    with limited_threads(threads_of_each_job(None)):
        assert torch.get_num_threads() == max(n_threads().values()) == 2


@pytest.mark.parametrize("n_jobs", [2, 3, -1])
def test_many_jobs_share_the_cores(n_jobs):
    n_at_once, given = joblib.effective_n_jobs(n_jobs), threads_of_each_job(n_jobs)
    assert given is None if n_at_once == 1 else 1 <= given <= max(1, joblib.cpu_count() // n_at_once)


def test_torch_blas_and_openmp_are_held_and_released(two_threads):
    before = n_threads()
    assert len(before) >= 2
    assert 2 in before.values()
    with limited_threads(1):
        assert set(n_threads().values()) == {1}
        assert torch.get_num_threads() == 1
    assert (n_threads(), torch.get_num_threads()) == (before, 2)


def test_the_jobs_of_a_curve_are_held(two_threads, blobs):
    X, y = blobs
    n_jobs = 2
    given = threads_of_each_job(n_jobs)
    samplers, expected = {"Count": ThreadCountSampler()}, np.full(len(X), given)
    curve = budget_curve(samplers, {"Count": ThreadCounter()}, X, y, X, expected, [1], n_seeds=2, n_jobs=n_jobs)
    assert [run.selected_indices.tolist() for run in curve.runs] == [[given]] * 2
    np.testing.assert_array_equal(curve.scores("Count", 1, "Count"), 1)
