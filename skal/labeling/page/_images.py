"""An image file → what a browser shows."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from skal.features._decoding import decode

__all__ = ["SIZES", "shown_image"]

# Pixels of the longest side; None leaves it as it is.
SIZES: dict[str, int | None] = {"usual": 1600, "small": 240, "full": None}
_LARGEST_PNG = 512  # pixels a side; larger images are sent as JPEG


def shown_image(path: Path, size: str) -> tuple[bytes, str]:
    """Return an image, upright and without what else the file says, as bytes of PNG or JPEG, and its media type.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    image, longest = decode(path), SIZES[size]
    if longest is not None:
        image.thumbnail((longest, longest))
    kind = "PNG" if max(image.size) <= _LARGEST_PNG else "JPEG"
    content = BytesIO()
    image.save(content, kind, **({} if kind == "PNG" else {"quality": 92}))
    return content.getvalue(), f"image/{kind.lower()}"
