"""Hold a process, or one thread of it, to one thread of computation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

__all__ = ["one_thread", "one_thread_here"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, OpenMP, FAISS and torch to one thread.

    BLAS has one number for the whole process, so what overlaps in several threads would restore the wrong one: enter
    this around them, and `one_thread_here` in each.
    """
    with suppress(ImportError):  # its OpenMP is limited only if it is there when the limits are set
        import faiss  # noqa: F401
    before = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def one_thread_here() -> AbstractContextManager[object]:
    """Hold to one thread what each thread of a process has a number of its own for: OpenMP, and with it torch."""
    openmp: AbstractContextManager[object] = ThreadpoolController().select(user_api="openmp").limit(limits=1)
    return openmp
