"""Selections on disk, a file each, written as a whole or not at all."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

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
        if not path.exists():
            return None
        try:
            return np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path} is damaged ({error}); remove it, and the rows are picked again.") from error

    def save_selection(self, key: SelectionKey, picks: np.ndarray) -> None:
        content = io.BytesIO()  # np.save into a file on a full disk raises an OSError without its errno
        np.save(content, picks, allow_pickle=False)
        write_atomically(self._selection_path(key), content.getvalue())

    def _selection_path(self, key: SelectionKey) -> Path:
        return self.folder / "selections" / f"{key.path}.npy"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside `path` that takes its place once it is whole and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    write_atomically(path, text.encode())
