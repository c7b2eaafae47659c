"""Selections on disk, a file each, written as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

__all__ = ["SelectionKey", "Store", "write_atomically", "write_text"]


@dataclass(frozen=True)
class SelectionKey:
    """What a selection depends on."""

    pool: str  # a name with a fingerprint
    method: str
    seed: int
    history: str  # the budget; for strategies in rounds also the start and the earlier totals

    @property
    def path(self) -> Path:
        return Path(self.pool, self.method, f"seed-{self.seed}", self.history)


@dataclass(frozen=True)
class Store:
    """Selections under one folder."""

    folder: Path

    def load_selection(self, key: SelectionKey) -> np.ndarray | None:
        """Return row numbers in the order of the picks, int64, or None where the selection is still to be made."""
        path = self._selection_path(key)
        return np.load(path, allow_pickle=False) if path.exists() else None

    def save_selection(self, key: SelectionKey, picks: np.ndarray) -> None:
        write_atomically(self._selection_path(key), lambda file: np.save(file, picks, allow_pickle=False))

    def _selection_path(self, key: SelectionKey) -> Path:
        return self.folder / "selections" / f"{key.path}.npy"


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Give `write` an open binary file that takes the place of `path` once it is whole and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
