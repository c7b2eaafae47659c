"""Who gave which labels, in which round, in what time and for what money."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

from skal.labeling._votes import latest_of_each
from skal.rounds import Answer, SetAside

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["Annotator", "Answers", "ClassCounts", "answers_of"]

_SHOWN_ROUNDS = 6


@dataclass(frozen=True)
class ClassCounts:
    """Labels of one class: in each column of `Answers.columns`, and all."""

    name: str
    counts: tuple[int, ...]
    total: int


@dataclass(frozen=True)
class Annotator:
    """What one person gave; seconds are None where none were measured."""

    name: str
    n_labels: int
    n_skipped: int
    n_timed: int
    seconds: float
    median_seconds: float | None


@dataclass(frozen=True)
class Answers:
    """All that was answered.

    Parameters
    ----------
    columns : tuple of str
        Where labels were asked.
    classes : tuple of ClassCounts
        The most frequent first.
    annotators : tuple of Annotator
    everybody : Annotator
        The same of all together.
    n_answers : int
        Labels and skips that stand, of each person.
    first, last : datetime or None
        When the first and the last came.
    n_disagreements : int
    skipped : tuple of (str, int)
        Reasons, and how often each was given.
    """

    columns: tuple[str, ...]
    classes: tuple[ClassCounts, ...]
    annotators: tuple[Annotator, ...]
    everybody: Annotator
    n_answers: int
    first: datetime | None
    last: datetime | None
    n_disagreements: int
    skipped: tuple[tuple[str, int], ...]

    @property
    def people(self) -> tuple[Annotator, ...]:
        """Each, and where there are several, all together."""
        return (*self.annotators, self.everybody) if len(self.annotators) > 1 else self.annotators


def answers_of(project: LabelingProject) -> Answers:
    """Count what stands in the ledger."""
    ledger = project.ledger
    rows = dict.fromkeys(each.row for each in ledger.history)
    standing = {row: latest_of_each(ledger.standing(row)) for row in rows}
    by_voter: dict[str, list[Answer | SetAside]] = {}
    for said in standing.values():
        for voter, given in said.items():
            by_voter.setdefault(voter, []).append(given)
    given_by_all = [given for said in standing.values() for given in said.values()]
    times = sorted(given.time for given in given_by_all)
    columns, classes = _class_table(project)
    return Answers(
        columns,
        classes,
        tuple(_annotator(name, by_voter[name]) for name in sorted(by_voter)),
        _annotator("all", given_by_all),
        len(given_by_all),
        times[0] if times else None,
        times[-1] if times else None,
        len(project.disagreements()),
        tuple(sorted(Counter(project.skipped.values()).items(), key=lambda each: (-each[1], each[0]))),
    )


def _annotator(name: str, given: list[Answer | SetAside]) -> Annotator:
    seconds = [each.seconds for each in given if each.seconds is not None]
    n_labels = sum(isinstance(each, Answer) for each in given)
    return Annotator(
        name, n_labels, len(given) - n_labels, len(seconds), sum(seconds), median(seconds) if seconds else None
    )


def _class_table(project: LabelingProject) -> tuple[tuple[str, ...], tuple[ClassCounts, ...]]:
    held_out = set(project.held_out)
    rounds = project.ledger.rounds
    n_merged = max(0, len(rounds) - _SHOWN_ROUNDS)
    column_of = {row: _column(each.number, n_merged) for each in rounds for row in each.rows}
    of_row = {
        row: "to test with" if row in held_out else column_of.get(row, "not picked") for row in sorted(project.labels)
    }
    columns = [_column(each.number, n_merged) for each in rounds] + ["not picked", "to test with"]
    used = tuple(column for column in dict.fromkeys(columns) if column in set(of_row.values()))
    counts = Counter((label, of_row[row]) for row, label in project.labels.items())
    totals = project.counts()
    names = sorted({*project.settings.classes, *totals}, key=lambda name: (-totals[name], name))
    return used, tuple(
        ClassCounts(name, tuple(counts[name, column] for column in used), totals[name]) for name in names
    )


def _column(number: int, n_merged: int) -> str:
    return f"rounds 1 to {n_merged}" if number <= n_merged and n_merged > 1 else f"round {number}"
