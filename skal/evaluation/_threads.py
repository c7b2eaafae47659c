"""Threads of one job among several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import joblib
import torch
from threadpoolctl import threadpool_limits

__all__ = ["limited_threads", "threads_of_each_job"]


def threads_of_each_job(n_jobs: int | None) -> int | None:
    """Divide the cores among the jobs; None where there is one job, which may have all it has now."""
    n_at_once = int(joblib.effective_n_jobs(n_jobs))
    if n_at_once == 1:
        return None
    return max(1, min(torch.get_num_threads(), int(joblib.cpu_count()) // n_at_once))


@contextmanager
def limited_threads(n_threads: int | None) -> Iterator[None]:
    """Hold BLAS, OpenMP, FAISS and torch to `n_threads`; None changes nothing."""
    if n_threads is None:
        yield
        return
    with suppress(ImportError):  # its OpenMP is limited only if it is there when the limits are set
        import faiss  # noqa: F401
    before = torch.get_num_threads()
    with threadpool_limits(n_threads):
        torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
