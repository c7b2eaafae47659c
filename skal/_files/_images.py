"""Which files of a folder are images, in the same order on every file system."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["IMAGE_SUFFIXES", "list_folder", "list_images"]

IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif",
    ".tiff", ".webp",
)  # fmt: skip


def list_images(folder: Path, recursive: bool, above: frozenset[str] = frozenset()) -> list[Path]:
    """The images in a folder, sorted by the parts of their paths."""
    real = os.path.realpath(folder)
    if real in above:
        raise ValueError(f"{folder} is a link that leads back into {real}, which it lies in; remove the link.")
    folders, images = list_folder(folder)
    if not recursive or not folders:
        return images
    for inner in folders:
        images += list_images(inner, recursive, above | {real})
    return sorted(images)


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the images directly in a folder, each sorted by name."""
    folders, images = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                folders.append(entry.name)
            elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                images.append(entry.name)
    return [folder / name for name in sorted(folders)], [folder / name for name in sorted(images)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: whoever opens it says so
        return False
