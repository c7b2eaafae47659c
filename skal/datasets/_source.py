"""What a published dataset should hold on disk, and what is said where it does not."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PathLike", "Source"]

PathLike = str | os.PathLike[str]

_N_NAMED = 3


@dataclass(frozen=True)
class Source:
    """A published dataset: its name, its files under the root, and how to get them."""

    title: str
    layout: str
    how_to_get: str

    def folder(self, root: PathLike, *names: str) -> Path:
        """The folder of the dataset: `root` or, where it holds one of that name, the published folder in it."""
        root = Path(root)
        return next((root / name for name in names if (root / name).is_dir()), root)

    def check_split(self, split: str, splits: Collection[str]) -> None:
        if split not in splits:
            raise ValueError(f"split={split!r} is no split of {self.title}; it has {', '.join(map(repr, splits))}.")

    def require_files(self, root: PathLike, paths: Iterable[Path]) -> None:
        """Refuse to go on where a file is missing. Looks each one up; opens none."""
        self._refuse_missing(root, [path for path in paths if not os.path.isfile(path)])

    def require_folders(self, root: PathLike, paths: Iterable[Path]) -> None:
        self._refuse_missing(root, [path for path in paths if not path.is_dir()])

    def require_size(self, what: str, found: Sized | int, expected: int, where_stated: str) -> None:
        """Refuse a split or a list of another size than the published one."""
        n_found = found if isinstance(found, int) else len(found)
        if n_found != expected:
            raise ValueError(
                f"{self.title}: found {n_found:,} {what}, expected {expected:,} ({where_stated}). The copy is not "
                "complete, or not the published one; for a subset on purpose, pass check_sizes=False."
            )

    def _refuse_missing(self, root: PathLike, missing: Sequence[Path]) -> None:
        if not missing:
            return
        more = f" and {len(missing) - _N_NAMED:,} more" if len(missing) > _N_NAMED else ""
        raise FileNotFoundError(
            f"{self.title}: not found: {', '.join(map(str, missing[:_N_NAMED]))}{more}.\n"
            f"Expected in {str(root)!r}: {self.layout}\n"
            f"How to get it: {self.how_to_get} Nothing is downloaded for you."
        )
