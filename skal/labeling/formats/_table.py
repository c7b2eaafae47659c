"""A plain table: one line for each person's label of an image."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from skal._files._atomic import write_atomically
from skal.labeling.formats._reading import as_skal_id, malformed, read_table
from skal.labeling.formats._records import Export, ExportItem, Format, ImportedLabel

__all__ = ["TABLE"]

_COLUMNS = ("skal_id", "path", "label", "annotator", "seconds", "time", "skipped", "held_out")
_PATHS = ("path", "image", "file_name", "filename", "file", "name")


def write(export: Export, target: Path) -> str:
    """Write all images; those without label have an empty one, to be filled in."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for item in export.items:
        writer.writerows(_lines(item))
    write_atomically(target, text.getvalue().encode(errors="surrogateescape"))
    return "Fill in the column label, or say in skipped why an image has none, and import the file again."


def read(path: Path) -> list[ImportedLabel]:
    """Read a table with a column of paths (path, image, file_name, …) and one called label."""
    rows = read_table(path)
    if not rows:
        return []
    column = next((name for name in _PATHS if name in rows[0]), None)
    if "label" not in rows[0] or (column is None and "skal_id" not in rows[0]):
        raise ValueError(f"{path} needs columns path (or skal_id) and label; found {', '.join(rows[0])}.")
    return [_label(row, column, f"row {number}", path) for number, row in enumerate(rows, start=1)]


def _lines(item: ExportItem) -> Iterator[tuple[Any, ...]]:
    held_out = int(item.is_held_out)
    for each in item.opinions:
        seconds = "" if each.seconds is None else each.seconds
        yield item.row, item.path, each.label, each.annotator or "", seconds, each.time, "", held_out
    if not item.opinions:
        yield item.row, item.path, "", "", "", "", item.skipped or "", held_out


def _label(row: dict[str, str], column: str | None, where: str, path: Path) -> ImportedLabel:
    label, skipped, seconds = row["label"], row.get("skipped", ""), row.get("seconds", "")
    if label and skipped:
        raise malformed(path, where, f"it has the label {label!r} and was skipped ({skipped!r}); one is meant")
    try:
        took = float(seconds) if seconds else None
    except ValueError as error:
        raise malformed(path, where, f"seconds is {seconds!r}, no number") from error
    return ImportedLabel(
        where,
        "labelled" if label else "skipped" if skipped else "unlabelled",
        label or None,
        skal_id=as_skal_id(row.get("skal_id")),
        path=(row[column] if column else "") or None,
        annotator=row.get("annotator") or None,
        seconds=took,
        reason=skipped,
    )


TABLE = Format("csv", "a table with path and label", "labels.csv", write, read)
