"""Who said what of which image, and what it adds up to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from skal.labeling._keys import check_keys, class_keys
from skal.labeling._project_files import SETTINGS, ProjectFiles
from skal.labeling._settings import change_settings
from skal.labeling._votes import TOGETHER, agreed_answer, is_together, latest_of_each
from skal.rounds import Answer, SetAside

__all__ = ["Labels", "QueuedImage"]


@dataclass(frozen=True)
class QueuedImage:
    """An image that waits for its label.

    Parameters
    ----------
    row : int
    path : Path
        Where it is.
    why : str
        Why it was picked.
    round : int
    is_held_out : bool
        Whether it is to test with.

    See Also
    --------
    LabelingProject.queue : The images that wait for a label.
    """

    row: int
    path: Path
    why: str
    round: int
    is_held_out: bool


class Labels(ProjectFiles):
    """The part of `LabelingProject` that takes labels."""

    @property
    def queue(self) -> list[QueuedImage]:
        """The images that were picked and are neither labelled nor skipped, in the order in which to show them."""
        pending, held_out = set(self.ledger.pending.tolist()), set(self.ledger.held_out.tolist())
        return [
            QueuedImage(row, self.path_of(row), why, each.number, row in held_out)
            for each in self.ledger.rounds
            for row, why in zip(each.rows, each.why or [""] * len(each.rows), strict=True)
            if row in pending and self._manifest.is_current(row)
        ]

    def next(self) -> QueuedImage | None:
        """Return the first image of the queue; None where all are done."""
        return next(iter(self.queue), None)

    def label(
        self,
        image: int | str | os.PathLike[str],
        label: str,
        *,
        annotator: str | None = None,
        seconds: float | None = None,
        source: str = "python",
        new_class: bool = False,
    ) -> None:
        """Record a label; it is on disk when this returns.

        Parameters
        ----------
        image : int or path
            A row, or a path of an image; picked or not.
        label : str
        annotator : str, default=None
            Who says so. None means the one in the settings.
        seconds : float, default=None
            How long it took.
        source : str, default="python"
            Where the label comes from.
        new_class : bool, default=False
            Take a label that is none of the classes of the settings.

        Raises
        ------
        TypeError
            If the label is no text.
        ValueError
            If there is no such image or class.
        """
        self._refuse_read_only()
        row, label = self.row_of(image), self.checked_label(label, new_class=new_class)
        self.ledger.answer(row, label, annotator=annotator or self.settings.annotator, source=source, seconds=seconds)

    def label_many(
        self,
        images: Iterable[int | str | os.PathLike[str]],
        label: str,
        *,
        annotator: str | None = None,
        seconds: float | None = None,
        source: str = "python",
        new_class: bool = False,
    ) -> None:
        """Record one label for images that were looked at together; all are on disk when this returns.

        Nobody looked at each of them as long as at one by itself, so they are kept apart: their `source` ends in
        ", many at once", and `labeled_together` lists them.

        Parameters
        ----------
        images : iterable of int or path
        label : str
        annotator, source, new_class
            As in `label`.
        seconds : float, default=None
            How long it took for all of them.

        Raises
        ------
        ValueError
            If one of them is to test with, comes twice or is none, or there is no such class. Nothing is recorded then.
        """
        self._refuse_read_only()
        rows, label = [self.row_of(image) for image in images], self.checked_label(label, new_class=new_class)
        if not rows:
            return
        held_out = set(self.held_out).intersection(rows)
        if held_out:
            raise ValueError(
                f"{self.images[min(held_out)].path} is to test with: it is labelled by itself, or the estimate would "
                "rest on labels that nobody looked at one by one."
            )
        each = None if seconds is None else seconds / len(rows)
        self.ledger.answer(
            rows,
            [label] * len(rows),
            annotator=annotator or self.settings.annotator,
            source=source + TOGETHER,
            seconds=each,
        )

    def add_class(self, name: str, *, key: str | None = None) -> str:
        """Take another class from now on: it is put into ``skal.toml``, behind those that there are.

        Parameters
        ----------
        name : str
        key : str, default=None
            Of the keyboard, on the labelling page. None means the next that is free.

        Returns
        -------
        str
            The class, without blanks around it.

        Raises
        ------
        ValueError
            If there is such a class, or the key means something else.
        """
        self._refuse_read_only()
        name, before = self.checked_label(name, new_class=True), self.classes
        if name in before:
            raise ValueError(f"There is a class {name!r} already.")
        taken = {used: other for other, used in class_keys(before, self.settings.keys).items()}
        if key is not None and key.lower() in taken:
            raise ValueError(f"The key {key!r} is that of {taken[key.lower()]!r}; take another.")
        values = {"classes": (*before, name)}
        keys = dict(self.settings.keys) if key is None else {**self.settings.keys, name: key}
        check_keys(values["classes"], keys)
        change_settings(self.folder / SETTINGS, **values, **({} if key is None else {"keys": keys}))
        self.settings = replace(self.settings, classes=values["classes"], keys=keys)
        return name

    def skip(
        self,
        image: int | str | os.PathLike[str],
        reason: str,
        *,
        annotator: str | None = None,
        seconds: float | None = None,
        source: str = "python",
    ) -> None:
        """Record that an image cannot be labelled, and why; it is not asked again, nor are its near duplicates.

        Parameters
        ----------
        image : int or path
        reason : str
        annotator, seconds, source
            As in `label`.
        """
        self._refuse_read_only()
        if not reason.strip():
            raise ValueError("Say why the image is skipped, as in 'blurred' or 'two animals'.")
        self.ledger.set_aside(
            self.row_of(image), reason, annotator=annotator or self.settings.annotator, source=source, seconds=seconds
        )

    def undo(self, image: int | str | os.PathLike[str] | None = None) -> Answer | SetAside:
        """Take back the latest label or skip, of an image or of all; the image waits again, or has the label before.

        Returns
        -------
        Answer or SetAside
            What was taken back.

        Raises
        ------
        ValueError
            If there is nothing to take back.
        """
        self._refuse_read_only()
        return self.ledger.undo(None if image is None else self.row_of(image))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the settings in their order, then others that were given, sorted."""
        listed = self.settings.classes
        given = {str(label) for label in self.labels.values()}
        return (*listed, *sorted(given - set(listed)))

    @property
    def labels(self) -> dict[int, str]:
        """The label of each labelled image, by row, held-out ones too.

        Of several people's labels the one with the most votes, of those that tie the one given last.
        """
        agreed = {int(row): agreed_answer(self.ledger.standing(row)) for row in self._answered_rows()}
        return {row: str(given.label) for row, given in agreed.items() if isinstance(given, Answer)}

    @property
    def labeled_together(self) -> tuple[int, ...]:
        """The images whose label was given to many at once, by row."""
        agreed = {int(row): agreed_answer(self.ledger.standing(row)) for row in self._answered_rows()}
        return tuple(row for row, given in agreed.items() if isinstance(given, Answer) and is_together(given))

    @property
    def held_out(self) -> tuple[int, ...]:
        """The images to test with, labelled or not."""
        return tuple(self.ledger.held_out.tolist())

    @property
    def skipped(self) -> dict[int, str]:
        """The images that nobody could label, and why, by row."""
        agreed = {int(row): agreed_answer(self.ledger.standing(row)) for row in self._answered_rows()}
        return {row: given.reason for row, given in agreed.items() if isinstance(given, SetAside)}

    def disagreements(self) -> dict[int, dict[str, str]]:
        """The labels of images that people do not agree on, by row and person."""
        found = {}
        for row in self._answered_rows():
            said = latest_of_each(self.ledger.standing(row))
            labels = {voter: str(given.label) for voter, given in said.items() if isinstance(given, Answer)}
            if len(set(labels.values())) > 1:
                found[row] = labels
        return found

    def counts(self) -> Counter[str]:
        """Labels of each class."""
        return Counter(self.labels.values())

    def checked_label(self, label: str, *, new_class: bool = False) -> str:
        """Return a label as it is kept; raise where it is none, or of no class of the settings."""
        if not isinstance(label, str):
            raise TypeError(
                f"A label of a project is a text, as tools and folders have it; found {label!r}. Pass str()."
            )
        label = label.strip()
        if not label:
            raise ValueError("The label is empty; skip() is for an image that cannot be labelled.")
        listed = self.settings.classes
        if listed and label not in listed and not new_class:
            raise ValueError(
                f"{label!r} is none of the classes {', '.join(listed)}. Add it to classes in "
                f"{self.folder / 'skal.toml'}, or pass new_class=True."
            )
        return label

    def _answered_rows(self) -> list[int]:
        return list(dict.fromkeys(each.row for each in self.ledger.history))
