"""What the page shows and changes: one project, labelled by one person."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

from skal.labeling._images import is_changed
from skal.labeling._votes import TOGETHER, is_together
from skal.labeling.page._grid import Grid
from skal.labeling.page._images import shown_image
from skal.labeling.page._items import PAGE, Items
from skal.labeling.page._suggester import Suggester

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["OutdatedError", "Session"]

N_IN_GRID = 24
_RETRAINED_AFTER = 5  # changes


class OutdatedError(RuntimeError):
    """Something was labelled meanwhile that this page has not shown."""


class Session:
    """The images of a project's rounds, in order, and what was said of each.

    Parameters
    ----------
    project : LabelingProject
        Open to write, and changed by nobody else meanwhile.
    annotator : str, default=None
        Who labels.
    suggestions : bool, default=True
        Whether to suggest classes from the second round on.
    """

    def __init__(self, project: LabelingProject, annotator: str | None = None, *, suggestions: bool = True) -> None:
        self._project = project
        self._annotator = annotator
        self._mutex = RLock()
        self._n_changes = 0
        self._n_since_training = 0
        self._start = secrets.token_hex(4)
        self._items = Items(project)
        self._in_grids: set[int] = set()
        self._last_grid: list[int] = []
        self._passed_over: set[int] = set()
        self._suggester = Suggester(project.folder)
        self._is_suggesting = suggestions
        self._train_if_due()

    @property
    def version(self) -> str:
        """Changes with every label: a page that shows another version is behind."""
        return f"{self._start}-{self._n_changes}"

    def close(self) -> None:
        """End what runs in the background."""
        self._suggester.close()

    def state(self) -> dict[str, Any]:
        """All that the page needs, as JSON can."""
        with self._mutex:
            return {**self._totals(), "items": self._items.all()}

    def image(self, row: int, size: str = "usual") -> tuple[bytes, str]:
        """Return an image that was picked, or that a grid shows, as bytes of PNG or JPEG, and its media type.

        Raises
        ------
        KeyError
            If the row is neither: nothing else is shown.
        ValueError
            If the file cannot be read, or holds something else than when it was taken in.
        """
        if row not in self._items and row not in self._in_grids:
            raise KeyError(row)
        project = self._project
        content = shown_image(project.path_of(row), size)
        if is_changed(project.images_folder, project.images[row]):
            raise ValueError(f"{project.images[row].path} changed since it was taken in; end this, type: skal update")
        return content

    def grid(self, *, near: int | None = None, label: str | None = None, go_on: bool = False) -> dict[str, Any]:
        """Return images to label many at once: like one of them, or all that a class is predicted for.

        With `go_on`, images of the grids before that were left without label are passed over.
        """
        with self._mutex:
            if near is not None:
                rows = self._grid.near(near, N_IN_GRID)
                n_all = len(rows)
            elif label is not None and self._suggester.latest is not None:
                self._passed_over = self._passed_over | set(self._last_grid) if go_on else set()
                rows, n_all = self._grid.of_class(label, self._suggester.latest, N_IN_GRID, self._passed_over)
            else:
                raise ValueError("Nothing is predicted yet.")
            self._in_grids.update(rows)
            self._last_grid = rows
            return {"rows": rows, "n_all": n_all}

    def suggestions(self, known: int = -1) -> dict[str, Any]:
        """What is suggested for the images that wait, and how many images each class is predicted for.

        Only how things stand where `known` is the number of the latest suggestions.
        """
        with self._mutex:
            latest, shown = self._suggester.latest, self._suggester_state()
            if shown["number"] == known:
                return shown
            if latest is None or not self._is_suggesting:
                return {**shown, "rows": {}, "predicted": {}}
            rows = {row: latest.for_row(row) for row in self._items.rows_to_suggest_for()}
        predicted = {name: len(latest.predicted(name)) for name in latest.classes}
        return {**shown, "rows": rows, "predicted": predicted}

    def suggest(self, is_on: bool) -> None:
        """Turn suggestions on or off."""
        with self._mutex:
            self._is_suggesting = is_on
            self._n_since_training = _RETRAINED_AFTER
            self._train_if_due()

    def label(self, version: str, row: int, label: str, seconds: float | None) -> dict[str, Any]:
        """Record a label; it is on disk when this returns."""
        self._check_rows([row])
        how = self._how(seconds, label)
        self._items.took(seconds)
        return self._change(version, [row], lambda: self._project.label(row, label, **how))

    def label_many(self, version: str, rows: list[int], label: str, seconds: float | None) -> dict[str, Any]:
        """Record one label for images that a grid showed."""
        if not rows:
            raise ValueError("No image is marked.")
        self._check_rows(rows)
        how = self._how(seconds, label)
        return self._change(version, rows, lambda: self._project.label_many(rows, label, **how))

    def skip(self, version: str, row: int, reason: str, seconds: float | None) -> dict[str, Any]:
        """Record that an image cannot be labelled."""
        self._check_rows([row])
        how: Any = {"annotator": self._annotator, "seconds": seconds, "source": PAGE}
        return self._change(version, [row], lambda: self._project.skip(row, reason, **how))

    def undo(self, version: str) -> dict[str, Any]:
        """Take back what was said here last, of many images too; what came from elsewhere stays."""
        with self._mutex:
            rows = self._said_last()
            if version == self.version and not rows:
                raise ValueError("There is nothing to undo.")
            return self._change(version, rows, lambda: self._project.ledger.undo(rows))

    def add_class(self, name: str, key: str | None = None) -> dict[str, Any]:
        """Take another class from now on; it is on disk when this returns."""
        with self._mutex:
            self._project.add_class(name, key=key)
            return {**self._totals(), "changed": []}

    @cached_property
    def _grid(self) -> Grid:
        return Grid(self._project)

    def _totals(self) -> dict[str, Any]:
        return {"version": self.version, **self._items.totals(), "suggestions": self._suggester_state()}

    def _suggester_state(self) -> dict[str, Any]:
        suggester, latest = self._suggester, self._suggester.latest
        return {
            "may": self._items.is_first_round_done,
            "is_on": self._is_suggesting,
            "number": suggester.number,
            "n_labels": None if latest is None else latest.n_labels,
            "is_training": suggester.is_training,
            "problem": suggester.problem,
        }

    def _change(self, version: str, rows: list[int], change: Callable[[], Any]) -> dict[str, Any]:
        with self._mutex:
            if version != self.version:
                raise OutdatedError("Something was labelled in another tab meanwhile; the page is up to date now.")
            try:
                change()
            finally:
                changed = self._items.update(rows)
            self._n_changes += 1
            self._n_since_training += len(rows)
            self._train_if_due()
            return {**self._totals(), "changed": changed}

    def _train_if_due(self) -> None:
        suggester = self._suggester
        is_due = self._n_since_training >= _RETRAINED_AFTER or not (suggester.number or suggester.is_training)
        if is_due and self._is_suggesting and self._items.is_first_round_done:
            self._n_since_training = 0
            suggester.retrain()

    def _said_last(self) -> list[int]:
        """The images of the last answer from the page that stands, of several where it was given to many at once."""
        ledger, person = self._project.ledger, self._annotator or self._project.settings.annotator
        last = None
        rows = []
        for given in reversed(ledger.history):
            if last is not None and (given.time, given.source) != (last.time, last.source):
                break
            is_said_here = given.source in (PAGE, PAGE + TOGETHER) and given.annotator == person
            if is_said_here and ledger.current(given.row) is given:
                last = given
                rows.append(given.row)
            if last is not None and not is_together(last):
                break
        return rows[::-1]

    def _how(self, seconds: float | None, label: str) -> dict[str, Any]:
        is_given = label in self._items.classes  # by somebody who passed new_class=True, perhaps
        return {"annotator": self._annotator, "seconds": seconds, "source": PAGE, "new_class": is_given}

    def _check_rows(self, rows: Iterable[int]) -> None:
        for row in rows:
            if row not in self._items and row not in self._in_grids:
                raise ValueError(f"Image {row} was not picked.")
