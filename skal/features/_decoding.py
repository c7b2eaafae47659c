"""One image file → one upright RGB image."""

from __future__ import annotations

import errno
import os
import stat
import warnings
from contextlib import suppress
from typing import Any

import numpy as np

from skal._install import hint_for_extra

__all__ = ["UnreadableImage", "decode", "decode_with_status", "raise_what_passes"]

_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP", "AVIF")
_ERRNOS_OF_THE_PATH = (
    None, errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG,
    errno.ENXIO,
)  # fmt: skip


class UnreadableImage(ValueError):
    """One file that gives no image; the message names it, and `status` is what the system says of it, if anything."""

    status: os.stat_result | None = None


def decode(path: str | os.PathLike[str]) -> Any:
    """Read one file as an upright RGB PIL image, whatever its mode."""
    return decode_with_status(path)[0]


def decode_with_status(path: str | os.PathLike[str]) -> tuple[Any, os.stat_result]:
    """Read one file as `decode` does; return what the system says of the very file that was read, too."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImportError(f"Image files need Pillow: {hint_for_extra('vision')}") from error

    status = None
    try:
        # A pipe is opened at once, whether or not somebody writes into it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(descriptor)
            _refuse_no_file(status.st_mode)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return _decoded(file), status
        finally:
            os.close(descriptor)
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise_what_passes(error)
        unreadable = UnreadableImage(f"{os.fspath(path)}: {_reason(error)}")
        unreadable.status = status
        raise unreadable from error


def _refuse_no_file(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device"}
        raise UnreadableImage(f"is {kinds.get(stat.S_IFMT(mode), 'something else')}, not a file")


def _decoded(file: Any) -> Any:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=_formats()) as image:
            image.load()
            return _upright_rgb(image)


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
    if isinstance(error, OSError) and error.errno is not None:
        return str(error.strerror)
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
