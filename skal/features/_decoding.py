"""One image file → one upright RGB image."""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import suppress
from typing import Any

import numpy as np

__all__ = ["UnreadableImage", "decode", "raise_what_passes"]

_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP", "AVIF")
_ERRNOS_OF_THE_PATH = (None, errno.ENOENT, errno.EISDIR, errno.ENOTDIR)


class UnreadableImage(ValueError):
    """One file that gives no image; the message names it."""


def decode(path: str | os.PathLike[str]) -> Any:
    """Read one file as an upright RGB PIL image, whatever its mode."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("Image files need Pillow: pip install skal[vision]") from error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_formats()) as image:
                image.load()
                return _upright_rgb(image)
        except Exception as error:  # Pillow's decoders raise many kinds on damaged files
            raise_what_passes(error)
            raise UnreadableImage(f"{path}: {_reason(error)}") from error


def _formats() -> list[str]:
    """What Pillow may take a file for: never a format, such as EPS, that another program would have to read."""
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def raise_what_passes(error: Exception) -> None:
    """Raise again what is no fault of the image: too little memory, too many open files, a share that is away."""
    is_system_error = isinstance(error, OSError) and error.errno not in _ERRNOS_OF_THE_PATH
    if isinstance(error, MemoryError) or is_system_error:
        raise error


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of a kind that Pillow cannot read"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than PIL.Image.MAX_IMAGE_PIXELS = {Image.MAX_IMAGE_PIXELS} pixels; a decompression bomb?"
    if isinstance(error, OSError | UnreadableImage):
        return str(error)
    return f"cannot be decoded ({type(error).__name__}: {error})"


def _upright_rgb(image: Any) -> Any:
    from PIL import Image, ImageOps

    with suppress(Exception):  # a damaged tag: the pixels are as good as they are
        image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(_eight_bits(image))
    if image.mode == "P":
        # A palette's own transparency, when straight to RGB, is only half understood.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _eight_bits(image: Any) -> np.ndarray:
    """The upper 8 of 16 bits; `convert` would clip."""
    if image.mode == "F":
        raise UnreadableImage("holds floating-point pixels, whose range is not known")
    values = np.asarray(image)
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > 65535:
        raise UnreadableImage(f"holds pixels from {lowest} to {highest}, beyond 16 bits")
    return (values // 256).astype(np.uint8)
