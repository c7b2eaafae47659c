"""Write a file as a whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

__all__ = ["sync_folder", "write_atomically"]


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview | str) -> None:
    """Replace `path` by a file that holds `content`, once that is on disk.

    It is written beside `path`, so that whenever the process ends there is the old file or the new one. Permissions
    follow the umask. Where `path` is a symbolic link, the file that it points to is replaced.

    Parameters
    ----------
    path : path
        Its folder must exist.
    content : bytes, memoryview or str
        Text is written as UTF-8.

    Raises
    ------
    OSError
        If it cannot be written, as on a full disk; the old file is still there.
    """
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name[:100]}.{uuid4().hex}.part")  # mkstemp would not follow the umask
    try:
        with unfinished.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk, where the system can."""
    with suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
