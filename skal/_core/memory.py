"""Memory for many rows, in large pages where the system has them, and what becomes of memory that is freed."""

from __future__ import annotations

import ctypes
import functools
import math
import mmap
import os
import sys

import torch
from torch import Tensor

__all__ = ["empty_rows", "keep_freed_memory"]

_LARGE_FROM_BYTES = 1 << 23
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_KEPT_BYTES, _FROM_THE_SYSTEM_BYTES = 1 << 26, 1 << 25


def empty_rows(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return an uninitialised tensor.

    Where it is large, on the CPU, the system is asked for pages of 2 MiB in place of 4 KiB: filling them for the first
    time takes a third of the time, and gathering scattered rows less. A system that has none gives what it has.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    if device.type != "cpu" or n_bytes < _LARGE_FROM_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(shape, dtype=dtype, device=device)
    memory = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel without them
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.frombuffer(memory, dtype=dtype).view(shape)


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 64 MiB that it has freed, for what it allocates next; say whether that was done.

    Workers of dask give back whatever is more than 64 KiB (``MALLOC_TRIM_THRESHOLD_``), so that each product of a pass
    has its pages made anew, which took a third of their time. An environment that sets ``MALLOC_MMAP_THRESHOLD_`` is
    left alone; other systems than Linux with glibc keep memory by themselves, or do not.
    """
    if not sys.platform.startswith("linux") or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _FROM_THE_SYSTEM_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
