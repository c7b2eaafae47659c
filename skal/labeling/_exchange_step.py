"""The steps out of the project and back: labels handed to tools and people, and taken from them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from skal.labeling._errors import NothingToDoError
from skal.labeling._exchange import ImageFinder, ImportReport, named
from skal.labeling._training_step import TrainingStep
from skal.labeling._votes import agreed_answer, latest_of_each, voter_of
from skal.labeling.formats import Export, ExportItem, ImportedLabel, Opinion, format_named
from skal.rounds import Answer, SetAside

__all__ = ["ExchangeStep"]

Which = Literal["picked", "pending", "labeled", "all"]


class ExchangeStep(TrainingStep):
    """The part of `LabelingProject` that exports and imports."""

    def export(
        self,
        target: str | os.PathLike[str],
        format: str,
        *,
        which: Which = "picked",
        suggestions: bool = False,
        link: bool = False,
    ) -> str:
        """Write images and labels for a tool.

        Parameters
        ----------
        target : path
            A file, or a folder where the format is one.
        format : str
            The name of one of `skal.labeling.formats.FORMATS`.
        which : {"picked", "pending", "labeled", "all"}, default="picked"
            "picked": all that were picked or labelled; "pending": those that wait for a label.
        suggestions : bool, default=False
            Put what the model says beside images without label, where the format has a place for it. Never for images
            to test with: their labels must not follow the model.
        link : bool, default=False
            Links to the images in place of copies, where a format needs files.

        Returns
        -------
        str
            What to do next with it.

        Raises
        ------
        NothingToDoError
            If no image is to be exported.
        ValueError
            If there is no such format, or it cannot hold these images.
        """
        writer = format_named(format, to_write=True)
        rows = self._rows_to_export(which)
        if not rows:
            raise NothingToDoError(
                f"There is no image to export: which={which!r} has none. Select some first (skal select)."
            )
        target = Path(target)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"There is no folder {target.parent}; make it first.")
        suggested = self._suggestions(rows) if suggestions else {}
        held_out = set(self.held_out)
        items = tuple(self._item(row, suggested.get(row), row in held_out) for row in rows)
        if writer.write is None:  # format_named gives none of those
            raise ValueError(f"{format} cannot be written.")
        return writer.write(Export(items, self.classes, self.images_folder, link), target)

    def import_labels(
        self,
        source: str | os.PathLike[str],
        format: str,
        *,
        annotator: str | None = None,
        replace: bool = False,
        new_class: bool = False,
    ) -> ImportReport:
        """Take the labels of a file that a tool or a person gave back.

        Images are found by number, then by path. A label that is there already adds nothing, so that a file may be
        imported twice. Labels of several people are kept side by side; see `labels` for how they are merged.

        Parameters
        ----------
        source : path
        format : str
            The name of one of `skal.labeling.formats.FORMATS`.
        annotator : str, default=None
            Who labelled, where the file does not say.
        replace : bool, default=False
            Take labels that contradict what the same person said before. By default nothing is taken then.
        new_class : bool, default=False
            Take labels that are none of the classes of the settings.

        Returns
        -------
        ImportReport

        Raises
        ------
        ValueError
            If the file is not of that format, is of another project, contradicts itself or an earlier label of the same
            person, holds a label of no class, or none of its images are known. Nothing is recorded then.
        """
        self._refuse_read_only()
        reader, path = format_named(format), Path(source)
        if reader.read is None:  # format_named gives none of those
            raise ValueError(f"{format} cannot be read.")
        statements = reader.read(path)
        if not statements:
            raise NothingToDoError(f"{path} holds no image.")
        report, finder = ImportReport(), ImageFinder(self._manifest)
        taken: list[tuple[int, ImportedLabel]] = []
        for statement in statements:
            row = finder.find(statement)
            if row is None:
                report.unknown.append(statement.path or statement.where)
            elif statement.state == "unlabelled":
                report.n_unlabeled += 1
            elif statement.state == "empty":
                report.n_empty += 1
            else:
                taken.append((row, statement))
        if len(report.unknown) == len(statements):
            raise ValueError(
                f"The project has none of the {len(statements)} images of {path} ({named(report.unknown)}): is it of "
                "another project?"
            )
        self._record(taken, f"{format} {path.name}", annotator, replace, new_class, report)
        differing = self.disagreements()
        report.disagreements = {self.images[row].path: differing[row] for row, _ in taken if row in differing}
        return report

    def _record(
        self,
        taken: Sequence[tuple[int, ImportedLabel]],
        source: str,
        annotator: str | None,
        replace: bool,
        new_class: bool,
        report: ImportReport,
    ) -> None:
        """Check everything first, then record what is new."""
        plan: dict[tuple[int, str], tuple[ImportedLabel, str | None]] = {}
        conflicts = []
        for row, statement in taken:
            if statement.label is not None:
                self.checked_label(statement.label, new_class=new_class)
            who = statement.annotator or annotator
            key = row, who or f"({source})"
            other = plan.get(key)
            if other is not None and other[0].label != statement.label:
                conflicts.append(
                    f"{self.images[row].path} is {other[0].label!r} in {other[0].where} and {statement.label!r} "
                    f"in {statement.where}"
                )
            plan[key] = statement, who
        new = []
        for (row, voter), (statement, who) in plan.items():
            before = self._said_before(row, voter)
            if _says_the_same(before, statement) or (who is None and _says_the_same(self._agreed(row), statement)):
                report.n_known += 1
                continue
            if before is not None:
                conflicts.append(f"{self.images[row].path} was {_said(before)} and is {statement.label!r} now")
                report.n_replaced += 1
            new.append((row, statement, who))
        if conflicts and not replace:
            raise ValueError(
                f"{len(conflicts)} labels contradict each other or earlier ones of the same person: {named(conflicts)}."
                " Nothing was recorded. Correct the file, or pass replace=True (--replace) to take what it says last."
            )
        for row, statement, who in new:
            if statement.label is None:
                self.ledger.set_aside(
                    row, statement.reason or "skipped", annotator=who, source=source, seconds=statement.seconds
                )
                report.n_skipped += 1
            else:
                self.ledger.answer(row, statement.label, annotator=who, source=source, seconds=statement.seconds)
                report.n_labels += 1

    def _said_before(self, row: int, voter: str) -> Answer | SetAside | None:
        return latest_of_each(self.ledger.standing(row)).get(voter)

    def _agreed(self, row: int) -> Answer | SetAside | None:
        return agreed_answer(self.ledger.standing(row))

    def _rows_to_export(self, which: Which) -> list[int]:
        if which not in ("picked", "pending", "labeled", "all"):
            raise ValueError(f"which={which!r} must be 'picked', 'pending', 'labeled' or 'all'.")
        labels, pending = self.labels, [image.row for image in self.queue]
        asked: Iterable[int] = (row for each in self.ledger.rounds for row in each.rows)
        if which == "all":
            return list(self._manifest.current_rows)
        if which == "pending":
            return pending
        rows = labels if which == "labeled" else dict.fromkeys([*asked, *labels])
        return [row for row in rows if self._manifest.is_current(row) and self.path_of(row).exists()]

    def _item(self, row: int, suggestion: tuple[str, float] | None, is_held_out: bool) -> ExportItem:
        standing = self.ledger.standing(row)
        agreed = agreed_answer(standing)
        opinions = tuple(
            Opinion(str(each.label), each.annotator, each.seconds, each.time.isoformat())
            for each in latest_of_each(standing).values()
            if isinstance(each, Answer)
        )
        return ExportItem(
            row,
            self.images[row].path,
            str(agreed.label) if isinstance(agreed, Answer) else None,
            opinions,
            agreed.reason if isinstance(agreed, SetAside) else None,
            suggestion,
            is_held_out,
        )

    def _suggestions(self, rows: Iterable[int]) -> dict[int, tuple[str, float]]:
        model, pool, labels, held_out = (
            self._load_model(),
            self.pool,
            self.labels,
            set(self.held_out),
        )
        wanted = [row for row in rows if row not in labels and row not in held_out and row in pool.position_of]
        if not wanted:
            return {}
        probabilities = model.probabilities(pool.X[pool.positions(wanted)])
        best = probabilities.argmax(axis=1).tolist()
        return {
            row: (model.classes[winner], float(shares[winner]))
            for row, winner, shares in zip(wanted, best, probabilities, strict=True)
        }


def _says_the_same(before: Answer | SetAside | None, statement: ImportedLabel) -> bool:
    if isinstance(before, Answer):
        return before.label == statement.label
    return before is not None and statement.label is None


def _said(given: Answer | SetAside) -> str:
    return f"{given.label!r}" if isinstance(given, Answer) else f"skipped ({voter_of(given)})"
