"""What becomes of memory that is freed."""

import os
import subprocess
import sys

import pytest

from skal._core.memory import keep_freed_memory

CODE = """
import resource, sys, torch
from skal._core.memory import keep_freed_memory
if "keep" in sys.argv:
    assert keep_freed_memory() == ("MALLOC_MMAP_THRESHOLD_" not in __import__("os").environ)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    torch.empty(400_000).fill_(1.0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536", **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


@pytest.mark.slow
def test_pages_are_not_made_anew_for_each_product_of_a_worker_of_dask():
    if not keep_freed_memory():
        pytest.skip("no glibc")
    as_dask_starts_it = faults()
    assert faults("keep") < as_dask_starts_it / 5
    assert faults("keep", MALLOC_MMAP_THRESHOLD_="131072") > as_dask_starts_it / 2
