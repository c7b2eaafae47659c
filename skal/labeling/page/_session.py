"""What the page shows and changes: one project, labelled by one person."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any

from skal.features._decoding import decode

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["OutdatedError", "Session"]

_LONGEST_SIDE = 1600
_LARGEST_PNG = 512  # pixels a side; larger images are sent as JPEG
_SOURCE = "page"


class OutdatedError(RuntimeError):
    """Something was labelled meanwhile that this page has not shown."""


class Session:
    """The images of a project's rounds, in order, and what was said of each.

    Parameters
    ----------
    project : LabelingProject
        Open to write.
    annotator : str or None
        Who labels.
    """

    def __init__(self, project: LabelingProject, annotator: str | None = None) -> None:
        self._project = project
        self._annotator = annotator
        self._added: list[str] = []
        self._mutex = Lock()
        self._n_changes = 0
        self._start = secrets.token_hex(4)

    @property
    def version(self) -> str:
        """Changes with every label: a page that shows another version is behind."""
        return f"{self._start}-{self._n_changes}"

    def state(self) -> dict[str, Any]:
        """All that the page needs, as JSON can."""
        project = self._project
        labels, skipped, held_out = project.labels, project.skipped, set(project.held_out)
        rows = [row for row in self._rows() if project.is_current(row)]
        items = [{"row": row, "label": labels.get(row), "skipped": skipped.get(row)} for row in rows]
        classes = list(dict.fromkeys([*project.classes, *self._added]))
        seconds = [each.seconds for each in project.ledger.history if each.source == _SOURCE and each.seconds]
        return {
            "version": self.version,
            "classes": classes,
            "counts": {name: sum(labels.get(row) == name for row in rows) for name in classes},
            "items": items,
            "n_held_out": len(held_out & set(rows)),
            "seconds": sorted(seconds)[len(seconds) // 2] if seconds else None,
        }

    def image(self, row: int) -> tuple[bytes, str]:
        """Return an image that was picked, upright, as bytes of PNG or JPEG, and its media type.

        Raises
        ------
        KeyError
            If the row was not picked: nothing else is shown.
        ValueError
            If the file cannot be read.
        """
        if row not in self._rows():
            raise KeyError(row)
        image = decode(self._project.path_of(row))
        image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
        kind = "PNG" if max(image.size) <= _LARGEST_PNG else "JPEG"
        content = BytesIO()
        image.save(content, kind, **({} if kind == "PNG" else {"quality": 92}))
        return content.getvalue(), f"image/{kind.lower()}"

    def label(self, version: str, row: int, label: str, seconds: float | None) -> None:
        """Record a label; it is on disk when this returns."""
        self._check_row(row)
        self._change(
            version,
            lambda: self._project.label(
                row, label, annotator=self._annotator, seconds=seconds, source=_SOURCE, new_class=label in self._added
            ),
        )

    def skip(self, version: str, row: int, reason: str, seconds: float | None) -> None:
        """Record that an image cannot be labelled."""
        self._check_row(row)
        self._change(
            version,
            lambda: self._project.skip(row, reason, annotator=self._annotator, seconds=seconds, source=_SOURCE),
        )

    def undo(self, version: str) -> int:
        """Take back the latest answer; return its row."""
        taken_back: list[int] = []
        self._change(version, lambda: taken_back.append(self._project.undo().row))
        return taken_back[0]

    def add_class(self, name: str) -> None:
        """Take another class from now on."""
        name = self._project.checked_label(name, new_class=True)
        with self._mutex:
            if name not in self._added:
                self._added.append(name)

    def _change(self, version: str, change: Callable[[], Any]) -> None:
        with self._mutex:
            if version != self.version:
                raise OutdatedError("Something was labelled in another tab meanwhile; the page is up to date now.")
            change()
            self._n_changes += 1

    def _check_row(self, row: int) -> None:
        if row not in self._rows():
            raise ValueError(f"Image {row} was not picked.")

    def _rows(self) -> dict[int, None]:
        return dict.fromkeys(row for each in self._project.ledger.rounds for row in each.rows)
