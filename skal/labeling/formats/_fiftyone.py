"""FiftyOneImageClassificationDataset: labels.json beside the images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from skal._files._atomic import write_atomically
from skal.labeling.formats._names import refuse_collisions, without_suffix
from skal.labeling.formats._reading import malformed, read_json
from skal.labeling.formats._records import Export, Format, ImportedLabel

__all__ = ["FIFTYONE"]


def write(export: Export, target: Path) -> str:
    """Write labels.json; the images stay where they are."""
    refuse_collisions(export.items, "FiftyOne")
    index_of = {name: index for index, name in enumerate(export.classes)}
    labels = {without_suffix(item.path): None if item.label is None else index_of[item.label] for item in export.items}
    write_atomically(target, json.dumps({"classes": list(export.classes), "labels": labels}, indent=1))
    return (
        "In Python: fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.FiftyOneImageClassificationDataset, "
        f"data_path={str(export.images_folder)!r}, labels_path={str(target)!r})."
    )


def read(path: Path) -> list[ImportedLabel]:
    """Read labels.json; null is unlabelled."""
    content = read_json(path)
    labels = content.get("labels") if isinstance(content, dict) else None
    classes = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(labels, dict) or not isinstance(classes, list | None):
        raise ValueError(f"{path} is no labels.json of a FiftyOneImageClassificationDataset.")
    return [
        ImportedLabel(name, "unlabelled", path=name)
        if value is None
        else ImportedLabel(name, "labelled", _name_of(value, classes, name, path), path=name)
        for name, value in labels.items()
    ]


def _name_of(value: Any, classes: list[Any] | None, where: str, path: Path) -> str:
    if isinstance(value, dict):  # several attributes of one classification
        value = value.get("label")
    if isinstance(value, int) and not isinstance(value, bool):
        if classes is None or not 0 <= value < len(classes):
            raise malformed(path, where, f"its label {value} is no index of the classes of the file")
        return str(classes[value])
    if not isinstance(value, str):
        raise malformed(path, where, f"its label is {value!r}; one class is meant")
    return value


FIFTYONE = Format("fiftyone", "FiftyOne's labels.json", "labels.json", write, read)
