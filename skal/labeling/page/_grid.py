"""Which images can be labelled many at once."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.metrics.pairwise import cosine_similarity

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject
    from skal.labeling._suggestions import Suggestions

__all__ = ["Grid"]

_BLOCK = 2**15


class Grid:
    """Images that lie together, none of which is to test with.

    Left out are the images to test with and their near duplicates, which are never trained on; what is labelled or
    skipped, and its near duplicates; and of each group of near duplicates all but one.

    Parameters
    ----------
    project : LabelingProject
    """

    def __init__(self, project: LabelingProject) -> None:
        self._project = project
        self._pool = project.pool
        self._groups = project.neighborhood().groups()

    def near(self, row: int, n_images: int) -> list[int]:
        """Return an image and the images most like it that have no label; cosine similarity, n · d operations.

        Raises
        ------
        ValueError
            If the image is to test with, answered already, or not embedded.
        """
        place = self._pool.position_of.get(row)
        if place is None or row in self._project.held_out or not self._open([place]).any():
            raise ValueError(f"Image {row} is labelled by itself: it is to test with, labelled, or not embedded.")
        candidates = self._candidates(first=place)
        candidates = candidates[candidates != place]
        similarity = self._similarity_to(place, candidates)
        nearest = candidates[np.argsort(-similarity, kind="stable")[: n_images - 1]]
        return [row, *self._pool.rows[nearest].tolist()]

    def of_class(
        self, label: str, suggestions: Suggestions, n_images: int, passed_over: Container[int] = ()
    ) -> tuple[list[int], int]:
        """Return the images that a class is predicted for, the surest first, and how many there are in all."""
        allowed = set(self._pool.rows[self._candidates()].tolist())
        found = [row for row in suggestions.predicted(label) if row in allowed and row not in passed_over]
        return found[:n_images], len(found)

    def _candidates(self, first: int = -1) -> npt.NDArray[np.int64]:
        """Positions, ascending; of each group the one that was picked, else the first, but the position `first`."""
        project, groups = self._project, self._groups
        rows = self._pool.rows
        taken = np.isin(rows, [*project.held_out, *project.labels, *project.skipped])
        free = np.flatnonzero(self._open(np.arange(len(rows))) & ~np.isin(groups, groups[taken]))
        is_picked = np.isin(rows[free], project.ledger.pending)
        order = np.lexsort((free, ~is_picked, free != first))
        _, chosen = np.unique(groups[free][order], return_index=True)
        return np.sort(free[order][chosen])

    def _open(self, positions: Iterable[int]) -> npt.NDArray[np.bool_]:
        project = self._project
        done = {*project.held_out, *project.labels, *project.skipped}
        rows = self._pool.rows[np.asarray(positions)].tolist()
        return np.array([row >= 0 and row not in done and project.is_current(row) for row in rows], dtype=bool)

    def _similarity_to(self, place: int, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        query = np.asarray(self._pool.X[place : place + 1], dtype=np.float64)
        blocks = (candidates[start : start + _BLOCK] for start in range(0, len(candidates), _BLOCK))
        parts = [cosine_similarity(np.asarray(self._pool.X[block], dtype=np.float64), query)[:, 0] for block in blocks]
        return np.concatenate([*parts, np.empty(0)])
