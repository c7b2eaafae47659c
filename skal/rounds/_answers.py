"""Read what an oracle gives back, and keep all of it that can be told to be the label of a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from skal.rounds._checks import name_rows
from skal.rounds._labels import as_label, is_missing, shortened
from skal.rounds._ledger import Ledger

__all__ = ["keep_answers"]

_SOURCE = "oracle"
_CANNOT_TELL = "the oracle gave no label"
_ANY_INDEX_FITS = (
    "The oracle gave a Series in another order than the rows that it was asked, all rows of the pool: its index may be "
    "rows, or names of its own. Give a dict row → label, or series.to_numpy() in the order of the rows."
)


def keep_answers(ledger: Ledger, rows: npt.NDArray[np.int64], answers: Any) -> None:
    """Record the answers of an oracle; then raise if they are not one label or None for each row.

    A mapping and a pandas Series whose index holds rows that were asked are read by row, anything else in the order
    of the rows. What comes one by one, as from a generator, is recorded one by one.

    Parameters
    ----------
    ledger : Ledger
    rows : ndarray, int64
        What the oracle was asked.
    answers : mapping, Series, array-like, iterable, or a label where one row was asked
        What it gave. A missing label (None, NaN) sets its row aside.

    Raises
    ------
    ValueError
        If the answers do not fit the rows. It names the rows without an answer and quotes what could not be read,
        which stays in the ledger's `unread`.
    """
    asked: list[int] = rows.tolist()
    _refuse_the_whole_target(answers, len(asked), ledger.n_samples)
    if _comes_one_by_one(answers):
        faults = _keep_stream(ledger, asked, iter(answers))
    else:
        values, faults = _values_of_rows(answers, asked, ledger.n_samples)
        faults += _keep_values(ledger, asked, values)
        if faults:
            ledger.keep_unread(asked, answers)
    if faults:
        raise ValueError(" ".join([*faults, _what_is_left(ledger, asked)]))


def _refuse_the_whole_target(answers: Any, n_asked: int, n_samples: int | None) -> None:
    """Refuse labels of all rows where some were asked: in order, they would go to the wrong rows."""
    is_ordered = not isinstance(answers, (Mapping, str, bytes)) and hasattr(answers, "__len__")
    shape = getattr(answers, "shape", (-1,))
    if is_ordered and len(shape) == 1 and len(answers) == n_samples != n_asked:
        raise ValueError(
            f"The oracle gave {n_samples} labels for {n_asked} rows, one for each row of the pool; it must give those "
            "of the rows that it is asked for only, as y[indices]. None is kept."
        )


def _comes_one_by_one(answers: Any) -> bool:
    if isinstance(answers, Iterator):
        return True
    is_there_already = isinstance(answers, (Sequence, Mapping, Set, bytes)) or hasattr(answers, "__array__")
    return isinstance(answers, Iterable) and not is_there_already


def _keep_stream(ledger: Ledger, asked: list[int], answers: Iterator[Any]) -> list[str]:
    """Record each answer before the next one is asked for; return what is wrong with them."""
    n_given = 0
    for value in answers:
        if n_given == len(asked):
            ledger.keep_unread(asked, value)
            return [f"The oracle gave more than {n_given} labels for {n_given} rows; it must give one for each."]
        row = asked[n_given]
        faults = _keep_values(ledger, [row], {row: value})
        if faults:
            ledger.keep_unread([row], value)
            return faults
        n_given += 1
    return _wrong_number(n_given, len(asked))


def _keep_values(ledger: Ledger, asked: list[int], values: Mapping[int, Any]) -> list[str]:
    labels, cannot_tell, faults = {}, [], []
    for row, value in values.items():
        if is_missing(value):
            cannot_tell.append(row)
            continue
        try:
            labels[row] = as_label(value)
        except TypeError as error:
            faults.append(f"The oracle's answer for row {row} cannot be read: {error}")
    ledger.answer(list(labels), list(labels.values()), source=_SOURCE)
    ledger.set_aside(cannot_tell, _CANNOT_TELL, source=_SOURCE)
    return faults


def _values_of_rows(answers: Any, asked: list[int], n_samples: int | None) -> tuple[dict[int, Any], list[str]]:
    """Return the answer for each row as far as that can be told, and what does not fit."""
    if isinstance(answers, Mapping):
        return _by_row(answers, asked)
    shape = tuple(getattr(answers, "shape", (-1,)))
    if len(shape) == 2 and shape[1] == 1:
        answers = answers.iloc[:, 0] if hasattr(answers, "iloc") else np.asarray(answers)[:, 0]
    elif len(shape) > 1:
        return {}, [f"The oracle gave an array of shape {shape} for {len(asked)} rows; give one label for each."]
    if _is_indexed_by_row(answers, asked):
        if not answers.index.is_unique:
            return {}, [f"The oracle gave a Series of {len(answers)} labels that names a row more than once."]
        if len(asked) == n_samples and answers.index.tolist() != asked:
            return {}, [_ANY_INDEX_FITS]
        return _by_row(dict(zip(answers.index.tolist(), answers, strict=True)), asked)
    if shape == () or isinstance(answers, (str, bytes, Set)) or not isinstance(answers, Iterable):
        if len(asked) == 1 and not isinstance(answers, Set):
            return {asked[0]: answers}, []
        return {}, [f"The oracle gave {shortened(answers)} for {len(asked)} rows; give a list, one label for each."]
    values = list(answers)
    return dict(zip(asked, values, strict=False)), _wrong_number(len(values), len(asked))


def _is_indexed_by_row(answers: Any, asked: list[int]) -> bool:
    """Tell a Series whose index says which row each answer is for from one that just numbers its entries."""
    if not hasattr(answers, "iloc") or hasattr(answers.index, "start"):
        return False
    return set(answers.index.tolist()) <= set(asked)


def _by_row(answers: Mapping[Any, Any], asked: list[int]) -> tuple[dict[int, Any], list[str]]:
    expected = set(asked)
    values = {int(row): value for row, value in answers.items() if _is_row(row) and row in expected}
    others = [row for row in answers if not (_is_row(row) and row in expected)]
    faults = [f"The oracle answered for {shortened(others)}, which it was not asked."] if others else []
    if len(values) < len(asked):
        faults += _wrong_number(len(values), len(asked))
    return {row: values[row] for row in asked if row in values}, faults


def _is_row(key: Any) -> bool:
    return isinstance(key, (int, np.integer)) and not isinstance(key, bool)


def _wrong_number(n_given: int, n_asked: int) -> list[str]:
    if n_given == n_asked:
        return []
    return [f"The oracle gave {n_given} labels for {n_asked} rows; it must give one for each."]


def _what_is_left(ledger: Ledger, asked: list[int]) -> str:
    left = [row for row in asked if ledger.current(row) is None]
    if not left:
        return "Every row has its label, and all are kept."
    return f"{len(asked) - len(left)} answers are kept; to be answered still: {name_rows(left)}."
