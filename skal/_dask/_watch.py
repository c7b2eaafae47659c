"""The way to the workers: whether there are any, and whether results come straight from them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import dask
from dask.utils import parse_timedelta
from distributed import Client
from distributed.comm.addressing import parse_host_port

__all__ = ["Watch", "results_straight_from_workers"]

_SECONDS_TO_REACH_A_WORKER = 1.0


@contextmanager
def results_straight_from_workers(client: Client) -> Iterator[None]:
    """Let a client that was told nothing about it spare the way through the scheduler, if it reaches a worker."""
    told = client.direct_to_workers
    if told is None and _reaches(next(iter(client.nthreads()), "")):
        client.direct_to_workers = True
    try:
        yield
    finally:
        client.direct_to_workers = told


@cache
def _reaches(address: str) -> bool:
    if not address.startswith(("tcp://", "tls://")):
        return False
    try:
        socket.create_connection(parse_host_port(address), _SECONDS_TO_REACH_A_WORKER).close()
    except OSError:
        return False
    return True


class Watch:
    """Notices that no worker is left."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seen = time.monotonic()
        self.patience = float(parse_timedelta(dask.config.get("skal.workers-timeout", "60s")))

    def n_threads(self) -> int:
        return sum(self._client.nthreads().values())

    def look(self) -> None:
        """Raise if there has been no worker for too long."""
        if self._client.status != "running":
            raise RuntimeError(f"The dask client is {self._client.status}: {_AGAIN}")
        if self.n_threads():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > self.patience:
            raise self.no_worker_left()

    def no_worker_left(self) -> RuntimeError:
        return RuntimeError(
            f"The dask cluster at {self._client.scheduler.address} has had no worker for {self.patience:g} seconds "
            f"(dask's configuration skal.workers-timeout): {_AGAIN}"
        )


_AGAIN = "nothing was changed by the pass that it was in; start workers, and fit again."
