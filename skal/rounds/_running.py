"""Take a pool from one total of labelled rows to the next, over a ledger."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._validation import column_or_1d, rows_of
from skal.rounds._answers import keep_answers
from skal.rounds._checks import name_rows
from skal.rounds._labels import is_missing
from skal.rounds._ledger import Ledger
from skal.rounds._records import Answer, Round

__all__ = ["Running"]

_TOO_MANY_WITHOUT_LABEL = 10  # one after the other: a person may do so, but a service that broke down would go on


@dataclass
class Running:
    """Rounds in progress.

    Parameters
    ----------
    pool : Pool of n rows
        Handed on to the samplers, so that all rounds share it.
    y : array-like of shape (n,), callable or None
        Where labels come from; None where nobody is asked.
    ledger : Ledger
    labeled_elsewhere : ndarray, int64
        Rows that are labelled, without the ledger knowing how.
    make_sampler : callable
        ``is_first -> sampler``, unfitted; `is_first` where no earlier round labelled anything.
    """

    pool: Any
    y: Any
    ledger: Ledger
    labeled_elsewhere: npt.NDArray[np.int64]
    make_sampler: Callable[[bool], Any]
    sampler: Any = field(default=None, init=False)
    n_without_label: int = field(default=0, init=False)

    @property
    def has_oracle(self) -> bool:
        return callable(self.y)

    def n_labeled(self) -> int:
        """Count what is labelled; without an oracle, a row that was asked counts as labelled."""
        return len(self._taken())

    def counts(self, row: int) -> bool:
        """Tell whether a row that was asked is one of the rows selected."""
        current = self.ledger.current(row)
        return isinstance(current, Answer) or (current is None and not self.has_oracle)

    def finish_round(self) -> None:
        """Ask again for what an interrupted run asked for and did not get."""
        pending = self.ledger.pending
        if len(pending):
            self._look_up(pending)

    def reach(self, total: int) -> None:
        """Pick, ask and record until `total` rows are labelled, or none is left to ask for."""
        while (n_missing := total - self.n_labeled()) > 0:
            n_left = self.pool.n_rows - self.n_labeled() - len(self._set_aside())
            if n_left == 0:
                n_set_aside = len(self._set_aside())
                warnings.warn(
                    f"The rounds end at {self.n_labeled()} labelled rows instead of {total}: {n_set_aside} were set "
                    "aside, and no others are left to ask for.",
                    stacklevel=5,
                )
                return
            self._ask_for(min(n_missing, n_left))

    def _ask_for(self, n_rows: int) -> None:
        unfinished = self._unfinished_round(n_rows)
        in_this_round = () if unfinished is None else unfinished.rows
        is_first = len(np.setdiff1d(self._taken(), in_this_round)) == 0
        picks = self._pick(n_rows, is_first)
        description = " ".join(repr(self.sampler).split())
        self.ledger.ask(picks, sampler=description, goes_on=unfinished is not None)
        self._look_up(picks)

    def _unfinished_round(self, n_rows: int) -> Round | None:
        """Return the last round where it lacks `n_rows` labels, because rows of it were set aside."""
        if not self.ledger.rounds:
            return None
        last = self.ledger.rounds[-1]
        return last if n_rows <= last.size - sum(map(self.counts, last.rows)) else None

    def _pick(self, n_rows: int, is_first: bool) -> npt.NDArray[np.int64]:
        """Let the sampler pick `n_rows` rows that are neither labelled nor set aside.

        A row that was set aside is not labelled, so the sampler may pick it. It is asked for as many more, so that
        enough are left.
        """
        taken, set_aside = self._taken(), self._set_aside()
        self.sampler = self.make_sampler(is_first).set_params(budget=n_rows + len(set_aside))
        self.sampler.fit(self.pool, self._target(), labeled_indices=taken)
        picks = self.sampler.selected_indices_
        chosen: npt.NDArray[np.int64] = picks[~np.isin(picks, set_aside)][:n_rows]
        return chosen

    def _target(self) -> Any:
        """Return what the sampler sees of the labels: those that are known, unless it is one that sees all."""
        if getattr(self.sampler, "_needs", None) == "all labels":
            if self.has_oracle:
                raise ValueError(
                    f"{type(self.sampler).__name__} reads the label of every row, so y must be an array; an oracle "
                    "is asked for the picks only."
                )
            return self.y
        unknown = self.ledger.pending
        if self.y is not None and len(unknown):
            raise ValueError(
                f"y is NaN or None at {name_rows(unknown.tolist())}, picked in an earlier round; the next one needs "
                "the label of every row picked before it."
            )
        nobody_knows = self.y is None and (len(unknown) or len(self.labeled_elsewhere) or not self._taken().size)
        return None if nobody_knows else self.ledger.labels_by_row()

    def _look_up(self, rows: npt.NDArray[np.int64]) -> None:
        """Get the labels of rows that were asked, and record them."""
        if self.y is None:
            return
        if not self.has_oracle:
            self._read(rows)
            return
        keep_answers(self.ledger, rows, self.y(rows.copy()))
        is_any_labeled = any(map(self.counts, rows))
        self.n_without_label = 0 if is_any_labeled else self.n_without_label + len(rows)
        if self.n_without_label >= _TOO_MANY_WITHOUT_LABEL:
            raise ValueError(
                f"The oracle labelled none of the last {self.n_without_label} rows, so something may be wrong with it. "
                f"They are set aside, at last {name_rows(rows.tolist())}; fit again with the same ledger to go on "
                "without them."
            )

    def _read(self, rows: npt.NDArray[np.int64]) -> None:
        labels = column_or_1d(np.asarray(rows_of(self.y, rows)), warn=True)
        is_known = np.array([not is_missing(label) for label in labels], dtype=bool)
        self.ledger.answer(rows[is_known], labels[is_known], source="y")

    def _taken(self) -> npt.NDArray[np.int64]:
        """Return the rows that are labelled or count as such, sorted."""
        asked = self.ledger.labeled_indices if self.has_oracle else self._labeled_or_pending()
        return np.union1d(asked, self.labeled_elsewhere)

    def _labeled_or_pending(self) -> npt.NDArray[np.int64]:
        return np.concatenate([self.ledger.labeled_indices, self.ledger.pending])

    def _set_aside(self) -> npt.NDArray[np.int64]:
        return np.setdiff1d(self.ledger.skipped, self._taken())
