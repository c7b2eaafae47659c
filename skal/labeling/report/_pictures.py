"""Small pictures of a project's images, as text that a page can hold."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

from skal.features._decoding import UnreadableImage, decode

if TYPE_CHECKING:
    from skal.labeling._images import Changes
    from skal.labeling._project import LabelingProject

__all__ = ["Picture", "Pictures"]

_SIDE, _QUALITY = 96, 75


@dataclass(frozen=True)
class Picture:
    """An image to show.

    Parameters
    ----------
    path : str
        Relative to the folder of images.
    source : str
        A data URI; empty where there is nothing to show.
    lack : str
        Why there is nothing.
    """

    path: str
    source: str
    lack: str = ""


class Pictures:
    """Makes the picture of a row, once.

    Parameters
    ----------
    project : LabelingProject
    changes : Changes or None
        How the folder differs from what the project knows; None where the folder is not found.
    """

    def __init__(self, project: LabelingProject, changes: Changes | None) -> None:
        self._project = project
        self._is_found = changes is not None
        self._gone = set() if changes is None else {*changes.missing, *changes.changed}
        self.of = cache(self._made)

    def _made(self, row: int) -> Picture:
        path = self._project.images[row].path
        if not self._is_found:
            return Picture(path, "", "folder not found")
        if row in self._gone or not self._project.is_current(row):
            return Picture(path, "", "file gone or changed")
        try:
            image = decode(self._project.path_of(row))
        except UnreadableImage:
            return Picture(path, "", "cannot be read")
        image.thumbnail((_SIDE, _SIDE))
        content = BytesIO()
        image.save(content, "WEBP", quality=_QUALITY, method=4)
        return Picture(path, f"data:image/webp;base64,{b64encode(content.getvalue()).decode()}")
