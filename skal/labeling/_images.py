"""The image files of a project: where they are, and what they held when they were taken in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from skal._files._images import IMAGE_SUFFIXES, find_images
from skal._warnings import warn_user

__all__ = ["Changes", "ImageFile", "compare", "find_folder", "hash_file", "holds", "is_changed", "scan", "take_in"]

_BLOCK = 2**20
_N_SAMPLED = 5


class ImageFile(NamedTuple):
    """One image of a project.

    Parameters
    ----------
    path : str
        Relative to the folder of images, with forward slashes.
    sha256 : str
        Of the bytes of the file.
    size : int
        Bytes.
    mtime_ns : int
        When the file was last changed; only to save hashing it again.

    See Also
    --------
    LabelingProject.images : All images of a project.
    """

    path: str
    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Changes:
    """How a folder of images differs from what the project knows.

    Parameters
    ----------
    missing : tuple of int
        Rows whose file is not there.
    changed : tuple of int
        Rows whose file holds something else now.
    new : tuple of str
        Paths that the project does not know.
    renamed : tuple of (int, str)
        Rows whose file is not there, and the path of a new file that holds the same.

    See Also
    --------
    LabelingProject.changes : Finds them.
    """

    missing: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    new: tuple[str, ...] = ()
    renamed: tuple[tuple[int, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.new or self.renamed)


def scan(folder: Path) -> list[str]:
    """Return the paths of all images below a folder, relative to it, with forward slashes, in order.

    Raises
    ------
    FileNotFoundError, ValueError, OSError
        If there is no such folder, it holds no images, a link leads back, or a folder in it cannot be listed.
    """
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}; pass the folder that holds the images.")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; pass the folder that holds the images.")
    try:
        found = find_images(folder)
    except PermissionError as error:
        raise PermissionError(
            error.errno, "this folder cannot be listed; make it readable or move it elsewhere", error.filename
        ) from error
    if not found.paths:
        left_out = f" Left out: {found.left_out}." if found.left_out else ""
        raise ValueError(f"{folder} holds no images, that is no files named {', '.join(IMAGE_SUFFIXES)}.{left_out}")
    warning = found.warning(folder)
    if warning is not None:
        warn_user(warning)
    return [path.relative_to(folder).as_posix() for path in found.paths]


def take_in(folder: Path, paths: Iterable[str]) -> list[ImageFile]:
    """Read and hash files; one that cannot be read has the hash of nothing, and embedding will name it."""
    return [_image_file(folder, path) for path in paths]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file, read a block at a time."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare(folder: Path, images: Sequence[ImageFile], current: Iterable[int]) -> Changes:
    """Compare the folder with what is known of the rows `current`.

    A file whose size and time are as they were is not read again.
    """
    found = set(scan(folder))
    missing, changed = [], []
    for row in current:
        if images[row].path not in found:
            missing.append(row)
        elif is_changed(folder, images[row]):
            changed.append(row)
    known = {images[row].path for row in current}
    new = sorted(found - known)
    renamed = _renamed(folder, images, missing, new)
    moved_rows, moved_paths = {row for row, _ in renamed}, {path for _, path in renamed}
    return Changes(
        tuple(row for row in missing if row not in moved_rows),
        tuple(changed),
        tuple(path for path in new if path not in moved_paths),
        tuple(renamed),
    )


def find_folder(expected: Sequence[Path], images: Sequence[ImageFile], near: Sequence[Path]) -> Path | None:
    """Find the folder that holds these images: where it should be, or else beside the folders `near`.

    A folder is taken for it if some images, spread over the list, are there and hold what they held.
    """
    for folder in expected:
        if folder.is_dir():
            return folder
    for parent in dict.fromkeys(path.parent for path in near):
        if not parent.is_dir():
            continue
        for folder in sorted(parent.iterdir()):
            if folder.is_dir() and holds(folder, images):
                return folder
    return None


def _image_file(folder: Path, path: str) -> ImageFile:
    try:
        status = os.stat(folder / path)
        return ImageFile(path, hash_file(folder / path), status.st_size, status.st_mtime_ns)
    except OSError:  # a link to nothing, a file without permission
        return ImageFile(path, hashlib.sha256().hexdigest(), 0, 0)


def is_changed(folder: Path, image: ImageFile) -> bool:
    try:
        status = os.stat(folder / image.path)
        if (status.st_size, status.st_mtime_ns) == (image.size, image.mtime_ns):
            return False
        return hash_file(folder / image.path) != image.sha256
    except OSError:
        return image.size > 0


def _renamed(
    folder: Path, images: Sequence[ImageFile], missing: Sequence[int], new: Sequence[str]
) -> list[tuple[int, str]]:
    """Pair missing rows with new files that hold the same, by size first and then by hash."""
    if not missing or not new:
        return []
    wanted = {images[row].sha256: row for row in reversed(missing) if images[row].size}
    sizes = {images[row].size for row in missing}
    pairs = []
    for path in new:
        try:
            if os.stat(folder / path).st_size in sizes:
                row = wanted.pop(hash_file(folder / path), None)
                if row is not None:
                    pairs.append((row, path))
        except OSError:
            continue
    return sorted(pairs)


def holds(folder: Path, images: Sequence[ImageFile]) -> bool:
    step = max(1, len(images) // _N_SAMPLED)
    sampled = [image for image in images[::step] if image.size]
    return bool(sampled) and all((folder / image.path).is_file() and not is_changed(folder, image) for image in sampled)
