"""Which classes are likely for images that nobody labelled yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Suggestions"]


@dataclass(frozen=True)
class Suggestions:
    """The most probable classes of some images.

    Parameters
    ----------
    rows : ndarray of shape (n,), int64
        The images.
    classes : tuple of str
        All that the model tells apart.
    top : ndarray of shape (n, k), int64
        Positions in `classes`, the most probable first.
    confidence : ndarray of shape (n, k), float64
        Their probabilities.
    n_labels : int
        Labels that they rest on.

    See Also
    --------
    LabelingProject.suggest : Makes them.
    """

    rows: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    top: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    n_labels: int

    @classmethod
    def of(
        cls,
        rows: Sequence[int],
        classes: tuple[str, ...],
        probabilities: npt.NDArray[Any],
        n_labels: int,
        n_classes: int,
    ) -> Suggestions:
        """Take the most probable classes; of those that tie, the first."""
        top = np.argsort(-probabilities, axis=1, kind="stable")[:, :n_classes].astype(np.int64)
        confidence = np.take_along_axis(np.asarray(probabilities, dtype=np.float64), top, axis=1)
        return cls(np.array(rows, dtype=np.int64), classes, top, confidence, n_labels)

    def for_row(self, row: int) -> list[tuple[str, float]]:
        """The classes of one image and their confidence; none where it has no suggestion."""
        place = self._place_of.get(row)
        if place is None:
            return []
        pairs = zip(self.top[place].tolist(), self.confidence[place].tolist(), strict=True)
        return [(self.classes[number], confidence) for number, confidence in pairs]

    def predicted(self, label: str) -> list[int]:
        """The images that one class is the most probable of, the surest first."""
        if label not in self.classes or not len(self.rows):
            return []
        places = np.flatnonzero(self.top[:, 0] == self.classes.index(label))
        found: list[int] = self.rows[places[np.argsort(-self.confidence[places, 0], kind="stable")]].tolist()
        return found

    def to_bytes(self) -> bytes:
        """Write a .npz, which `from_bytes` reads without running anything in it."""
        content = BytesIO()
        np.savez(
            content,
            rows=self.rows,
            classes=np.array(self.classes),
            top=self.top,
            confidence=self.confidence,
            n_labels=np.array(self.n_labels),
        )
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Suggestions:
        with np.load(BytesIO(content), allow_pickle=False) as kept:
            classes, n_labels = tuple(map(str, kept["classes"])), int(kept["n_labels"])
            return cls(kept["rows"], classes, kept["top"], kept["confidence"], n_labels)

    @cached_property
    def _place_of(self) -> dict[int, int]:
        return {row: place for place, row in enumerate(self.rows.tolist())}
