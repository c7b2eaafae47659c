"""Hugging Face's imagefolder: images beside a metadata.csv, a folder a split."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

from skal._files._atomic import write_atomically
from skal.labeling.formats._names import place_image
from skal.labeling.formats._reading import as_skal_id, as_text, read_table, read_text
from skal.labeling.formats._records import Export, Format, ImportedLabel

__all__ = ["IMAGEFOLDER"]

_NAMES = ("metadata.csv", "metadata.jsonl")


def write(export: Export, target: Path) -> str:
    """Copy the labelled images below ``train`` and, those held out, ``test``; images without label are left out."""
    for split, is_test in (("train", False), ("test", True)):
        items = [item for item in export.labeled if item.is_held_out == is_test]
        if not items:
            continue
        text = StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("file_name", "label", "skal_id"))
        for item in items:
            place_image(export, item, target / split / item.path)
            writer.writerow((item.path, item.label, item.row))
        write_atomically(target / split / _NAMES[0], text.getvalue().encode(errors="surrogateescape"))
    return f"In Python: datasets.load_dataset('imagefolder', data_dir={str(target)!r})."


def read(path: Path) -> list[ImportedLabel]:
    """Read metadata.csv or metadata.jsonl, a file or all below a folder."""
    files = [path] if path.is_file() else sorted(file for name in _NAMES for file in path.rglob(name))
    if not files:
        raise FileNotFoundError(f"{path} holds no {' or '.join(_NAMES)}; images in folders by class: class-folders.")
    return [label for file in files for label in _labels_of(file)]


def _labels_of(path: Path) -> list[ImportedLabel]:
    if path.suffix == ".jsonl":
        try:
            rows = [json.loads(line) for line in read_text(path).splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is no JSON lines: {error}.") from error
    else:
        rows = list(read_table(path))
    if rows and not {"file_name", "label"} <= rows[0].keys():
        raise ValueError(f"{path} has no columns file_name and label; found {', '.join(rows[0])}.")
    return [
        ImportedLabel(
            f"{path.name}, row {number}",
            "labelled" if as_text(row.get("label")) else "unlabelled",
            as_text(row.get("label")) or None,
            skal_id=as_skal_id(row.get("skal_id")),
            path=as_text(row.get("file_name")) or None,
        )
        for number, row in enumerate(rows, start=1)
    ]


IMAGEFOLDER = Format("imagefolder", "Hugging Face's imagefolder", "folder", write, read)
