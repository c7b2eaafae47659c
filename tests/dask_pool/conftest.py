"""A pool small enough for a test, in tiles small enough to give it several blocks."""

from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip("distributed", reason="dask and distributed are not installed; they come with skal-al[dask]")

import dask
from distributed import Client, LocalCluster

from skal._core.restricted import _run, sketch_tile_rows_of, tile_rows_of
from tests.dask_pool.fits import outcome

TILE_ELEMENTS = 2**16
N_ROWS, N_FEATURES = 15_000, 32
TILE_ROWS = TILE_ELEMENTS // N_FEATURES  # chunks of which are joined to two of the principal coordinates


@pytest.fixture(scope="session", autouse=True)
def small_tiles():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_run, "_TILE_ELEMENTS", TILE_ELEMENTS)
        patch.setattr(_run, "_SKETCH_TILE_ELEMENTS", 2 * TILE_ELEMENTS)
        assert (tile_rows_of(N_FEATURES), sketch_tile_rows_of(N_FEATURES)) == (TILE_ROWS, 2 * TILE_ROWS)
        yield


@pytest.fixture(scope="session")
def X():
    """Rows in 150 overlapping groups, as embeddings are."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(150, N_FEATURES))
    return (centers[rng.integers(150, size=N_ROWS)] + 0.5 * rng.normal(size=(N_ROWS, N_FEATURES))).astype(np.float16)


@pytest.fixture(scope="session")
def y(X):
    return np.random.default_rng(1).integers(5, size=len(X))


@pytest.fixture(scope="session")
def expected(X, y):
    known = {}

    def of(name):
        if name not in known:
            known[name] = outcome(name, X, y)
        return known[name]

    return of


@pytest.fixture(scope="session")
def cluster(forked_workers):
    """Two workers of one thread each; a nanny starts another for each that dies, however long that takes."""
    timeouts = {
        "skal.workers-timeout": "30s",
        "distributed.comm.timeouts.connect": "10s",
        "distributed.deploy.lost-worker-timeout": "600s",  # 15 s are too few to import torch where it is busy
    }
    with dask.config.set(timeouts):
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit="1GiB")
        yield cluster
        with suppress(KeyError):  # its last step, if a worker died of which it had not heard
            cluster.close()


@pytest.fixture
def client(cluster):
    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=120)
        yield client
