"""Fixtures that many tests share."""

import os

import numpy as np
import pytest
import torch
from hypothesis import settings
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

# `ci` by itself; `HYPOTHESIS_PROFILE=long pytest -m hypothesis` searches for half an hour.
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure():
    # On data as small as the tests' more threads only wait for each other, for seconds where the machine is busy.
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def blobs(rng):
    """Three well-separated groups of 40 rows in 6 dimensions, with their labels."""
    centers = 10 * np.eye(3, 6)
    y = np.repeat(np.arange(3), 40)
    X = centers[y] + rng.normal(size=(120, 6))
    order = rng.permutation(120)
    return X[order].astype(np.float32), y[order]


@pytest.fixture(scope="session")
def digits():
    """(X_pool, X_test, y_pool, y_test) of the handwritten digits."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X.astype(np.float32), y, test_size=600, stratify=y, random_state=0)


@pytest.fixture(scope="session")
def forked_workers():
    """Dask's workers are forked from a process that has imported what they need, which takes each seconds by itself."""
    pytest.importorskip("distributed", reason="distributed is not installed; it comes with skal-al[dask]")
    import dask
    from distributed.utils import get_mp_context

    settings = {"distributed.worker.multiprocessing-method": "forkserver", "distributed.worker.profile.enabled": False}
    with dask.config.set(settings):
        imported = ["pytest", "distributed.nanny", "skal.classifiers", "skal.features", "skal.samplers"]
        get_mp_context().set_forkserver_preload(imported)
        yield


class CountingLabels:
    """Labels that note which rows are looked up, and refuse to be read all at once."""

    def __init__(self, y):
        self.y, self.asked, self.shape = y, [], y.shape

    def __len__(self):
        return len(self.y)

    def __array__(self, *args, **kwargs):
        raise AssertionError("every label was read at once")

    def __getitem__(self, key):
        rows = key[0] if isinstance(key, tuple) else key
        self.asked += np.atleast_1d(rows).tolist()
        return self.y[rows]


@pytest.fixture
def counting_labels():
    """Wrap labels so that a test can see which were looked up."""
    return CountingLabels
