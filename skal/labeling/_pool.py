"""The embedded images of a project, as rows of one array."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skal.labeling._manifest import Manifest

__all__ = ["ProjectPool"]


@dataclass(frozen=True)
class ProjectPool:
    """Embeddings, and which image each is of.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float16
        A read-only memmap.
    rows : ndarray of shape (n,), int64
        The image of each; -1 for an embedding that is of no image any more.
    """

    X: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]

    @classmethod
    def open(cls, path: Path, manifest: Manifest) -> ProjectPool:
        """Map the file of embeddings; ValueError where it is not the one that the manifest describes."""
        if manifest.embedding is None:
            raise ValueError("Nothing is embedded yet: call embed() first (skal embed).")
        rows = np.array(manifest.embedding.rows, dtype=np.int64)
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing. Put it back, or call embed(again=True) (skal embed --again).")
        X = np.load(path, mmap_mode="r", allow_pickle=False)
        if len(X) < len(rows):
            raise ValueError(f"{path} has {len(X)} rows, and the project counts {len(rows)}; restore it from a copy.")
        return cls(X[: len(rows)], rows)

    @cached_property
    def position_of(self) -> dict[int, int]:
        """Where the embedding of each image stands."""
        return {row: position for position, row in enumerate(self.rows.tolist()) if row >= 0}

    def positions(self, rows: Iterable[int]) -> npt.NDArray[np.int64]:
        """Where the embeddings of some images stand, in their order; those without one are left out."""
        found = [self.position_of[row] for row in rows if row in self.position_of]
        return np.array(found, dtype=np.int64)

    def part(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Some rows; all of them, in order, are not copied."""
        if len(positions) == len(self.X) and np.array_equal(positions, np.arange(len(self.X))):
            return self.X
        return self.X[positions]
