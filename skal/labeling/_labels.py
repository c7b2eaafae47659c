"""Who said what of which image, and what it adds up to."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from skal.labeling._project_files import ProjectFiles
from skal.labeling._votes import agreed_answer, latest_of_each
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
