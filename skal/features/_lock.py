"""One writer at a time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

__all__ = ["WriterLock"]

# The reading processes of a job that was killed share its lock for a moment, until they notice its end.
SECONDS_TO_WAIT = 10.0


class WriterLock:
    """A lock on ``<path>.lock``, which is there only while it is held.

    Raises
    ------
    RuntimeError
        From `acquire`, if another process holds it for too long.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: Any = None

    def acquire(self) -> None:
        lock = FileLock(f"{self._path}.lock", timeout=SECONDS_TO_WAIT)
        try:
            lock.acquire()
        except Timeout as error:
            raise RuntimeError(
                f"Another process is writing to {self._path}; wait for it, or choose another output."
            ) from error
        self._lock = lock

    def release(self) -> None:
        # Removed while it is held: filelock gives nobody a lock on a file that has no name any more.
        with suppress(OSError):
            os.unlink(self._lock.lock_file)
        self._lock.release()
