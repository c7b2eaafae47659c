"""What a piece of work takes: seconds, and memory that is not mapped from a file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def status_mib(field: str) -> float:
    """A figure of this process in MiB: "RssAnon" now, or "VmHWM", the peak with mapped files (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields[field].split()[0]) / 2**10


def forget_peak() -> None:
    """Let "VmHWM" of this process begin again at what it has now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


@contextmanager
def peak_memory(result: dict) -> Iterator[None]:
    """Put into `result` what a block takes.

    "seconds" on the clock, "cpu_seconds" of this process, which others on the machine hardly change, and the peak "mib"
    above what was there, less mapped files.
    """
    start_mib = status_mib("RssAnon")
    with _watcher() as peak_mib:
        start, cpu_start = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            result["seconds"] = time.perf_counter() - start
            result["cpu_seconds"] = time.process_time() - cpu_start
            result["mib"] = max(0.0, max(peak_mib(), status_mib("RssAnon")) - start_mib)


@contextmanager
def _watcher() -> Iterator[Callable[[], float]]:
    """Watch this process from another, as a thread here would take its turns of Python's lock from what is measured.

    What is yielded ends the watch and says the peak.
    """
    code = (
        "import os, re, select, sys\n"
        "peak, status = 0, open(f'/proc/{os.getppid()}/status')\n"
        "print(flush=True)\n"
        "while not select.select([sys.stdin], [], [], 0.01)[0]:\n"
        "    status.seek(0)\n"
        "    peak = max(peak, *map(int, re.findall(r'RssAnon:\\s*(\\d+)', status.read())))\n"
        "print(peak)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        process.stdout.readline()
        try:
            yield lambda: int(process.communicate()[0]) / 2**10
        finally:
            process.kill()


@contextmanager
def one_core_taken(is_taken: bool = True) -> Iterator[None]:
    """Let another process have one of the cores all the time (Linux)."""
    if not is_taken:
        yield
        return
    core = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as neighbor:  # noqa: S603
        neighbor.stdout.readline()
        try:
            yield
        finally:
            neighbor.kill()
