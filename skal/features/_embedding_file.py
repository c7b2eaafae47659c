"""Where embeddings go: memory, or a .npy file that survives being killed at any moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np

from skal.features._loading import Batch, Refusal
from skal.features._sources import MARKS

__all__ = ["EmbeddingFile", "EmbeddingsInMemory"]

# A checkpoint waits for the disk; this much work may have to be done again.
SECONDS_BETWEEN_CHECKPOINTS = 1.0

# The reading processes of a job that was killed share its lock for a moment, until they notice its end.
SECONDS_TO_WAIT_FOR_THE_LOCK = 10.0

_FORMAT = 1
_MANIFEST_KEYS = ("identity", "n_features", "n_read", "n_written", "marks", "refused")


class _Progress(NamedTuple):
    """How many images were read, what marked their files, and which of them gave no row and why."""

    n_read: int = 0
    marks: int = 0
    refused: Mapping[int, Refusal] = MappingProxyType({})


class EmbeddingsInMemory:
    """An array that is made once the length of an embedding is known."""

    def __init__(self, n_images: int, dtype: str) -> None:
        self.n_read = 0
        self.refused: dict[int, Refusal] = {}
        self._n_images = n_images
        self._dtype = dtype
        self._n_written = 0
        self._embeddings = np.empty((0, 0), dtype=dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def append(self, embeddings: np.ndarray | None, batch: Batch) -> None:
        if embeddings is not None:
            if self._n_written == 0:
                self._embeddings = np.empty((self._n_images, embeddings.shape[1]), dtype=self._dtype)
            stop = self._n_written + len(embeddings)
            self._embeddings[self._n_written : stop] = embeddings
            self._n_written = stop
        self.n_read += len(batch.rows) + len(batch.refused)
        self.refused.update(batch.refused)

    def refuse_changed_files(self, marks: int) -> None:
        pass

    def finish(self) -> np.ndarray:
        return self._embeddings[: self._n_written]


class EmbeddingFile:
    """A .npy file written block by block, and a manifest beside it that says what it holds and how far it is.

    Rows are on the disk before the manifest counts them, and the manifest is replaced as a whole, so that whenever
    the process ends, what the manifest counts is there. What it does not count is written again, with the same
    bytes. Until the last row is there the file is called ``<name>.part``.

    Parameters
    ----------
    path : Path
    n_images : int
    dtype : str
    identity : dict
        What is embedded and by what; a file of another identity is refused.

    Raises
    ------
    ValueError
        If the file there is of another identity, or nothing says what it is.
    RuntimeError
        If another process is writing to it.
    """

    def __init__(self, path: Path, n_images: int, dtype: str, identity: dict[str, Any]) -> None:
        if path.suffix != ".npy":
            raise ValueError(f"output={str(path)!r} must end in .npy.")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"output={str(path)!r}: there is no folder {path.parent}.")
        self._progress = _Progress()
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._manifest = path.with_name(path.name + ".json")
        self._n_images = n_images
        self._dtype = np.dtype(dtype)
        self._identity = identity
        self._n_features: int | None = None
        self._file: Any = None
        self._offset = 0
        self._last_checkpoint = time.monotonic()

    @property
    def n_read(self) -> int:
        return self._progress.n_read

    @property
    def refused(self) -> Mapping[int, Refusal]:
        return self._progress.refused

    @property
    def _n_written(self) -> int:
        return self._progress.n_read - len(self._progress.refused)

    def __enter__(self) -> Self:
        from filelock import FileLock, Timeout

        self._lock = FileLock(f"{self._path}.lock", timeout=SECONDS_TO_WAIT_FOR_THE_LOCK)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise RuntimeError(
                f"Another process is writing to {self._path}; wait for it, or choose another output."
            ) from error
        try:
            self._resume()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if self._file is not None:
                self._checkpoint()
                self._file.close()
        finally:
            self._lock.release()

    def append(self, embeddings: np.ndarray | None, batch: Batch) -> None:
        if embeddings is not None:
            if self._n_features is None:
                self._create(embeddings.shape[1])
            self._file.seek(self._offset + self._n_written * self._row_bytes)
            self._file.write(np.ascontiguousarray(embeddings, dtype=self._dtype).data)
        # At once, so that an interruption finds all of it done or none.
        self._progress = _Progress(
            self._progress.n_read + len(batch.rows) + len(batch.refused),
            (self._progress.marks + batch.marks) % MARKS,
            {**self._progress.refused, **batch.refused},
        )
        if self._file is not None and time.monotonic() - self._last_checkpoint >= SECONDS_BETWEEN_CHECKPOINTS:
            self._checkpoint()

    def refuse_changed_files(self, marks: int) -> None:
        """Raise where the files read so far are not marked now as they were when they were read."""
        if marks != self._progress.marks:
            raise ValueError(
                f"{self._path} holds embeddings of files whose sizes or times have changed since; choose another "
                f"output, or remove it and {self._manifest.name}."
            )

    def finish(self) -> np.ndarray:
        """Close the file at its last row, give it its name, and map it."""
        if self._file is not None:
            self._checkpoint()
            self._file.seek(0)
            self._file.write(self._header(self._n_written))
            self._file.truncate(self._offset + self._n_written * self._row_bytes)
            _to_disk(self._file)
            self._file.close()
            self._file = None
            os.replace(self._part, self._path)
            _folder_to_disk(self._path.parent)
        return np.load(self._path, mmap_mode="r")

    def _resume(self) -> None:
        if not self._manifest.exists() and self._path.exists():
            raise ValueError(
                f"{self._path} exists, but without {self._manifest.name} nothing says what is in it; remove it or "
                "choose another output."
            )
        if not self._manifest.exists() or not (self._part.exists() or self._path.exists()):
            return
        manifest = self._read_manifest()
        self._refuse_another_job(manifest)
        self._n_features = int(manifest["n_features"])
        refused = {int(row): Refusal(reason) for row, reason in manifest["refused"].items()}
        self._progress = _Progress(int(manifest["n_read"]), int(manifest["marks"]), refused)
        if self._n_written != manifest["n_written"]:
            raise ValueError(f"{self._manifest} contradicts itself; remove it and {self._path} to start again.")
        self._offset = len(self._header(self._n_images))
        self._check_size()
        if self._part.exists():
            self._file = self._part.open("r+b")

    def _check_size(self) -> None:
        """Raise where fewer rows are there than the manifest counts: copied while it grew, say."""
        present = self._part if self._part.exists() else self._path
        needed = self._offset + self._n_written * self._row_bytes
        found = present.stat().st_size
        if found < needed or (present == self._path and (found != needed or self.n_read < self._n_images)):
            raise ValueError(
                f"{present} has {found} bytes, but {self._manifest.name} counts {self._n_written} rows of "
                f"{self._row_bytes} bytes; remove both to start again."
            )

    def _read_manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads(self._manifest.read_text())
            if manifest["format"] == _FORMAT:
                return {key: manifest[key] for key in _MANIFEST_KEYS}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self._manifest} is damaged; remove it and {self._path} to start again.") from error
        raise ValueError(f"{self._manifest} is of format {manifest['format']}; this version reads {_FORMAT}.")

    def _refuse_another_job(self, manifest: dict[str, Any]) -> None:
        before, now = manifest["identity"], json.loads(json.dumps(self._identity))
        differing = [
            f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key)
        ]
        if differing:
            raise ValueError(
                f"{self._path} was begun with something else; choose another output, or remove it and "
                f"{self._manifest.name}. What differs:\n" + "\n".join(differing)
            )

    def _create(self, n_features: int) -> None:
        self._n_features = n_features
        if self._manifest.exists():  # of a job whose rows are gone: it says nothing about this one's
            self._manifest.unlink()
            _folder_to_disk(self._manifest.parent)
        self._file = self._part.open("w+b")
        header = self._header(self._n_images)
        self._offset = len(header)
        self._file.write(header)

    @property
    def _row_bytes(self) -> int:
        assert self._n_features is not None  # noqa: S101
        return self._n_features * self._dtype.itemsize

    def _header(self, n_rows: int) -> bytes:
        """The head of a .npy file, of one length for every number of rows up to `n_images`."""
        from io import BytesIO

        buffer = BytesIO()
        description = np.lib.format.dtype_to_descr(self._dtype)
        np.lib.format.write_array_header_1_0(
            buffer, {"descr": description, "fortran_order": False, "shape": (n_rows, self._n_features)}
        )
        return buffer.getvalue()

    def _checkpoint(self) -> None:
        _to_disk(self._file)
        manifest = {
            "format": _FORMAT,
            "identity": self._identity,
            "n_features": self._n_features,
            "n_read": self.n_read,
            "n_written": self._n_written,
            "marks": self._progress.marks,
            "n_images": self._n_images,
            "refused": {row: refusal.reason for row, refusal in self.refused.items()},
        }
        unfinished = self._manifest.with_name(self._manifest.name + ".new")
        with unfinished.open("w") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self._manifest)
        _folder_to_disk(self._manifest.parent)
        self._last_checkpoint = time.monotonic()


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    """Make a rename last through a loss of power, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
