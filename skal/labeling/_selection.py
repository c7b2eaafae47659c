"""Which images to label next: some by a sampler, some at random to test with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from skal import registry
from skal.labeling._errors import NothingToDoError
from skal.labeling._pool import ProjectPool

__all__ = ["Selection", "Standing", "select"]


@dataclass(frozen=True)
class Standing:
    """What is known of each embedding of the pool before a selection.

    Parameters
    ----------
    groups : ndarray of shape (n,), int64
        Groups of near duplicates.
    is_gone : ndarray of shape (n,), bool
        No image any more, or a file that holds something else now.
    is_taken : ndarray of shape (n,), bool
        Asked, labelled or set aside.
    is_held_out : ndarray of shape (n,), bool
        To test with.
    is_set_aside : ndarray of shape (n,), bool
    labels : ndarray of shape (n,), object
        None where there is no label.
    """

    groups: npt.NDArray[np.int64]
    is_gone: npt.NDArray[np.bool_]
    is_taken: npt.NDArray[np.bool_]
    is_held_out: npt.NDArray[np.bool_]
    is_set_aside: npt.NDArray[np.bool_]
    labels: npt.NDArray[Any]

    def candidates(self, is_taken: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Positions that a label may be spent on: one of each group of near duplicates, none if one of it is taken."""
        is_bought = np.isin(self.groups, self.groups[is_taken])
        free = np.flatnonzero(~is_bought & ~self.is_gone)
        _, first = np.unique(self.groups[free], return_index=True)
        return free[np.sort(first)]


@dataclass(frozen=True)
class Selection:
    """Images to label, in the order in which to show them.

    Parameters
    ----------
    rows : tuple of int
    held_out : tuple of int
        Those of them to test with.
    why : tuple of str
        Why each was picked.
    sampler : str
    """

    rows: tuple[int, ...]
    held_out: tuple[int, ...]
    why: tuple[str, ...]
    sampler: str


def select(pool: ProjectPool, standing: Standing, n: int, n_held_out: int, sampler: Any, seed: int) -> Selection:
    """Pick `n` images by the sampler and `n_held_out` at random.

    Parameters
    ----------
    pool : ProjectPool
    standing : Standing
    n, n_held_out : int
    sampler : sampler
        Its budget and, unless it has one, its seed are set.
    seed : int

    Raises
    ------
    NothingToDoError
        If no image is left.
    ValueError
        If fewer images are left than asked for, or the sampler needs every label.
    """
    free = standing.candidates(standing.is_taken)
    if not len(free):
        raise NothingToDoError(
            "Every image, or a near duplicate of it, was picked already: there is nothing to select."
        )
    if n + n_held_out > len(free):
        raise ValueError(
            f"{n} picks and {n_held_out} images to test with are more than the {len(free)} images left, near "
            "duplicates counted once; ask for fewer."
        )
    rng = np.random.default_rng([seed, int(standing.is_taken.sum())])
    held_out = rng.permutation(_one_of_each_group(standing, rng))[:n_held_out]
    is_taken = standing.is_taken.copy()
    is_taken[held_out] = True
    picks, reasons = _pick(pool, standing, standing.candidates(is_taken), n, sampler, seed)
    entries = [(int(pool.rows[each]), why, False) for each, why in zip(picks, reasons, strict=True)]
    drawn = [(int(pool.rows[each]), "drawn at random, to test with", True) for each in held_out]
    queue = _spread(entries, drawn)
    return Selection(
        tuple(row for row, _, _ in queue),
        tuple(row for row, _, is_test in queue if is_test),
        tuple(why for _, why, _ in queue),
        type(sampler).__name__ if n else "random",
    )


def _one_of_each_group(standing: Standing, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw one image of each group that has none taken: every group counts once, as in the rest of the project."""
    is_bought = np.isin(standing.groups, standing.groups[standing.is_taken])
    free = rng.permutation(np.flatnonzero(~is_bought & ~standing.is_gone))
    _, first = np.unique(standing.groups[free], return_index=True)
    return free[np.sort(first)]


def _pick(
    pool: ProjectPool,
    standing: Standing,
    candidates: npt.NDArray[np.int64],
    n: int,
    sampler: Any,
    seed: int,
) -> tuple[list[int], list[str]]:
    if not n:
        return [], []
    entry = next((each for each in registry.samplers() if each.cls is type(sampler)), None)
    needs = "nothing" if entry is None else entry.needs
    if needs == "all labels":
        raise ValueError(f"{type(sampler).__name__} needs the label of every image, which nobody has; take another.")
    # Rows to test with are no labels to learn from, so they cover nothing: the sampler does not see them.
    is_known = np.array([label is not None for label in standing.labels], dtype=bool)
    is_shown = is_known if needs == "labels" else standing.is_taken & ~standing.is_set_aside
    shown = np.flatnonzero(is_shown & ~standing.is_held_out)
    seen = np.sort(np.concatenate([candidates, shown]))
    sampler = _prepared(sampler, n, seed)
    labels = standing.labels[seen] if needs == "labels" else None
    sampler.fit(pool.part(seen), labels, labeled_indices=np.isin(seen, shown))
    picks = sampler.selected_indices_
    return seen[picks].tolist(), _reasons(sampler, picks)


def _prepared(sampler: Any, n: int, seed: int) -> Any:
    prepared = clone(sampler)
    parameters = prepared.get_params(deep=False)
    if "budget" not in parameters:
        raise ValueError(f"{type(sampler).__name__} runs rounds of its own; a project runs them itself. Take another.")
    unset = {"random_state": seed} if parameters.get("random_state", seed) is None else {}
    return prepared.set_params(budget=n, **unset)


def _reasons(sampler: Any, picks: npt.NDArray[np.int64]) -> list[str]:
    name, numbers = type(sampler).__name__, range(1, len(picks) + 1)
    cluster_of = np.asarray(getattr(sampler, "labels_", ()))
    if cluster_of.ndim != 1 or cluster_of.dtype.kind not in "iu" or len(cluster_of) <= picks.max():
        return [f"pick {number} of {len(picks)} by {name}" for number in numbers]
    sizes = np.bincount(cluster_of)[cluster_of[picks]].tolist()
    return [f"in a cluster of {size} ({name}, pick {number})" for size, number in zip(sizes, numbers, strict=True)]


def _spread(picks: Sequence[Any], drawn: Sequence[Any]) -> list[Any]:
    """Put the drawn ones between the picks at even distances, so that they are labelled like all others."""
    n_all = len(picks) + len(drawn)
    places = {int((number + 0.5) * n_all / len(drawn)) for number in range(len(drawn))}
    of_each = iter(picks), iter(drawn)
    return [next(of_each[place in places]) for place in range(n_all)]
