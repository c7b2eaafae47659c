"""Datumaro's JSON: one file a subset."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skal._files._atomic import write_atomically
from skal.labeling.formats._names import refuse_collisions, without_suffix
from skal.labeling.formats._reading import malformed, read_json
from skal.labeling.formats._records import Export, Format, ImportedLabel

__all__ = ["DATUMARO"]


def write(export: Export, target: Path) -> str:
    """Write ``annotations/default.json`` below a folder, or the file that is named."""
    refuse_collisions(export.items, "Datumaro")
    index_of = {name: index for index, name in enumerate(export.classes)}
    items = [
        {
            "id": without_suffix(item.path),
            "annotations": []
            if item.label is None
            else [{"id": 0, "type": "label", "attributes": {}, "group": 0, "label_id": index_of[item.label]}],
            "attr": {"skal_id": item.row},
            "image": {"path": item.path},
        }
        for item in export.items
    ]
    labels = [{"name": name, "parent": "", "attributes": []} for name in export.classes]
    content = {"info": {}, "categories": {"label": {"labels": labels, "attributes": []}}, "items": items}
    file = target if target.suffix == ".json" else target / "annotations" / "default.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(content, indent=1))
    return f"The images belong into images/default beside {file.parent}."


def read(path: Path) -> list[ImportedLabel]:
    """Read one file, or all of ``annotations/`` below a folder."""
    if not path.is_dir():
        return list(_labels_of(path))
    files = sorted((path / "annotations").glob("*.json")) or sorted(path.glob("*.json"))
    if not files:
        raise FileNotFoundError(f"{path} holds no annotations/*.json; pass the folder that Datumaro wrote.")
    return [label for file in files for label in _labels_of(file)]


def _labels_of(path: Path) -> Iterator[ImportedLabel]:
    content = read_json(path)
    try:
        names = [str(label["name"]) for label in content["categories"]["label"]["labels"]]
        items = list(content["items"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no Datumaro file of labels: {error!r} is missing in it.") from error
    for number, item in enumerate(items, start=1):
        yield _label(item, f"item {number} ({item.get('id')})", names, path)


def _label(item: Mapping[str, Any], where: str, names: list[str], path: Path) -> ImportedLabel:
    image = item.get("image") or item.get("media") or {}
    image_path = str(image.get("path") or item.get("id") or "") or None
    skal_id = (item.get("attr") or {}).get("skal_id")
    ids = sorted({each.get("label_id") for each in item.get("annotations", []) if each.get("type") == "label"})
    if len(ids) > 1:
        raise malformed(path, where, f"it has {len(ids)} labels; one is meant")
    if not ids:
        return ImportedLabel(where, "unlabelled", skal_id=skal_id, path=image_path)
    if not isinstance(ids[0], int) or not 0 <= ids[0] < len(names):
        raise malformed(path, where, f"its label_id {ids[0]!r} is none of the {len(names)} labels of the file")
    return ImportedLabel(where, "labelled", names[ids[0]], skal_id=skal_id, path=image_path)


DATUMARO = Format("datumaro", "Datumaro's JSON", "folder, or default.json", write, read)
