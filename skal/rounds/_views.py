"""What can be read from a ledger."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._html import table
from skal.rounds._labels import LabelsByRow, labels_array
from skal.rounds._records import Answer, Round, SetAside, Unread
from skal.rounds._state import State

__all__ = ["LedgerViews"]


class LedgerViews:
    """The reading half of `Ledger`, whose docstring says what each view holds."""

    path: Path | None = None

    def __init__(self) -> None:
        self._state = State()
        self._mutex = threading.RLock()

    @property
    def n_samples(self) -> int | None:
        return self._state.n_samples

    @property
    def fingerprint(self) -> str | None:
        return self._state.fingerprint

    @property
    def labeled_indices(self) -> npt.NDArray[np.int64]:
        with self._mutex:
            return np.array([answer.row for answer in self._state.labeled()], dtype=np.int64)

    @property
    def labels(self) -> npt.NDArray[Any]:
        with self._mutex:
            return labels_array([answer.label for answer in self._state.labeled()])

    @property
    def rounds(self) -> tuple[Round, ...]:
        with self._mutex:
            return tuple(self._state.rounds)

    @property
    def pending(self) -> npt.NDArray[np.int64]:
        with self._mutex:
            return np.array(self._state.pending(), dtype=np.int64)

    @property
    def skipped(self) -> npt.NDArray[np.int64]:
        with self._mutex:
            return np.array(self._state.skipped(), dtype=np.int64)

    @property
    def held_out(self) -> npt.NDArray[np.int64]:
        with self._mutex:
            return np.array(self._state.held_out(), dtype=np.int64)

    @property
    def history(self) -> tuple[Answer | SetAside, ...]:
        with self._mutex:
            return tuple(self._state.history)

    @property
    def unread(self) -> tuple[Unread, ...]:
        with self._mutex:
            return tuple(self._state.unread)

    def _repr_html_(self) -> str:
        with self._mutex:
            rounds = [(f"{each.number}: {each.sampler}", *self._state.tally(each.rows)) for each in self._state.rounds]
            unasked = self._state.tally(self._state.rows_never_asked())
        if unasked[0]:
            rounds.append(("without being asked", 0, *unasked[1:]))
        totals = [sum(counts) for counts in zip(*(each[1:] for each in rounds), strict=True)] or [0] * len(unasked)
        where = "" if self.path is None else f" {self.path}"
        pool = "" if self.n_samples is None else f", of a pool of {self.n_samples:,} rows"
        header = ["round", "asked", "labelled", "set aside", "pending"]
        return table(header, [*rounds, ("all", *totals)], f"Ledger{where}{pool}")

    def current(self, row: int) -> Answer | SetAside | None:
        """Return what stands for a row; None where nobody has answered.

        Parameters
        ----------
        row : int

        Returns
        -------
        Answer, SetAside or None
        """
        with self._mutex:
            return self._state.current(int(row))

    def standing(self, row: int) -> tuple[Answer | SetAside, ...]:
        """Return everything that was given for a row and not taken back, by several people perhaps, oldest first.

        Parameters
        ----------
        row : int

        Returns
        -------
        tuple of Answer and SetAside
        """
        with self._mutex:
            return self._state.standing(int(row))

    def labels_by_row(self) -> LabelsByRow:
        """Return what `y` does, without n objects: labels are kept by row, and looked up."""
        with self._mutex:
            known = {answer.row: answer.label for answer in self._state.labeled()}
            return LabelsByRow(known, self._bound_n_samples())

    def y(self) -> npt.NDArray[Any]:
        """Return a target for the whole pool: labels where they are known, None elsewhere.

        Returns
        -------
        ndarray of shape (n_samples,), object

        Raises
        ------
        ValueError
            If nobody has said yet how many rows the pool has.
        """
        return np.asarray(self.labels_by_row())

    def _bound_n_samples(self) -> int:
        if self.n_samples is None:
            raise ValueError("Say first which pool the ledger belongs to: Ledger(path, n_samples=...), or bind().")
        return self.n_samples
