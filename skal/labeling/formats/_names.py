"""Paths as tools want them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, quote, urlsplit

from skal.labeling.formats._records import Export, ExportItem

__all__ = ["local_files_url", "path_in_url", "place_image", "refuse_collisions", "without_suffix"]

_LOCAL_FILES = "/data/local-files/"


def without_suffix(path: str) -> str:
    """The path without what follows the last dot of the name."""
    return PurePosixPath(path).with_suffix("").as_posix()


def refuse_collisions(items: Iterable[ExportItem], tool: str) -> None:
    """Raise where two images differ by their suffixes only, which the tool leaves out."""
    seen: dict[str, str] = {}
    for item in items:
        other = seen.setdefault(without_suffix(item.path), item.path)
        if other != item.path:
            raise ValueError(
                f"{tool} knows images by their paths without suffix, and {other!r} and {item.path!r} are the same "
                "then. Rename one of them, or take another format."
            )


def local_files_url(path: str, images_folder: Path) -> str:
    """The URL by which Label Studio serves a local file, its root being the folder above the images."""
    below_root = f"{Path(os.path.abspath(images_folder)).name}/{path}"
    return f"{_LOCAL_FILES}?d={quote(below_root, errors='surrogateescape')}"


def path_in_url(image: str) -> str:
    """The path of an image in what Label Studio gives back: a URL of a local file, or a path."""
    parts = urlsplit(image)
    if parts.path.endswith(_LOCAL_FILES):
        return parse_qs(parts.query, errors="surrogateescape").get("d", [""])[0]
    return image


def place_image(export: Export, item: ExportItem, target: Path) -> None:
    """Put an image, or a link to it, where a tool wants it; one that is there already is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = Path(os.path.abspath(export.images_folder / item.path))
    target.unlink(missing_ok=True)
    if export.link:
        target.symlink_to(source)
    else:
        shutil.copyfile(source, target)
