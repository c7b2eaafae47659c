"""What can be told of a picture by its pixels alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skal._files._atomic import write_atomically
from skal.features._decoding import UnreadableImage, decode

__all__ = ["PictureFacts", "facts_of_picture", "kept_facts"]

_FORMAT = "skal pictures 1"
_SIDE = 256  # pixels that brightness is measured on
_BETWEEN_SAVES = 2000
_WEIGHTS = (0.241, 0.691, 0.068)  # of red, green and blue, squared: perceived brightness, as cleanvision has it


class PictureFacts(NamedTuple):
    """Facts of one picture.

    Parameters
    ----------
    width, height : int
        Upright; 0 where it cannot be read.
    low, high : float
        The 5th and the 99th percentile of its brightness, from 0 to 1.
    pixels : str
        SHA-256 of size and pixels: equal for the same picture in another format that loses nothing.
    error : str
        Why it cannot be read; empty where it can.
    """

    width: int
    height: int
    low: float
    high: float
    pixels: str
    error: str


def facts_of_picture(path: Path) -> PictureFacts:
    """Decode a file and measure it."""
    try:
        image = decode(path)
    except UnreadableImage as error:
        return PictureFacts(0, 0, 0.0, 0.0, "", str(error))
    digest = hashlib.sha256(f"{image.size} ".encode() + image.tobytes()).hexdigest()
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    squares = (np.asarray(small, dtype=np.float64) / 255) ** 2
    low, high = np.percentile(np.sqrt(squares @ np.array(_WEIGHTS)), [5, 99])
    return PictureFacts(image.width, image.height, round(float(low), 4), round(float(high), 4), digest, "")


def kept_facts(
    path: Path, files: Iterable[tuple[str, Path]], *, keep: bool, on_image: Callable[[int, int], None] | None = None
) -> dict[str, PictureFacts]:
    """Measure files, each content once; what was measured earlier is read from `path`.

    Parameters
    ----------
    path : Path
        Where the facts are kept, by the hash of each file.
    files : iterable of (hash, file)
    keep : bool
        Whether to write there.
    on_image : callable, default=None
        Told how many are done, and of how many.

    Returns
    -------
    dict of hash to PictureFacts
    """
    known = _read(path)
    files = list(files)
    missing = {sha256: file for sha256, file in files if sha256 not in known}
    for number, (sha256, file) in enumerate(missing.items(), start=1):
        known[sha256] = facts_of_picture(file)
        if keep and (number % _BETWEEN_SAVES == 0 or number == len(missing)):
            _write(path, known)
        if on_image is not None:
            on_image(number, len(missing))
    return {sha256: known[sha256] for sha256, _ in files}


def _read(path: Path) -> dict[str, PictureFacts]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        if content["format"] == _FORMAT:
            return {sha256: PictureFacts(*facts) for sha256, facts in content["pictures"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none yet, or damaged: measured again
    return {}


def _write(path: Path, known: dict[str, PictureFacts]) -> None:
    # A file that could not be read may be readable next time: permissions change without its content.
    good = {sha256: list(facts) for sha256, facts in known.items() if not facts.error}
    write_atomically(path, json.dumps({"format": _FORMAT, "pictures": good}))
