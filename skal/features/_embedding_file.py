"""Embeddings that go to a .npy file, which survives being killed at any moment."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skal.features._kept_rows import plan_rows
from skal.features._loading import Batch, Refusal
from skal.features._lock import WriterLock
from skal.features._manifest import Manifest, read_paths, sync_folder, write_paths
from skal.features._npy import npy_header, rows_counted
from skal.features._sources import MARKS, FileImages, Images

__all__ = ["EmbeddingFile"]

# A checkpoint waits for the disk; this much work may have to be done again.
SECONDS_BETWEEN_CHECKPOINTS = 1.0


class EmbeddingFile:
    """A .npy file written block by block, and a manifest beside it that says what it holds and how far it is.

    Rows are on the disk before the manifest counts them, and the manifest is replaced as a whole, so that whenever
    the process ends, what the manifest counts is there. What it does not count is written again, with the same
    bytes. Until the last row is there a new file is called ``<name>.part``. Of image files ``<name>.paths.json`` says
    which row is which, and images that come later are appended to the file where it is: its head counts them when all
    are there, so that it can be read meanwhile.

    Parameters
    ----------
    path : Path
    images : Images
        As they were passed.
    dtype : str
    identity : dict
        What is embedded and by what; a file of another identity is refused.

    Attributes
    ----------
    images : Images
        In the order of the file, from entering on: those that were read already come first.
    positions : ndarray of shape (len(images),), int64
        Where each stands among those that were passed; -1 for one that was refused once and counts no more.
    n_read : int
        How many of `images` were read.
    refused : mapping of int to Refusal
        Which of them gave no row.
    n_features : int or None
        Length of an embedding, once it is known.

    Raises
    ------
    ValueError
        If the file there is of another identity or damaged, nothing says what it is, or its images changed or are
        missing now.
    RuntimeError
        If another process is writing to it.
    """

    def __init__(self, path: Path, images: Images, dtype: str, identity: dict[str, Any]) -> None:
        if path.suffix != ".npy":
            raise ValueError(f"output={str(path)!r} must end in .npy.")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"output={str(path)!r}: there is no folder {path.parent}.")
        self.images = images
        self.positions = np.arange(len(images), dtype=np.int64)
        self._path = path
        self._part, self._manifest_path = path.with_name(path.name + ".part"), path.with_name(path.name + ".json")
        self._paths_path = path.with_name(path.name + ".paths.json")
        self._dtype = np.dtype(dtype)
        self._lock = WriterLock(path)
        self._state = Manifest(identity, len(images))
        self._file: Any = None
        self._path_hash = 0, sha256()
        self._last_checkpoint = time.monotonic()

    @property
    def n_read(self) -> int:
        return self._state.n_read

    @property
    def refused(self) -> Mapping[int, Refusal]:
        return self._state.refused

    @property
    def n_features(self) -> int | None:
        return self._state.n_features

    def __enter__(self) -> Self:
        self._lock.acquire()
        try:
            self._resume()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if self._file is not None:
                self._checkpoint()
        finally:
            self._close()

    def append(self, embeddings: npt.NDArray[Any] | None, batch: Batch) -> None:
        if embeddings is not None:
            if self._file is None:
                self._create(embeddings.shape[1])
            self._file.seek(self._end_of_rows)
            self._file.write(np.ascontiguousarray(embeddings, dtype=self._dtype).data)
        # At once, so that an interruption finds all of it done or none.
        self._state = replace(
            self._state,
            n_read=self._state.n_read + len(batch.rows) + len(batch.refused),
            marks=(self._state.marks + batch.marks) % MARKS,
            refused={**self._state.refused, **batch.refused},
        )
        if self._file is not None and time.monotonic() - self._last_checkpoint >= SECONDS_BETWEEN_CHECKPOINTS:
            self._checkpoint()

    def finish(self) -> npt.NDArray[Any]:
        """Close the file at its last row, let its head count all of them, give it its name, and map it."""
        if self._file is not None:
            self._checkpoint()
            self._file.truncate(self._end_of_rows)
            _to_disk(self._file)
            self._file.seek(0)
            self._file.write(self._header(self._state.n_written))
            _to_disk(self._file)
            finished, self._file = self._file, None
            finished.close()
            if self._part.exists():
                os.replace(self._part, self._path)
                sync_folder(self._path.parent)
        mapped: npt.NDArray[Any] = np.load(self._path, mmap_mode="r")
        return mapped

    def _resume(self) -> None:
        if not self._manifest_path.exists() and self._path.exists():
            raise ValueError(
                f"{self._path} exists, but without {self._manifest_path.name} nothing says what is in it; remove it "
                "or choose another output."
            )
        if not self._manifest_path.exists() or not (self._part.exists() or self._path.exists()):
            self._plan([], {})
            return
        kept = Manifest.load(self._manifest_path)
        kept.refuse_another_job(self._state.identity, self._path)
        planned = self._planned_paths(kept)
        self._plan(planned[: kept.n_read], kept.refused)
        self._state = replace(kept, n_images=len(self.images))
        self._refuse_changed_files()
        present = self._part if self._part.exists() else self._path
        n_counted = self._check_file(present, kept)
        is_changed = kept.n_images != len(self.images) or tuple(planned) != (self.images.paths or ())
        if present == self._part or n_counted < kept.n_written or kept.n_read < len(self.images) or is_changed:
            self._file = present.open("r+b")
        if is_changed:
            self._announce()

    def _plan(self, read: list[str], refused: Mapping[int, Refusal]) -> None:
        """Put the images into the order of the file."""
        if isinstance(self.images, FileImages):
            plan = plan_rows(self.images.paths, read, refused, self.images.mark_of)
            self.images, self.positions = self.images.reordered(plan.paths), plan.positions

    def _planned_paths(self, kept: Manifest) -> list[str]:
        """Read the order of the file when it was last written to."""
        if self.images.paths is None:
            return []
        paths = read_paths(self._paths_path)
        if _updated(sha256(), paths[: kept.n_read]).hexdigest() != kept.paths_sha256:
            raise ValueError(
                f"{self._paths_path} is not the list of paths that {self._manifest_path.name} counts; restore it from "
                "a copy."
            )
        return paths

    def _refuse_changed_files(self) -> None:
        """Raise where the files of the rows are not marked now as they were when they were read."""
        rows = (row for row in range(self.n_read) if row not in self.refused)
        if self.images.marks(rows) != self._state.marks:
            raise ValueError(
                f"{self._path} holds embeddings of files whose sizes or times have changed since; choose another "
                f"output, or remove it and {self._manifest_path.name}."
            )

    def _check_file(self, present: Path, kept: Manifest) -> int:
        """Return how many rows its head counts; raise where it is not the file that the manifest describes."""
        with present.open("rb") as file:
            counted = rows_counted(file.read(len(self._header(0))), self._dtype, kept.n_features)
        if counted is None:
            raise ValueError(
                f"{present} does not begin as {self._manifest_path.name} says, with rows of {kept.n_features} "
                f"{self._dtype}; one of them is damaged: remove both to start again."
            )
        needed, found = self._end_of_rows, present.stat().st_size
        is_finished = present == self._path and kept.n_read == kept.n_images and counted == kept.n_written
        if found < needed or (is_finished and found != needed):
            raise ValueError(
                f"{present} has {found} bytes, but {self._manifest_path.name} counts {kept.n_written} rows of "
                f"{self._row_bytes} bytes; remove both to start again."
            )
        return counted

    def _create(self, n_features: int) -> None:
        self._state = replace(self._state, n_features=n_features)
        if self._manifest_path.exists():  # of a job whose rows are gone: it says nothing about this one's
            self._manifest_path.unlink()
            sync_folder(self._path.parent)
        if self.images.paths is not None:
            write_paths(self._paths_path, self.images.paths)
        self._file = self._part.open("w+b")
        self._file.write(self._header(len(self.images)))

    def _announce(self) -> None:
        """Say how many images there are now before any of their rows is written."""
        if self.images.paths is not None:
            write_paths(self._paths_path, self.images.paths)
        self._checkpoint()

    @property
    def _row_bytes(self) -> int:
        return (self._state.n_features or 0) * self._dtype.itemsize

    @property
    def _end_of_rows(self) -> int:
        return len(self._header(0)) + self._state.n_written * self._row_bytes

    def _header(self, n_rows: int) -> bytes:
        return npy_header(self._dtype, n_rows, self._state.n_features)

    def _close(self) -> None:
        try:
            if self._file is not None:
                self._file.close()
        finally:
            self._lock.release()

    def _checkpoint(self) -> None:
        _to_disk(self._file)
        replace(self._state, paths_sha256=self._paths_sha256()).save(self._manifest_path)
        self._last_checkpoint = time.monotonic()

    def _paths_sha256(self) -> str | None:
        if self.images.paths is None:
            return None
        n_hashed, digest = self._path_hash
        self._path_hash = self.n_read, _updated(digest.copy(), self.images.paths[n_hashed : self.n_read])
        return self._path_hash[1].hexdigest()


def _updated(digest: Any, paths: list[str] | tuple[str, ...]) -> Any:
    for path in paths:
        digest.update(f"{path}\0".encode(errors="surrogateescape"))
    return digest


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
