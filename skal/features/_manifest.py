"""What stands beside a file of embeddings: what it holds, by what it was made, and how far it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skal.features._loading import Refusal

__all__ = ["Manifest", "read_paths", "replace_file", "sync_folder", "write_paths"]

_FORMAT = 2


@dataclass(frozen=True)
class Manifest:
    """How far a job is. It is replaced as a whole, so that it never contradicts itself.

    Parameters
    ----------
    identity : dict
        What is embedded and by what.
    n_images : int
        Images of the job.
    n_features : int or None
        Length of an embedding, None before the first.
    n_read : int
        Images that were read; the rest is still to do.
    marks : int
        What marked the files of the rows that are there, summed.
    refused : mapping of int to Refusal
        Which of the images that were read gave no row.
    paths_sha256 : str or None
        Hash of the paths of the images that were read.
    """

    identity: Mapping[str, Any]
    n_images: int
    n_features: int | None = None
    n_read: int = 0
    marks: int = 0
    refused: Mapping[int, Refusal] = field(default_factory=dict)
    paths_sha256: str | None = None

    @property
    def n_written(self) -> int:
        return self.n_read - len(self.refused)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read one that `save` wrote; ValueError where it is damaged or of another version."""
        try:
            content = json.loads(path.read_bytes())
            version = content["format"]
            if version == _FORMAT:
                return cls._of_content(content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged; remove it and the embeddings beside it to start again.") from error
        raise ValueError(
            f"{path} is of format {version!r}; this version reads {_FORMAT}. Choose another output, or remove it and "
            "the embeddings beside it to start again."
        )

    @classmethod
    def _of_content(cls, content: Mapping[str, Any]) -> Manifest:
        refused = {int(row): Refusal(str(reason), _number(mark)) for row, (reason, mark) in content["refused"].items()}
        manifest = cls(
            identity=dict(content["identity"]),
            n_images=_number(content["n_images"]),
            n_features=_number(content["n_features"]),
            n_read=_number(content["n_read"]),
            marks=_number(content["marks"]),
            refused=refused,
            paths_sha256=content["paths_sha256"],
        )
        is_consistent = (
            manifest.n_features != 0
            and manifest.n_read <= manifest.n_images
            and all(0 <= row < manifest.n_read for row in refused)
            and manifest.n_written == content["n_written"]
        )
        if not is_consistent:
            raise ValueError("its numbers contradict each other")
        return manifest

    def save(self, path: Path) -> None:
        content = {
            "format": _FORMAT,
            "identity": self.identity,
            "n_images": self.n_images,
            "n_features": self.n_features,
            "n_read": self.n_read,
            "n_written": self.n_written,
            "marks": self.marks,
            "paths_sha256": self.paths_sha256,
            "refused": dict(self.refused),
        }
        replace_file(path, json.dumps(content, indent=1))

    def refuse_another_job(self, identity: Mapping[str, Any], embeddings: Path) -> None:
        """Raise where this is not the manifest of a job of that identity, and say what differs."""
        before, now = _flat(self.identity), _flat(json.loads(json.dumps(identity)))
        differing = [
            f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key)
        ]
        if differing:
            raise ValueError(
                f"{embeddings} was begun with something else; choose another output, or remove it and "
                f"{embeddings.name}.json. What differs:\n" + "\n".join(differing)
            )


def read_paths(path: Path) -> list[str]:
    """Read what `write_paths` wrote; ValueError where it is damaged."""
    try:
        paths = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing: it says which file each row is of; put it back.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it says which file each row is of; restore it from a copy.") from error
    if not isinstance(paths, list) or not all(isinstance(each, str) for each in paths):
        raise ValueError(f"{path} is no list of paths; restore it from a copy.")
    return paths


def write_paths(path: Path, paths: tuple[str, ...]) -> None:
    """Write a list of texts, one a line, as JSON."""
    replace_file(path, "[\n" + ",\n".join(map(json.dumps, paths)) + "\n]\n")


def replace_file(path: Path, content: str) -> None:
    """Write a text so that whenever the process ends, the old file is there or the new one."""
    unfinished = path.with_name(path.name + ".new")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename last through a loss of power, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Inner values by names such as "images.count", so that only those that differ need be said."""
    flat: dict[str, Any] = {}
    for name, value in identity.items():
        flat |= {f"{name}.{inner}": each for inner, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"it holds {value!r:.40} for a number")
    return value
