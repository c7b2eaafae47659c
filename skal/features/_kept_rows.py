"""Which row is which file: rows that are there stay what they were, and new files come after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skal.features._loading import Refusal

__all__ = ["RowPlan", "plan_rows"]

_NAMED = 3


@dataclass(frozen=True)
class RowPlan:
    """The images of a job in its own order.

    Parameters
    ----------
    paths : tuple of str
        Those that were read already, then those still to read.
    positions : ndarray of shape (len(paths),), int64
        Where each stands among the files that were passed now; -1 for one that gave no row and is not waited for: its
        file is gone, or it comes again, changed, later in `paths`.
    """

    paths: tuple[str, ...]
    positions: npt.NDArray[np.int64]


def plan_rows(
    passed: Sequence[str], read: Sequence[str], refused: Mapping[int, Refusal], mark_of: Callable[[str], int]
) -> RowPlan:
    """Order the files that were passed so that those read already keep their places.

    Parameters
    ----------
    passed : sequence of str
        The files of this call.
    read : sequence of str
        The files that earlier calls have read, in order.
    refused : mapping of int to Refusal
        Which of `read` gave no row.
    mark_of : callable
        From a path to what marks the file now. A refused file that changed since is read again.

    Raises
    ------
    ValueError
        If a file is passed twice, or one that has a row is not passed any more.
    """
    position_of = _positions(passed)
    embedded = {path for row, path in enumerate(read) if row not in refused}
    removed = [path for path in read if path in embedded and path not in position_of]
    if removed:
        more = f" and {len(removed) - _NAMED} more" if len(removed) > _NAMED else ""
        raise ValueError(
            f"There are rows of {len(removed)} files that were not passed now: {', '.join(removed[:_NAMED])}{more}. "
            "Rows keep their numbers, so none can be taken out: put the files back, or choose another output."
        )
    given_up = {
        path: row
        for row, path in enumerate(read)
        if row in refused and path in position_of and path not in embedded and refused[row].mark == mark_of(path)
    }
    new = [path for path in passed if path not in embedded and path not in given_up]
    positions = [
        position_of[path] if row not in refused or given_up.get(path) == row else -1 for row, path in enumerate(read)
    ]
    positions += [position_of[path] for path in new]
    return RowPlan((*read, *new), np.array(positions, dtype=np.int64))


def _positions(passed: Sequence[str]) -> dict[str, int]:
    position_of: dict[str, int] = {}
    for position, path in enumerate(passed):
        first = position_of.setdefault(path, position)
        if first != position:
            raise ValueError(
                f"{path} is passed twice, at positions {first} and {position}; with an output each file is one row: "
                "pass it once."
            )
    return position_of
