"""Who labelled what in which round, kept for good."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from skal._files._log import AppendLog, read_log
from skal._validation import check_row_numbers
from skal.rounds._checks import refuse_another_pool
from skal.rounds._labels import as_label, is_missing, written_out
from skal.rounds._records import Answer, Round, SetAside, Unread
from skal.rounds._views import LedgerViews

__all__ = ["Ledger"]

_FORMAT = "skal ledger 1"


class Ledger(LedgerViews):
    """The record of which rows were asked, in which round, and what was answered.

    It only grows. A later answer replaces an earlier one of the same row, and `undo` brings the earlier one
    back; both stay in the record. With a file, everything is on disk before the method that adds it returns,
    so that a process may be killed at any moment, and the next one goes on from there.

    Parameters
    ----------
    path : path, default=None
        A file of JSON lines, made where there is none; one writer at a time. None keeps all in memory.
    n_samples : int, default=None
        Rows of the pool. None: as the file says, or as `bind` says later.
    fingerprint : str, default=None
        What tells the pool from another one with as many rows, such as a hash of it.

    Attributes
    ----------
    path : Path or None
    n_samples : int or None
    fingerprint : str or None
    labeled_indices : ndarray, int64
        The labelled rows, in the order in which they were first asked or given.
    labels : ndarray
        Their labels, in the same order. All int: int64; all float, or int and float: float64; all bool: bool;
        all text: ``<U…``; anything else: object, each label as it was given.
    rounds : tuple of Round
        What was asked: rows, sampler, time.
    pending : ndarray, int64
        Rows that were asked and are neither labelled nor set aside.
    skipped : ndarray, int64
        Rows set aside: not labelled, and not asked again.
    held_out : ndarray, int64
        Rows that were asked to test with, and never to train on. `labeled_indices` holds those that are labelled, too.
    history : tuple of Answer and SetAside
        Everything that was ever given, oldest first.
    unread : tuple of Unread
        What an oracle gave that is no label of a row.

    Raises
    ------
    ValueError
        If the file belongs to another pool, is no ledger, or a line of it is damaged.
    RuntimeError
        If somebody else has the file open to write.
    OSError
        If the file cannot be read or written.

    See Also
    --------
    IterativeSampler : Fills a ledger round by round.

    Notes
    -----
    Opening reads the whole file. Memory is that of one small object for each answer. Several threads may share a
    ledger. If the disk is full, what could not be written stays to be seen in memory, and nothing more is taken.

    Examples
    --------
    >>> from skal.rounds import Ledger
    >>> ledger = Ledger(n_samples=1000)
    >>> ledger.ask([17, 4, 256], sampler="by hand").number
    1
    >>> ledger.answer(17, "cat", annotator="Ada", seconds=2.5)
    >>> ledger.set_aside(4, "blurred")
    >>> ledger.labeled_indices, ledger.labels, ledger.pending, ledger.skipped
    (array([17]), array(['cat'], dtype='<U3'), array([256]), array([4]))
    >>> ledger.answer(17, "dog", annotator="Grace")
    >>> ledger.labels.tolist(), ledger.undo().label, ledger.labels.tolist()
    (['dog'], 'dog', ['cat'])
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        n_samples: int | None = None,
        fingerprint: str | None = None,
    ) -> None:
        super().__init__()
        if fingerprint is not None and n_samples is None:
            raise ValueError("fingerprint= needs n_samples=, the number of rows of that pool.")
        self.path = None if path is None else Path(path)
        self._why_closed = ""
        self._log = None if self.path is None else AppendLog(self.path, format=_FORMAT)
        try:
            self._replay(self._log or ())
            if n_samples is not None:
                self.bind(n_samples, fingerprint)
        except BaseException:
            self.close()
            raise

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that somebody else may be writing to; this ledger takes nothing more.

        Parameters
        ----------
        path : path

        Returns
        -------
        Ledger
        """
        ledger = cls()
        ledger.path = Path(path)
        ledger._why_closed = f"{path} was opened to be read only; Ledger({os.fspath(path)!r}) opens it to write."
        ledger._replay(read_log(path, format=_FORMAT)[1])
        return ledger

    def bind(self, n_samples: int, fingerprint: str | None = None) -> None:
        """Say which pool the rows are numbered in, or make sure that it is the same one.

        Parameters
        ----------
        n_samples : int
        fingerprint : str, default=None
            None compares the number of rows only.

        Raises
        ------
        ValueError
            If the ledger belongs to another pool.
        """
        with self._mutex:
            where = "The ledger" if self.path is None else f"The ledger {self.path}"
            refuse_another_pool(where, self.n_samples, self.fingerprint, n_samples, fingerprint)
            if self.n_samples is not None and fingerprint in (None, self.fingerprint):
                return
            pool = {"kind": "pool", "n_samples": int(n_samples)}
            self._add([pool if fingerprint is None else {**pool, "fingerprint": fingerprint}])

    def grow(self, n_samples: int, fingerprint: str | None = None) -> None:
        """Say that rows were added to the pool behind those that were there.

        Parameters
        ----------
        n_samples : int
            Rows of the pool now; as many as before changes nothing.
        fingerprint : str, default=None
            Of the pool as it is now. None keeps the one there is.

        Raises
        ------
        ValueError
            If there are fewer than before.
        """
        with self._mutex:
            before = self._bound_n_samples()
            if n_samples < before:
                raise ValueError(
                    f"The ledger is of a pool of {before} rows, and a pool does not shrink to {n_samples}: rows keep "
                    "their numbers."
                )
            if n_samples > before:
                pool = {"kind": "pool", "n_samples": int(n_samples), "fingerprint": fingerprint or self.fingerprint}
                self._add([{name: value for name, value in pool.items() if value is not None}])

    def ask(
        self,
        rows: npt.ArrayLike,
        *,
        sampler: str = "",
        goes_on: bool = False,
        held_out: npt.ArrayLike = (),
        why: Sequence[str] = (),
    ) -> Round:
        """Record that rows are asked for now.

        Parameters
        ----------
        rows : array-like of int
            Distinct rows that were neither asked nor labelled nor set aside.
        sampler : str, default=""
            What picked them.
        goes_on : bool, default=False
            True for rows of the last round, in place of some that were set aside.
        held_out : array-like of int, default=()
            Those of the rows that are to test with.
        why : sequence of str, default=()
            Why each row was picked; one for each, or none at all.

        Returns
        -------
        Round
            The round, with all its rows.

        Raises
        ------
        ValueError
            If there is no row, one of them cannot be asked, a held-out row is none of them, or the reasons are not as
            many.
        """
        with self._mutex:
            asked, to_test = self._check_rows(rows), self._check_rows(held_out)
            not_asked = sorted(set(to_test) - set(asked))
            if not_asked:
                raise ValueError(f"Row {not_asked[0]} is to be held out, and it is none of the rows asked.")
            if len(why) not in (0, len(asked)):
                raise ValueError(f"Found {len(why)} reasons in why= for {len(asked)} rows; give one for each, or none.")
            known = [row for row in asked if self._state.is_asked(row) or self._state.current(row) is not None]
            if known or not asked:
                what = f"Row {known[0]} was asked, labelled or set aside already" if known else "There are no rows"
                raise ValueError(f"{what}; a round asks for new rows.")
            number = max(1, len(self._state.rounds) + (not goes_on))
            now, reasons = datetime.now(UTC), tuple(map(str, why))
            self._add([Round(number, tuple(asked), len(asked), sampler, now, tuple(to_test), reasons).to_entry()])
            return self._state.rounds[-1]

    def answer(
        self,
        rows: npt.ArrayLike,
        labels: Any,
        *,
        annotator: str | None = None,
        source: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Record the label of a row, or of several at once; it replaces what stood for the row.

        Parameters
        ----------
        rows : int or array-like of int
            Rows of the pool, asked or not.
        labels : label or array-like of labels
            One for each row: an int, str, bool or finite float, of Python or numpy.
        annotator : str, default=None
            Who labelled.
        source : str, default=None
            Where the label comes from.
        seconds : float, default=None
            How long it took, for each row.

        Raises
        ------
        TypeError
            If a label is nothing of that.
        ValueError
            If a row is not of the pool or comes twice, a label is missing, or their numbers differ.
        """
        with self._mutex:
            checked, now = self._check_rows(rows), datetime.now(UTC)
            values = [labels] if np.ndim(rows) == 0 or isinstance(labels, (str, Mapping)) else list(labels)
            if len(values) != len(checked):
                raise ValueError(f"Found {len(values)} labels for {len(checked)} rows; give one for each.")
            missing = [row for row, value in zip(checked, values, strict=True) if is_missing(value)]
            if missing:
                raise ValueError(
                    f"The label of row {missing[0]} is missing; set_aside() is for what cannot be labelled."
                )
            pairs = zip(checked, map(as_label, values), strict=True)
            how = (annotator, source, None if seconds is None else float(seconds), now)
            self._add([Answer(row, label, *how).to_entry() for row, label in pairs])

    def set_aside(
        self,
        rows: npt.ArrayLike,
        reason: str = "",
        *,
        annotator: str | None = None,
        source: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Record that a row, or each of several, cannot be labelled.

        Parameters
        ----------
        rows : int or array-like of int
            Rows of the pool, asked or not.
        reason : str, default=""
        annotator, source, seconds
            As in `answer`.
        """
        with self._mutex:
            how = (annotator, source, None if seconds is None else float(seconds), datetime.now(UTC))
            self._add([SetAside(row, reason, *how).to_entry() for row in self._check_rows(rows)])

    @overload
    def undo(self, row: int | None = None) -> Answer | SetAside: ...

    @overload
    def undo(self, row: Sequence[int]) -> tuple[Answer | SetAside, ...]: ...

    def undo(self, row: int | Sequence[int] | None = None) -> Answer | SetAside | tuple[Answer | SetAside, ...]:
        """Take back the latest label or setting aside; what stood before it stands again.

        Parameters
        ----------
        row : int or sequence of int, default=None
            The latest of this row; of several, the latest of each, all at once. None means the latest of all.

        Returns
        -------
        Answer or SetAside, or a tuple of them
            What was taken back. It stays in `history`.

        Raises
        ------
        ValueError
            If nothing is left to take back.
        """
        with self._mutex:
            if row is None:
                latest = self._state.latest_row()
                if latest is None:
                    raise ValueError("There is nothing to undo.")
                return self.undo(latest)
            rows, now = self._check_rows(row), datetime.now(UTC).isoformat()
            taken_back = [self._state.current(each) for each in rows]
            if None in taken_back:
                raise ValueError(f"There is nothing to undo for row {rows[taken_back.index(None)]}.")
            self._add([{"kind": "undo", "row": each, "time": now} for each in rows])
            found = tuple(each for each in taken_back if each is not None)
            return found[0] if np.ndim(row) == 0 else found

    def keep_unread(self, rows: npt.ArrayLike, given: Any) -> None:
        """Keep an answer for these rows that is no label, written out as text; see `unread`."""
        with self._mutex:
            self._add([Unread(tuple(self._check_rows(rows)), written_out(given), datetime.now(UTC)).to_entry()])

    def close(self) -> None:
        """Let others write the file. What it holds can still be looked at here; one in memory stays as it is."""
        with self._mutex:
            if self._log is not None:
                self._log.close()
                self._log = None
                self._why_closed = f"{self.path} was closed; Ledger({os.fspath(self.path or '')!r}) opens it again."

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "" if self.path is None else f"{os.fspath(self.path)!r}: "
        counts = f"{len(self.labeled_indices)} labelled, {len(self.pending)} pending, {len(self.skipped)} set aside"
        return f"<Ledger {where}{len(self.rounds)} rounds, {counts}>"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process; a copy of a ledger on file can only be looked at."""
        state = {name: value for name, value in vars(self).items() if name not in ("_log", "_mutex")}
        if self._log is not None:
            state["_why_closed"] = f"This is a copy of {self.path}; Ledger({os.fspath(self.path or '')!r}) opens it."
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state, _log=None, _mutex=RLock())

    def _replay(self, entries: Iterable[Mapping[str, Any]]) -> None:
        for number, entry in enumerate(entries, start=2):  # line 1 says what the file is
            try:
                self._state.apply(entry)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"Line {number} of {self.path} is no entry of a ledger: {error!r}.") from error

    def _add(self, entries: list[dict[str, Any]]) -> None:
        """Bring entries to disk, and only then count them."""
        if self._why_closed:
            raise RuntimeError(f"The ledger takes nothing more: {self._why_closed}")
        if not entries:
            return
        try:
            if self._log is not None:
                self._log.extend(entries)
        except TypeError:  # an annotator that JSON does not know, say; there is nothing to keep
            raise
        except BaseException as error:
            self._apply(entries)  # a label that could not be written is paid for all the same
            self._why_closed = f"{self.path} could not be written ({error!r}), and it lacks what was given last."
            raise
        self._apply(entries)

    def _apply(self, entries: Iterable[Mapping[str, Any]]) -> None:
        for entry in entries:
            self._state.apply(entry)

    def _check_rows(self, rows: npt.ArrayLike) -> list[int]:
        numbers = check_row_numbers(np.atleast_1d(rows), self._bound_n_samples(), "rows", distinct=True)
        checked: list[int] = numbers.tolist()
        return checked
