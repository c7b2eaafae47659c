"""Which files of a folder are images, in the same order on every file system."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

__all__ = ["IMAGE_SUFFIXES", "FoundImages", "find_images", "list_folder"]

IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif",
    ".tiff", ".webp",
)  # fmt: skip

# Images too, but of a kind that Pillow alone does not read, or does not read as a photo.
UNREAD_SUFFIXES = (
    ".3fr", ".arw", ".bpg", ".cr2", ".cr3", ".dcm", ".dds", ".dng", ".emf", ".eps", ".erf", ".exr", ".fits", ".hdr",
    ".heic", ".heics", ".heif", ".heifs", ".hif", ".ico", ".iiq", ".j2k", ".jpx", ".jxl", ".jxr", ".kdc", ".mrw",
    ".nef", ".nrw", ".orf", ".pcx", ".pef", ".psb", ".psd", ".raf", ".raw", ".rw2", ".rwl", ".sgi", ".sr2", ".srf",
    ".srw", ".svg", ".svgz", ".tga", ".wdp", ".wmf", ".x3f", ".xcf",
)  # fmt: skip


@dataclass
class FoundImages:
    """The images of a folder, and how many of its files are left out and why.

    Parameters
    ----------
    paths : list of Path
        Sorted by their parts.
    unread : Counter of str
        Images of a kind that is not read, by suffix.
    n_hidden : int
        Files and folders whose names begin with a dot.
    n_other : int
        Files that are no images by their names.
    """

    paths: list[Path] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    n_hidden: int = 0
    n_other: int = 0

    def add(self, other: Self) -> None:
        self.paths += other.paths
        self.unread += other.unread
        self.n_hidden += other.n_hidden
        self.n_other += other.n_other

    @property
    def left_out(self) -> str:
        """What is left out, in words; empty where that is nothing."""
        parts = []
        if self.unread:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self.unread.items()))
            parts.append(f"{kinds} (images of a kind that is not read: convert them to JPEG or PNG)")
        if self.n_other:
            parts.append(f"{self.n_other} that are no images by their names")
        if self.n_hidden:
            parts.append(f"{self.n_hidden} hidden")
        return ", ".join(parts)

    def warning(self, folder: Path) -> str | None:
        """What a user must hear: that images were left out."""
        n_files = self.unread.total() + self.n_other + self.n_hidden
        return (
            f"{folder}: {len(self.paths)} images, {n_files} files left out: {self.left_out}." if self.unread else None
        )


def find_images(folder: Path, above: frozenset[str] = frozenset()) -> FoundImages:
    """Find every image in a folder and in the folders inside it.

    A file counts by its name. Links are followed; ValueError where one leads back into a folder that it lies in.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise ValueError(f"{folder} is a link that leads back into {real}, which it lies in; remove the link.")
    folders, found = list_folder(folder)
    for inner in folders:
        found.add(find_images(inner, above | {real}))
    if folders:
        found.paths.sort()
    return found


def list_folder(folder: Path) -> tuple[list[Path], FoundImages]:
    """The folders and the images directly in a folder, each sorted by name."""
    folders, images, found = [], [], FoundImages()
    with os.scandir(folder) as entries:
        for entry in entries:
            suffix = os.path.splitext(entry.name)[1].lower()
            if entry.name.startswith("."):
                found.n_hidden += 1
            elif _is_folder(entry):
                folders.append(entry.name)
            elif suffix in IMAGE_SUFFIXES:
                images.append(entry.name)
            elif suffix in UNREAD_SUFFIXES:
                found.unread[suffix] += 1
            else:
                found.n_other += 1
    found.paths = [folder / name for name in sorted(images)]
    return [folder / name for name in sorted(folders)], found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: whoever opens it says so
        return False
