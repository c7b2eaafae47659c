"""How many CPUs the container or the control group of this process may use."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cpu_quota"]

_MOUNT = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def cpu_quota(mount: Path = _MOUNT, own_groups: Path = _OWN_GROUPS) -> float:
    """CPU time a second that control groups, version 1 or 2, allow this process; infinite where nothing limits it.

    The least of what its own group and those above it allow. Within a container only some of them can be seen, the
    container's own among them. Read at most once a second: that takes as long as a pass over a small pool.

    Parameters
    ----------
    mount : Path
        Where the groups are seen as folders.
    own_groups : Path
        The file that says which groups the process is in.
    """
    return _quota_in_second(int(time.monotonic()), mount, own_groups)


@functools.lru_cache(maxsize=1)
def _quota_in_second(second: int, mount: Path, own_groups: Path) -> float:
    return min((quota for folder in _folders(mount, own_groups) for quota in _quotas(folder)), default=math.inf)


def _folders(mount: Path, own_groups: Path) -> Iterator[Path]:
    yield mount
    yield mount / "cpu"
    with suppress(OSError, ValueError):
        for line in own_groups.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "":
                yield from _up_from(mount, group)
            elif "cpu" in controllers.split(","):
                for name in ("cpu", controllers):
                    yield from _up_from(mount / name, group)


def _up_from(mount: Path, group: str) -> Iterator[Path]:
    parts = [part for part in group.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _quotas(folder: Path) -> Iterator[float]:
    with suppress(OSError, ValueError, ZeroDivisionError):  # "max" is no number and no limit
        quota, period = (folder / "cpu.max").read_text().split()
        yield float(quota) / float(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if float(quota) > 0:  # -1 is no limit
            yield float(quota) / float(period)
