"""Label Studio's full JSON: tasks with annotations and predictions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from skal._files._atomic import write_atomically
from skal.labeling.formats._names import local_files_url, path_in_url
from skal.labeling.formats._reading import as_skal_id, malformed, read_json
from skal.labeling.formats._records import Export, ExportItem, Format, ImportedLabel

__all__ = ["LABEL_STUDIO", "annotator_of", "choice_of"]


def write(export: Export, target: Path) -> str:
    """Write tasks, and the labelling configuration beside them."""
    if not export.classes:
        raise ValueError(
            "Label Studio must be told the classes, and none is known: list them as classes in skal.toml, or in "
            "SKAL_CLASSES."
        )
    tasks = [_task(item, export) for item in export.items]
    config = target.with_name(f"{target.stem}.config.xml")
    write_atomically(config, _config(export.classes))
    write_atomically(target, json.dumps(tasks, indent=1))
    images = Path(os.path.abspath(export.images_folder))
    return (
        f"Start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={images.parent}. In the project, paste {config} as labelling "
        f"interface, add a Local Files storage of {images}, and import {target}. Come back with its export as JSON."
    )


def read(path: Path) -> list[ImportedLabel]:
    """Read an export; cancelled is skipped, an empty result is empty, no annotation is unlabelled."""
    tasks = read_json(path)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ValueError(f"{path} is no list of Label Studio's tasks; export as JSON.")
    if tasks and not any("data" in task for task in tasks):
        raise ValueError(f"{path} holds no tasks with data; exported as JSON_MIN? Then read it as label-studio-min.")
    return [label for number, task in enumerate(tasks, start=1) for label in _labels_of(task, number, path)]


def choice_of(value: Any) -> list[str]:
    """The choices in what Label Studio writes for them: a text, or a dict with a list."""
    if isinstance(value, Mapping):
        value = value.get("choices", [])
    return [str(each) for each in (value if isinstance(value, list) else [value]) if each not in (None, "")]


def _task(item: ExportItem, export: Export) -> dict[str, Any]:
    # Label Studio writes over keys such as id, annotator and created_at, and over one named like the control.
    data = {"image": local_files_url(item.path, export.images_folder), "skal_id": item.row, "skal_path": item.path}
    task: dict[str, Any] = {"data": data}
    annotations = [
        # completed_by must be a user that Label Studio knows, so the name travels beside it.
        {
            "result": [_result(opinion.label)], "ground_truth": False, "was_cancelled": False,
            "lead_time": opinion.seconds, "skal_annotator": opinion.annotator,
        }
        for opinion in item.opinions
    ]  # fmt: skip
    if item.skipped is not None:
        annotations.append({"result": [], "ground_truth": False, "was_cancelled": True})
    if annotations:
        task["annotations"] = annotations
    if item.suggestion is not None:
        label, confidence = item.suggestion
        task["predictions"] = [{"result": [_result(label)], "score": round(confidence, 4), "model_version": "skal"}]
    return task


def _result(label: str) -> dict[str, Any]:
    value = {"choices": [label]}
    return {"id": "skal", "from_name": "label", "to_name": "image", "type": "choices", "value": value}


def _config(classes: tuple[str, ...]) -> str:
    choices = "\n".join(f"    <Choice value={quoteattr(each)}/>" for each in classes)
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <Choices name="label" toName="image" choice="single" required="true">\n{choices}\n  </Choices>\n</View>\n'
    )


def _labels_of(task: Mapping[str, Any], number: int, path: Path) -> Iterator[ImportedLabel]:
    data = task.get("data")
    data = data if isinstance(data, Mapping) else {}
    known: dict[str, Any] = {
        "skal_id": as_skal_id(data.get("skal_id")),
        "path": str(data.get("skal_path") or path_in_url(str(data.get("image", "")))) or None,
    }
    where, annotations = f"task {number}", task.get("annotations") or []
    if not annotations:
        yield ImportedLabel(where, "unlabelled", **known)
    for annotation in annotations:
        who: dict[str, Any] = {
            "annotator": annotation.get("skal_annotator") or annotator_of(annotation.get("completed_by")),
            "seconds": annotation.get("lead_time"),
        }
        if annotation.get("was_cancelled"):
            yield ImportedLabel(where, "skipped", **known, **who, reason="skipped in Label Studio")
            continue
        results = [each for each in annotation.get("result", []) if each.get("type") == "choices"]
        choices = [choice for each in results for choice in choice_of(each.get("value"))]
        if len(choices) > 1:
            raise malformed(
                path, where, f"one annotation has {len(choices)} choices ({', '.join(choices)}); one is meant"
            )
        if choices:
            yield ImportedLabel(where, "labelled", choices[0], **known, **who)
        else:
            yield ImportedLabel(where, "empty", **known, **who)


def annotator_of(who: Any) -> str | None:
    """The name of whoever labelled: an e-mail address where it is known, else the number of the user."""
    if isinstance(who, Mapping):
        who = who.get("email") or who.get("id")
    if who in (None, ""):
        return None
    return str(who) if "@" in str(who) else f"Label Studio user {who}"


LABEL_STUDIO = Format("label-studio", "Label Studio, JSON with annotations and suggestions", "tasks.json", write, read)
