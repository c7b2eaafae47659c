"""Images of a pool, as arrays or in files, of which only those that are drawn are read."""

from __future__ import annotations

import os

import numpy as np

from skal.features._decoding import decode

__all__ = ["images_of", "pixels_of"]

_LONGEST_SIDE = 256  # of a thumbnail


def images_of(source):
    """Return the images of a pool as a sequence of arrays or paths, without reading any."""
    if isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"images={os.fspath(source)!r} is one path; pass a list of paths. Of a folder that was embedded it is "
            "embed(...).paths: the order of a folder changes as photos are added, the rows do not."
        )
    if hasattr(source, "images"):
        return source.images
    paths = getattr(source, "paths", None)
    return source if paths is None else paths


def pixels_of(image):
    """Return an image as imshow takes it: one from a file small, one of a single channel as (h, w)."""
    if isinstance(image, (str, os.PathLike)):
        thumbnail = decode(image)
        thumbnail.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
        return np.asarray(thumbnail)
    return image[..., 0] if np.ndim(image) == 3 and image.shape[-1] == 1 else image
