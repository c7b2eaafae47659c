"""Text files that list images, one a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

__all__ = ["check_distinct", "check_relative", "read_lines"]


def read_lines(path: Path) -> list[str]:
    """Read the lines that are not empty, without the white space around them."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # editors on Windows begin files with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text file: {error}.") from error
    lines = [line.strip() for line in lines]
    lines = [line for line in lines if line]
    if not lines:
        raise ValueError(f"{path} is empty; expected one image or class a line.")
    return lines


def check_relative(name: str, path: Path) -> str:
    """Refuse a listed file that would lie outside the dataset's folder."""
    listed = PurePosixPath(name)
    if listed.is_absolute() or ".." in listed.parts:
        raise ValueError(f"{path} lists {name!r}, which lies outside the dataset's folder.")
    return name


def check_distinct(names: Iterable[str], path: Path) -> None:
    """Refuse a list that names something twice: an image would be two rows of the pool."""
    seen: set[PurePosixPath] = set()
    for name in names:
        listed = PurePosixPath(name)
        if listed in seen:
            raise ValueError(f"{path} lists {name!r} twice; list each once.")
        seen.add(listed)
