"""What becomes of memory that is freed."""

import os
import subprocess
import sys

import pytest

from skal._core.memory import keep_freed_memory

CODE = """
import resource, torch
from skal._core.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(200):
        torch.empty(400_000).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
as_started = faults()
assert keep_freed_memory() == ("MALLOC_MMAP_THRESHOLD_" not in __import__("os").environ)
print(as_started, faults())
"""


def faults(**environment):
    """Before and after freed memory is kept."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536", **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return map(int, done.stdout.split())


@pytest.mark.slow
def test_pages_are_not_made_anew_for_each_product_of_a_worker_of_dask():
    if not keep_freed_memory():
        pytest.skip("no glibc")
    as_dask_starts_it, kept = faults()
    assert kept < as_dask_starts_it / 5
    _, as_somebody_says = faults(MALLOC_MMAP_THRESHOLD_="131072")
    assert as_somebody_says > as_dask_starts_it / 2
