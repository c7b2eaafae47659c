"""The small records that a ledger is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from skal.rounds._labels import Label

__all__ = ["Answer", "Round", "SetAside", "Unread"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A label that somebody gave to a row.

    Parameters
    ----------
    row : int
    label : int, str, bool or float
    annotator : str or None
        Who gave it.
    source : str or None
        Where it came from: "oracle", "y", a page, a file.
    seconds : float or None
        How long it took.
    time : datetime
        When it was recorded, in UTC.

    See Also
    --------
    Ledger.answer : Records one.
    """

    row: int
    label: Label
    annotator: str | None
    source: str | None
    seconds: float | None
    time: datetime

    def to_entry(self) -> dict[str, Any]:
        return {"kind": "answer", **_without_none(self)}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        return cls(entry["row"], entry["label"], *_circumstances(entry))


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that somebody could not label; it is not asked again.

    Parameters
    ----------
    row : int
    reason : str
    annotator, source, seconds, time
        As of an `Answer`.

    See Also
    --------
    Ledger.set_aside : Records one.
    """

    row: int
    reason: str
    annotator: str | None
    source: str | None
    seconds: float | None
    time: datetime

    def to_entry(self) -> dict[str, Any]:
        return {"kind": "set aside", **_without_none(self)}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        return cls(entry["row"], entry["reason"], *_circumstances(entry))


@dataclass(frozen=True, slots=True)
class Round:
    """Rows that were asked together.

    Parameters
    ----------
    number : int
        1 for the first round of the ledger.
    rows : tuple of int
        In the order of the sampler; those asked in place of rows that were set aside come last.
    size : int
        Labels it is to bring: the rows that were asked at first.
    sampler : str
        What picked the rows.
    time : datetime
        When it was asked, in UTC.
    held_out : tuple of int, default=()
        Those of the rows that are to test with and never to train on.
    why : tuple of str, default=()
        Why each row was picked, in the order of `rows`; empty where nobody said.

    See Also
    --------
    Ledger.ask : Records one.
    """

    number: int
    rows: tuple[int, ...]
    size: int
    sampler: str
    time: datetime
    held_out: tuple[int, ...] = ()
    why: tuple[str, ...] = ()

    def continued(self, more: Round) -> Round:
        """The round with rows that were asked in place of others."""
        why = (*self._reasons(), *more._reasons()) if self.why or more.why else ()
        return replace(self, rows=self.rows + more.rows, held_out=self.held_out + more.held_out, why=why)

    def _reasons(self) -> tuple[str, ...]:
        return self.why or ("",) * len(self.rows)

    def to_entry(self) -> dict[str, Any]:
        entry = {
            "kind": "asked",
            "round": self.number,
            "rows": list(self.rows),
            "sampler": self.sampler,
            "time": self.time.isoformat(),
        }
        more = {"held_out": list(self.held_out), "why": list(self.why)}
        return entry | {name: values for name, values in more.items() if values}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        rows, time = tuple(entry["rows"]), datetime.fromisoformat(entry["time"])
        held_out, why = tuple(entry.get("held_out", ())), tuple(entry.get("why", ()))
        return cls(entry["round"], rows, len(rows), entry["sampler"], time, held_out, why)


@dataclass(frozen=True, slots=True)
class Unread:
    """What an oracle gave that is no label of a row; kept, for it may have been paid for.

    Parameters
    ----------
    rows : tuple of int
        The rows it was given for.
    given : str
        How Python writes it out.
    time : datetime
        When it was recorded, in UTC.

    See Also
    --------
    Ledger.keep_unread : Records one.
    """

    rows: tuple[int, ...]
    given: str
    time: datetime

    def to_entry(self) -> dict[str, Any]:
        return {"kind": "unread", "rows": list(self.rows), "given": self.given, "time": self.time.isoformat()}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        return cls(tuple(entry["rows"]), entry["given"], datetime.fromisoformat(entry["time"]))


def _without_none(record: Answer | SetAside) -> dict[str, Any]:
    entry = {name: getattr(record, name) for name in record.__slots__}
    entry["time"] = record.time.isoformat()
    return {name: value for name, value in entry.items() if value is not None}


def _circumstances(entry: Mapping[str, Any]) -> tuple[str | None, str | None, float | None, datetime]:
    time = datetime.fromisoformat(entry["time"])
    return entry.get("annotator"), entry.get("source"), entry.get("seconds"), time
