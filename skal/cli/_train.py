"""skal train"""

from __future__ import annotations

from typing import Annotated

import typer

from skal.cli._options import AsJson, ProjectFolder, open_project
from skal.cli._output import as_json, message

__all__ = ["train"]


def train(
    classifier: Annotated[
        str | None, typer.Option(help="A class of skal.classifiers, such as CosineKNNClassifier.")
    ] = None,
    project: ProjectFolder = None,
    json: AsJson = False,
) -> None:
    """Train a classifier on the labels, those to test with left out."""
    with open_project(project) as opened:
        model = opened.train(classifier)
        path, command = opened.folder / "model.npz", opened.status(compare_images=False).next_command
    name, n_labels = type(model.classifier).__name__, len(model.labels)
    if json:
        as_json({"model": str(path), "classifier": name, "n_labels": n_labels, "classes": list(model.classes)})
    else:
        message(f"{name} trained on {n_labels} labels of {len(model.classes)} classes: {path}. Next: {command}")
