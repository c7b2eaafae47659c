"""What the entries of a ledger add up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from skal.rounds._records import Answer, Round, SetAside, Unread

__all__ = ["State"]


class State:
    """The sum of all entries so far; a file that is opened again ends in the same one.

    Attributes
    ----------
    n_samples, fingerprint : int or None, str or None
        The pool that the rows are numbered in.
    rounds : list of Round
    history : list of Answer and SetAside
        All that were ever given, oldest first; those replaced or taken back too.
    unread : list of Unread
    """

    def __init__(self) -> None:
        self.n_samples: int | None = None
        self.fingerprint: str | None = None
        self.rounds: list[Round] = []
        self.history: list[Answer | SetAside] = []
        self.unread: list[Unread] = []
        self._asked: set[int] = set()
        # Of each row what stands, the latest last, the rows in the order in which they came up first.
        self._standing: dict[int, list[Answer | SetAside]] = {}
        self._rows_in_order: list[int] = []  # of everything that stands, the latest last

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Add one entry; ValueError or KeyError if it is none that a ledger writes."""
        match entry["kind"]:
            case "pool":
                self.n_samples = entry["n_samples"]
                self.fingerprint = entry.get("fingerprint")
            case "asked":
                self._take_round(Round.from_entry(entry))
            case "answer":
                self._take(Answer.from_entry(entry))
            case "set aside":
                self._take(SetAside.from_entry(entry))
            case "undo":
                self._undo(entry["row"])
            case "unread":
                self.unread.append(Unread.from_entry(entry))
            case kind:
                raise ValueError(f"{kind!r} is no entry of a ledger.")

    def current(self, row: int) -> Answer | SetAside | None:
        """Return what stands for a row: the latest that was not taken back."""
        standing = self._standing.get(row)
        return standing[-1] if standing else None

    def standing(self, row: int) -> tuple[Answer | SetAside, ...]:
        """Return everything given for a row that was not taken back, oldest first."""
        return tuple(self._standing.get(row, ()))

    def held_out(self) -> list[int]:
        """Return the rows asked that are to test with."""
        return [row for each in self.rounds for row in each.held_out]

    def labeled(self) -> Iterator[Answer]:
        """Yield the standing labels, in the order in which their rows were first asked or given."""
        for standing in self._standing.values():
            if standing and isinstance(standing[-1], Answer):
                yield standing[-1]

    def pending(self) -> list[int]:
        """Return the rows asked that are neither labelled nor set aside."""
        return [row for each in self.rounds for row in each.rows if not self._standing[row]]

    def skipped(self) -> list[int]:
        """Return the rows set aside."""
        return [row for row in self._standing if isinstance(self.current(row), SetAside)]

    def tally(self, rows: Iterable[int]) -> tuple[int, int, int, int]:
        """Count rows: all of them, those labelled, those set aside, those that are neither."""
        standing = [self.current(row) for row in rows]
        n_labeled = sum(isinstance(each, Answer) for each in standing)
        n_aside = sum(isinstance(each, SetAside) for each in standing)
        return len(standing), n_labeled, n_aside, len(standing) - n_labeled - n_aside

    def rows_never_asked(self) -> list[int]:
        """Return the rows with an answer that nobody asked for."""
        return [row for row, standing in self._standing.items() if standing and row not in self._asked]

    def is_asked(self, row: int) -> bool:
        return row in self._asked

    def latest_row(self) -> int | None:
        """Return the row of the latest label or setting aside that stands."""
        return self._rows_in_order[-1] if self._rows_in_order else None

    def _take_round(self, asked: Round) -> None:
        if self.rounds and self.rounds[-1].number == asked.number:
            self.rounds[-1] = self.rounds[-1].continued(asked)
        else:
            self.rounds.append(asked)
        self._asked.update(asked.rows)
        for row in asked.rows:
            self._standing.setdefault(row, [])

    def _take(self, given: Answer | SetAside) -> None:
        self.history.append(given)
        self._standing.setdefault(given.row, []).append(given)
        self._rows_in_order.append(given.row)

    def _undo(self, row: int) -> None:
        if not self._standing.get(row):
            return  # its line was damaged, and somebody removed it to go on
        self._standing[row].pop()
        from_the_end = self._rows_in_order[::-1].index(row)
        del self._rows_in_order[len(self._rows_in_order) - 1 - from_the_end]
