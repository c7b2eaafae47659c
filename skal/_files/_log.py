"""An append-only record on disk."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from filelock import FileLock, Timeout

from skal._files._atomic import write_atomically

__all__ = ["AppendLog", "read_log"]

# A process that was killed may have children that share its lock until they notice its end.
SECONDS_TO_WAIT_FOR_THE_LOCK = 1.0

_HEAD, _BEFORE_CHECKSUM, _TAIL = b'{"entry": ', b', "checksum": "', b'"}\n'
_N_BYTES_AFTER_ENTRY = len(_BEFORE_CHECKSUM) + 16 + len(_TAIL)


class AppendLog:
    """A record that only grows: one dict a line, each on disk before `append` returns.

    The file is JSON lines. The first says what it is and what it belongs to; each line holds a checksum of its
    entry. Whenever the process ends, every entry whose `append` returned is there once. What was cut short of the
    last line is removed when the log is opened again. One process writes at a time, by a lock on ``<path>.lock``, a
    file that stays.

    Parameters
    ----------
    path : path
        Opened if it exists, made if it does not or is empty; its folder must exist.
    format : str
        What the entries are and the version of their layout, as in "skal ledger 1". A file of another is refused.
    belongs_to : mapping of str to str, int or None, default=None
        What the entries were made from, as a fingerprint of the pool. Kept in a new file and compared with what an
        older one says. None compares nothing.

    Attributes
    ----------
    path : Path
    belongs_to : dict
        What the file says it belongs to.

    Raises
    ------
    ValueError
        If the file is of another format, belongs to something else, or its first line is damaged.
    RuntimeError
        If another log, of this process or another one, has the file open.
    OSError
        If the file cannot be read or written.

    See Also
    --------
    read_log : Read without opening for writing, and without the lock.

    Notes
    -----
    An entry holds what JSON can: keys are text, and a tuple comes back as a list. NaN and infinities are written as
    Python's json does. Opening reads the first line and the last; iterating reads all, a line at a time, and never
    more than one entry is in memory. Several threads may append.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "labels.jsonl")
    >>> with AppendLog(path, format="labels 1", belongs_to={"pool": "3f2a"}) as log:
    ...     log.append({"row": 7, "label": "cat"})
    >>> with AppendLog(path, format="labels 1", belongs_to={"pool": "3f2a"}) as log:
    ...     print(list(log))
    [{'row': 7, 'label': 'cat'}]
    """

    def __init__(
        self, path: str | os.PathLike[str], *, format: str, belongs_to: Mapping[str, Any] | None = None
    ) -> None:
        self.path = Path(path)
        self._mutex = threading.Lock()
        self._lock = _acquire(self.path)
        try:
            self._make_if_missing(format, belongs_to)
            self.belongs_to = _read_header(self.path, format)
            _refuse_other_owner(self.path, self.belongs_to, belongs_to)
            self._file = self.path.open("ab", buffering=0)
            self._n_bytes = self._cut_unfinished_line()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the entries, oldest first; ValueError names a damaged line."""
        return _entries(self.path, self._n_bytes)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one entry and bring it to disk; whoever gets an exception has added nothing."""
        self.extend([entry])

    def extend(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Add some entries and bring them to disk at once.

        Raises
        ------
        TypeError
            If an entry holds something that JSON does not know; nothing is written then.
        OSError
            If the disk is full, say. The file holds what it held before.
        RuntimeError
            If the log is closed.
        """
        lines = b"".join(map(_encode, entries))
        with self._mutex:
            if self._file.closed:
                raise RuntimeError(f"The log {self.path} is closed; open it again to add to it.")
            try:
                self._write(lines)
            except BaseException as error:
                self._take_back()
                if isinstance(error, OSError):
                    raise OSError(error.errno, error.strerror, os.fspath(self.path)) from error
                raise
            self._n_bytes += len(lines)

    def close(self) -> None:
        """Let others write. Closing twice does no harm."""
        if hasattr(self, "_file"):
            self._file.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _make_if_missing(self, format: str, belongs_to: Mapping[str, Any] | None) -> None:
        if self.path.exists() and self.path.stat().st_size:
            return
        write_atomically(self.path, _encode({"format": format, "belongs_to": dict(belongs_to or {})}))

    def _cut_unfinished_line(self) -> int:
        """Cut off what a crash left of the last line; return how many bytes are whole lines."""
        n_bytes = _n_bytes_of_whole_lines(self.path)
        with self.path.open("rb") as file:
            file.seek(n_bytes)
            unfinished = file.read()
        if _is_whole(unfinished[:-1] + b"\n"):
            raise ValueError(f"The last byte of {self.path} is damaged: it must end the line. Restore it from a copy.")
        if unfinished:
            self._file.truncate(n_bytes)
        return n_bytes

    def _write(self, lines: bytes) -> None:
        remaining = memoryview(lines)
        while remaining:
            remaining = remaining[self._file.write(remaining) :]
        os.fsync(self._file.fileno())

    def _take_back(self) -> None:
        """Remove what was written of entries that are not acknowledged."""
        try:
            self._file.truncate(self._n_bytes)
        except OSError:
            self._file.close()  # the next opening cuts it off


def read_log(
    path: str | os.PathLike[str], *, format: str, belongs_to: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a log that somebody else may be writing to.

    Parameters
    ----------
    path : path
    format, belongs_to
        As in `AppendLog`.

    Returns
    -------
    belongs_to : dict
    entries : list of dict
        Those that were whole when it was read.

    Raises
    ------
    ValueError
        If the file is of another format, belongs to something else, or a line is damaged.
    OSError
        If the file cannot be read.
    """
    found = _read_header(Path(path), format)
    _refuse_other_owner(Path(path), found, belongs_to)
    return found, list(_entries(Path(path), _n_bytes_of_whole_lines(Path(path))))


def _acquire(path: Path) -> FileLock:
    if not path.parent.is_dir():  # FileLock would make it
        raise FileNotFoundError(errno.ENOENT, f"There is no folder {path.parent}", os.fspath(path))
    lock = FileLock(f"{os.path.realpath(path)}.lock", timeout=SECONDS_TO_WAIT_FOR_THE_LOCK, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise RuntimeError(f"{path} is open for writing elsewhere; wait for that, or give another path.") from error
    except PermissionError as error:
        reason = f"{error.strerror} for its lock {lock.lock_file}; its folder must be writable"
        raise PermissionError(error.errno, reason, os.fspath(path)) from error
    return lock


def _read_header(path: Path, format: str) -> dict[str, Any]:
    with path.open("rb") as file:
        line = _next_line(file)
    not_ours = ValueError(f"{path} exists and is no {format!r} log; give another path.")
    if not line.startswith(_HEAD) or not line.endswith(b"\n"):
        raise not_ours
    header = _decode(line, path, 1)
    if header.get("format") != format or not isinstance(header.get("belongs_to"), dict):
        found = header.get("format")
        raise not_ours if found is None else ValueError(f"{path} holds {found!r}, not {format!r}; give another path.")
    belongs_to: dict[str, Any] = header["belongs_to"]
    return belongs_to


def _refuse_other_owner(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any] | None) -> None:
    if expected is None or found == expected:
        return
    differing = [name for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name)]
    says = ", ".join(f"{name} {found.get(name)}" for name in differing)
    asked_for = ", ".join(f"{name} {expected.get(name)}" for name in differing)
    raise ValueError(
        f"{path} was written for other {' and '.join(differing)} (it says {says}; asked for is {asked_for}). "
        "Give another path, or remove the file to begin again."
    )


def _entries(path: Path, n_bytes: int) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        file.readline()
        number = 1
        while file.tell() < n_bytes:
            number += 1
            yield _decode(_next_line(file), path, number)


def _next_line(file: BinaryIO) -> bytes:
    """The next line as it was written: what copies files to Windows may have put its ends of lines in."""
    line = file.readline()
    return line[:-2] + b"\n" if line.endswith(b"\r\n") else line


def _n_bytes_of_whole_lines(path: Path) -> int:
    """Find the end of the last line that is whole, from the end of the file backwards."""
    with path.open("rb") as file:
        stop = file.seek(0, os.SEEK_END)
        while stop:
            start = max(0, stop - 2**16)
            file.seek(start)
            position = file.read(stop - start).rfind(b"\n")
            if position >= 0:
                return start + position + 1
            stop = start
    return 0


def _encode(entry: Mapping[str, Any]) -> bytes:
    if not isinstance(entry, Mapping):
        raise TypeError(f"An entry of a log must be a dict; found {type(entry).__name__}.")
    content = json.dumps(dict(entry)).encode()
    return _HEAD + content + _end_of_line(content)


def _end_of_line(content: bytes) -> bytes:
    return _BEFORE_CHECKSUM + hashlib.sha256(content).hexdigest()[:16].encode() + _TAIL


def _decode(line: bytes, path: Path, number: int) -> dict[str, Any]:
    if not _is_whole(line):
        raise ValueError(
            f"line {number} of {path} is damaged: its checksum does not fit. Restore the file from a copy"
            + ("." if number == 1 else ", or remove that line to go on without what it held.")
        )
    entry: dict[str, Any] = json.loads(line[len(_HEAD) : -_N_BYTES_AFTER_ENTRY])
    return entry


def _is_whole(line: bytes) -> bool:
    content = line[len(_HEAD) : -_N_BYTES_AFTER_ENTRY]
    return line.startswith(_HEAD) and line[-_N_BYTES_AFTER_ENTRY:] == _end_of_line(content)
