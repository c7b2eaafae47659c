"""What a project is: its images, where they are, and what embedded them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from skal._files._atomic import write_atomically
from skal.labeling._images import ImageFile

__all__ = ["Embedding", "Manifest"]

_FORMAT = "skal project 1"


@dataclass(frozen=True)
class Embedding:
    """What the file of embeddings holds.

    Parameters
    ----------
    made_by : mapping
        The settings that embedded the images, or what an extractor of the caller's own is called.
    identity : mapping
        What decides the numbers, as the file of embeddings says it.
    rows : tuple of int
        The image of each embedding.
    unread : tuple of int
        Images that gave no embedding.
    """

    made_by: Mapping[str, Any]
    identity: Mapping[str, Any]
    rows: tuple[int, ...] = ()
    unread: tuple[int, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """The images of a project by number, and what is known of their embeddings. It is replaced as a whole.

    Parameters
    ----------
    id : str
        Tells the project from every other one.
    folder : str
        Where the images were last, relative to the project.
    absolute_folder : str
        The same as a full path.
    images : tuple of ImageFile
        Their positions are the row numbers of the ledger; they never change, and nothing is taken out.
    embedding : Embedding or None
    """

    id: str
    folder: str
    absolute_folder: str
    images: tuple[ImageFile, ...]
    embedding: Embedding | None = None

    @classmethod
    def new(cls, project: Path, folder: Path, images: Iterable[ImageFile]) -> Manifest:
        """Make the first one of a project."""
        return cls(uuid4().hex, "", "", tuple(images)).located(project, folder)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read one that `save` wrote; ValueError where it is damaged or of another version."""
        try:
            content = json.loads(path.read_bytes())
            version = content["format"]
            if version == _FORMAT:
                return _of_content(content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged ({error}); restore it from a copy.") from error
        raise ValueError(f"{path} is of format {version!r}; this version of skal reads {_FORMAT!r}.")

    def save(self, path: Path) -> None:
        images = ",\n".join(json.dumps(list(image)) for image in self.images)
        facts: dict[str, Any] = {
            "format": _FORMAT, "id": self.id, "folder": self.folder, "absolute_folder": self.absolute_folder,
            "embedding": None if self.embedding is None else vars(self.embedding),
        }  # fmt: skip
        head = json.dumps(facts)
        write_atomically(path, f'{head[:-1]}, "images": [\n{images}\n]}}\n')

    def located(self, project: Path, folder: Path) -> Manifest:
        """The same, with the images in another place."""
        absolute, project = Path(os.path.abspath(folder)), Path(os.path.abspath(project))
        try:
            relative = Path(os.path.relpath(absolute, project)).as_posix()
        except ValueError:  # another drive of Windows
            relative = absolute.as_posix()
        return replace(self, folder=relative, absolute_folder=absolute.as_posix())

    @cached_property
    def current_rows(self) -> tuple[int, ...]:
        """The rows that a path stands for now: of a file that changed, the one that was taken in last."""
        return tuple(sorted(self.row_at.values()))

    @cached_property
    def row_at(self) -> dict[str, int]:
        return {image.path: row for row, image in enumerate(self.images)}

    def is_current(self, row: int) -> bool:
        return self.row_at[self.images[row].path] == row


def _of_content(content: Mapping[str, Any]) -> Manifest:
    images = tuple(
        ImageFile(str(path), str(sha), int(size), int(mtime)) for path, sha, size, mtime in content["images"]
    )
    embedding = content["embedding"]
    if embedding is not None:
        rows, unread = tuple(map(int, embedding["rows"])), tuple(map(int, embedding["unread"]))
        if any(not 0 <= row < len(images) for row in rows + unread):
            raise ValueError("it counts an embedding of no image")
        embedding = Embedding(embedding["made_by"], embedding["identity"], rows, unread)
    return Manifest(str(content["id"]), str(content["folder"]), str(content["absolute_folder"]), images, embedding)
