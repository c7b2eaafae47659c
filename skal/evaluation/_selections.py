"""Which rows were picked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skal._files._atomic import write_atomically
from skal._html import table
from skal._validation import check_row_numbers
from skal.evaluation._metrics import Categories

__all__ = ["Selection", "SelectionKey", "Selections"]

_FORMAT = "skal selections 1"


class SelectionKey(NamedTuple):
    """What a selection is known by; a plain tuple of the three is equal to it."""

    sampler: str
    budget: int
    seed: int


@dataclass(frozen=True)
class Selection:
    """The picks of one sampler at one budget and seed.

    Attributes
    ----------
    sampler : str
    budget, seed : int
    indices : ndarray of shape (budget,), int64
    coverage : float or None
        Fraction of the classes that the picks hold; None where the labels are not known.

    See Also
    --------
    Selections : All of them, by sampler, budget and seed.
    """

    sampler: str
    budget: int
    seed: int
    indices: npt.NDArray[np.int64]
    coverage: float | None


class Selections(Mapping[SelectionKey, npt.NDArray[np.int64]]):
    """The picks of samplers over budgets and seeds: a mapping from (sampler, budget, seed) to row numbers.

    `select` returns one. Made by hand, it holds picks from elsewhere, of other software or of a person, so that
    `score` says what they buy. Several are joined as dicts are: ``Selections({**one, **other}, y)``.

    Parameters
    ----------
    picks : mapping of (str, int, int) to array-like of int
        By sampler, budget and seed, as many distinct rows as the budget says.
    y : array-like of shape (n,), default=None
        The class of every row of the pool, for the coverage. None leaves it unknown.

    Attributes
    ----------
    samplers : tuple of str
        In the order given.
    budgets, seeds : tuple of int
        Ascending.
    coverage : dict
        By the same keys, the fraction of the classes that the picks hold. Empty where y is None.

    Raises
    ------
    ValueError
        If picks are not distinct row numbers, fewer or more than their budget, or not of a row of y.

    See Also
    --------
    select : Makes one.
    score : Says what the picks buy.

    Examples
    --------
    >>> from skal.evaluation import Selections
    >>> selections = Selections({("by hand", 3, 0): [4, 0, 2], ("Random", 3, 0): [1, 0, 3]}, y=[0, 0, 1, 0, 2])
    >>> selections
    Selections(2 samplers × 1 budget × 1 seed)
    >>> selections["by hand", 3, 0]
    array([4, 0, 2])
    >>> selections.coverage["by hand", 3, 0]
    1.0
    """

    def __init__(self, picks: Mapping[Any, npt.ArrayLike], y: npt.ArrayLike | None = None) -> None:
        keyed = {_as_key(key): rows for key, rows in picks.items()}
        given = {key: _as_rows(key, rows) for key, rows in keyed.items()}
        position = {name: place for place, name in enumerate(dict.fromkeys(key.sampler for key in given))}
        keys = sorted(given, key=lambda key: (position[key.sampler], key.budget, key.seed))
        self._picks = {key: given[key] for key in keys}
        self.coverage: dict[SelectionKey, float] = {}
        if y is not None:
            categories = Categories(y)
            self.coverage = {key: categories.coverage(rows) for key, rows in self._picks.items()}

    def __getitem__(self, key: Any) -> npt.NDArray[np.int64]:
        return self._picks[key]

    def __iter__(self) -> Iterator[SelectionKey]:
        return iter(self._picks)

    def __len__(self) -> int:
        return len(self._picks)

    def __repr__(self) -> str:
        return f"Selections({self.extent})"

    def _repr_html_(self) -> str:
        what = "category coverage, %, mean over seeds" if self.coverage else "number of seeds"
        rows = [[sampler, *(self._cell(sampler, budget) for budget in self.budgets)] for sampler in self.samplers]
        return table(["Method", *self.budgets], rows, f"{self.extent}: {what}, by budget")

    def _cell(self, sampler: str, budget: int) -> str:
        keys = [key for key in self if (key.sampler, key.budget) == (sampler, budget)]
        if not self.coverage:
            return str(len(keys) or "–")
        known = [self.coverage[key] for key in keys if key in self.coverage]
        return f"{100 * np.mean(known):.1f}" if known else "–"

    @property
    def samplers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key.sampler for key in self))

    @property
    def budgets(self) -> tuple[int, ...]:
        return tuple(sorted({key.budget for key in self}))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({key.seed for key in self}))

    @property
    def extent(self) -> str:
        """How many there are, in words."""
        counts = {"sampler": len(self.samplers), "budget": len(self.budgets), "seed": len(self.seeds)}
        return " × ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as JSON; the file is replaced as a whole or not at all."""
        write_atomically(path, json.dumps({"format": _FORMAT, "selections": self.to_entries()}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Selections:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']!r}")
            return cls.from_entries(content["selections"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} holds no selections that this version of skal saved ({type(error).__name__}: {error}); "
                "expected a file by Selections.save."
            ) from error

    def to_entries(self) -> list[dict[str, Any]]:
        """Return a list of plain dicts that JSON can hold."""
        return [
            {**key._asdict(), "indices": rows.tolist(), "coverage": self.coverage.get(key)}
            for key, rows in self._picks.items()
        ]

    @classmethod
    def from_entries(cls, entries: list[dict[str, Any]]) -> Selections:
        """Make one from what `to_entries` returned."""
        keys = [SelectionKey(entry["sampler"], entry["budget"], entry["seed"]) for entry in entries]
        selections = cls({key: entry["indices"] for key, entry in zip(keys, entries, strict=True)})
        known = {key: entry["coverage"] for key, entry in zip(keys, entries, strict=True)}
        selections.coverage = {key: known[key] for key in selections if known[key] is not None}
        return selections


def _as_key(key: Any) -> SelectionKey:
    try:
        sampler, budget, seed = key
        return SelectionKey(str(sampler), int(budget), int(seed))
    except (TypeError, ValueError) as error:
        raise ValueError(f"A selection is known by (sampler, budget, seed); found {key!r}.") from error


def _as_rows(key: SelectionKey, rows: npt.ArrayLike) -> npt.NDArray[np.int64]:
    picks: npt.NDArray[np.int64] = check_row_numbers(rows, None, f"picks[{tuple(key)}]", distinct=True)
    if len(picks) != key.budget:
        raise ValueError(f"picks[{tuple(key)}] must be as many as the budget says; found {len(picks)}.")
    return picks
