"""Whether an image file can be read."""

from __future__ import annotations

from pathlib import Path

from skal.features._decoding import UnreadableImage, decode

__all__ = ["why_unreadable"]


def why_unreadable(path: Path) -> str | None:
    """Decode a file; return what is wrong with it, or None."""
    try:
        decode(path)
    except UnreadableImage as error:
        return str(error)
    return None
