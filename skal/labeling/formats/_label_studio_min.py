"""Label Studio's JSON_MIN and CSV: one row an annotation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skal.labeling.formats._label_studio import annotator_of, choice_of
from skal.labeling.formats._names import path_in_url
from skal.labeling.formats._reading import as_skal_id, malformed, read_json, read_table
from skal.labeling.formats._records import Format, ImportedLabel

__all__ = ["LABEL_STUDIO_CSV", "LABEL_STUDIO_MIN"]


def read_min(path: Path) -> list[ImportedLabel]:
    """Read JSON_MIN. It has no cancelled annotations, and tasks that have only those are not in it."""
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path} is no list of rows; export as JSON_MIN, or read full JSON as label-studio.")
    if any("data" in row for row in rows):
        raise ValueError(f"{path} is full JSON; read it as label-studio.")
    return [_label(row, f"row {number}", path) for number, row in enumerate(rows, start=1)]


def read_csv(path: Path) -> list[ImportedLabel]:
    """Read CSV, whose cells are those of JSON_MIN as text."""
    rows = read_table(path)
    if rows and "image" not in rows[0]:
        raise ValueError(f"{path} has no column 'image'; export from Label Studio as CSV, or read it as csv.")
    return [_label(row, f"row {number}", path) for number, row in enumerate(rows, start=1)]


def _label(row: Mapping[str, Any], where: str, path: Path) -> ImportedLabel:
    value = row.get("label")
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise malformed(path, where, f"the label {value!r} cannot be read") from error
    choices = choice_of(value)
    if len(choices) > 1:
        raise malformed(path, where, f"{len(choices)} choices ({', '.join(choices)}); one is meant")
    image = str(row.get("skal_path") or path_in_url(str(row.get("image") or "")))
    who, seconds = row.get("annotator"), row.get("lead_time")
    return ImportedLabel(
        where,
        "labelled" if choices else "unlabelled",
        choices[0] if choices else None,
        skal_id=as_skal_id(row.get("skal_id")),
        path=image or None,
        annotator=annotator_of(who),
        seconds=float(seconds) if seconds not in (None, "") else None,
    )


LABEL_STUDIO_MIN = Format("label-studio-min", "Label Studio's JSON_MIN", "export.json", None, read_min)
LABEL_STUDIO_CSV = Format("label-studio-csv", "Label Studio's CSV", "export.csv", None, read_csv)
