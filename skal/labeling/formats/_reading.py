"""Reading files that come from elsewhere, with messages that name them."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

__all__ = ["as_skal_id", "as_text", "malformed", "read_json", "read_table", "read_text", "read_xml"]


def read_text(path: Path) -> str:
    """Read UTF-8, with or without a byte order mark."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; pass the file that the tool exported.")
    try:
        return path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {path}; pass the file that the tool exported.") from error


def read_json(path: Path) -> Any:
    """Read JSON; ValueError says where it is broken."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}. Export it again.") from error


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table with a head, separated by commas, semicolons or tabs; names of columns in small letters."""
    text = read_text(path)
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    try:
        rows = list(csv.DictReader(StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ValueError(f"{path} is no table of {delimiter!r}-separated values: {error}.") from error
    return [{(name or "").strip().lower(): as_text(value) for name, value in row.items()} for row in rows]


def read_xml(path: Path) -> Element:
    """Read XML; a document type is refused, and with it every entity that could be expanded."""
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise ValueError(f"{path} declares a document type, which no labelling tool writes; it is not read.")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(read_text(path).encode(errors="surrogateescape"), True)
    except expat.ExpatError as error:
        raise ValueError(f"{path} is no XML: {error}. Export it again.") from error
    root: Element = builder.close()
    return root


def as_text(value: Any) -> str:
    """A cell as text; more cells than the head names come as a list."""
    return "" if value is None or isinstance(value, list) else str(value).strip()


def as_skal_id(value: Any) -> int | None:
    """A row number that a tool gave back, as a number or as text."""
    try:
        return None if value in (None, "") else int(value)
    except (TypeError, ValueError):
        return None


def malformed(path: Path, where: str, what: str) -> ValueError:
    """An error about one place of a file."""
    return ValueError(f"{path}, {where}: {what}.")
