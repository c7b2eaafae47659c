"""Fixtures that many tests share."""

import gc
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal._core.memory import keep_freed_memory

# `ci` by itself; `HYPOTHESIS_PROFILE=long pytest -m hypothesis` searches for half an hour.
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure():
    # On data as small as the tests' more threads only wait for each other, for seconds where the machine is busy.
    torch.set_num_threads(1)
    keep_freed_memory()  # or a tenth of the time goes into pages that are made anew


def pytest_collection_finish():
    gc.collect()
    gc.freeze()  # or what was imported and collected is looked through again and again


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
def warm_python():
    """The path of a Python that has imported torch and scikit-learn already, by warm_python.py; skal lies beside it."""
    if not hasattr(os, "pidfd_open"):
        yield sys.executable
        return
    script = Path(__file__).with_name("warm_python.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory(prefix="skal-") as folder:
        program, address = Path(folder, "python"), Path(folder, "socket")
        ask = shlex.join([sys.executable, "-IS", str(script), "ask", str(address)])
        program.write_text(f'#!/bin/sh\nexec {ask} "$@"\n')
        program.with_name("skal").write_text(f'#!/bin/sh\nexec {program} -m skal "$@"\n')
        for each in (program, program.with_name("skal")):
            each.chmod(0o700)
        command = [sys.executable, "-P", script, "serve", address, program]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        ) as serving:
            assert serving.stdout.readline() == b"ready\n"
            yield os.fspath(program)
            serving.stdin.close()


@pytest.fixture
def warm_children(monkeypatch, warm_python):
    """Processes that skal itself or a benchmark starts need not import torch and scikit-learn."""
    monkeypatch.setattr(sys, "executable", warm_python)


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
