"""One folder a class, as many training scripts want it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from skal.labeling._images import hash_file, scan
from skal.labeling.formats._names import place_image
from skal.labeling.formats._records import Export, Format, ImportedLabel

__all__ = ["CLASS_FOLDERS"]

_SPLITS = ("train", "test", "val")


def write(export: Export, target: Path) -> str:
    """Copy the labelled images to ``train/<class>/`` and, those held out, ``test/<class>/``; names are unique."""
    for item in export.labeled:
        split = "test" if item.is_held_out else "train"
        name = f"{item.row:06}-{PurePosixPath(item.path).name}"
        place_image(export, item, target / split / _checked(str(item.label)) / name)
    return f"{target} holds train/ and, where images are held out, test/, with a folder a class in each."


def read(path: Path) -> list[ImportedLabel]:
    """Take the folder that an image lies in for its class; the image is known by its content, not its name."""
    labels = []
    for relative in scan(path):
        *_, folder = PurePosixPath(relative).parent.parts or ("",)
        if folder in ("", *_SPLITS):
            raise ValueError(f"{path / relative} lies in no folder of a class; put it into one.")
        labels.append(ImportedLabel(relative, "labelled", folder, path=relative, sha256=hash_file(path / relative)))
    return labels


def _checked(name: str) -> str:
    if name in (".", "..") or name != name.strip(" .") or set(name) & set('/\\:*?"<>|') or not name.isprintable():
        raise ValueError(
            f"The class {name!r} is no name of a folder on every system; rename it, or take another format."
        )
    return name


CLASS_FOLDERS = Format("class-folders", "a folder a class, split into train and test", "folder", write, read)
