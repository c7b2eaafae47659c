"""skal evaluate"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Column, Table

from skal.cli._options import AsJson, ProjectFolder, open_project
from skal.cli._output import as_json, data

__all__ = ["evaluate"]

_SHOWN = 5


def evaluate(project: ProjectFolder = None, json: AsJson = False) -> None:
    """Say how often the model is right on the labels that it never saw."""
    with open_project(project, read_only=True) as opened:
        found = opened.evaluate()
    if json:
        content: dict[str, Any] = {"n": found.n, "n_correct": found.n_correct, "accuracy": found.accuracy}
        content |= {
            "low": found.low,
            "high": found.high,
            "classes": found.classes,
            "confusion": found.confusion.tolist(),
        }
        as_json(content | {"mistakes": [dict(vars(each)) for each in found.mistakes]})
        return
    data(str(found))
    table = Table("label", "predicted", Column("confidence", justify="right"), "image", title="Most confident mistakes")
    for each in found.mistakes[:_SHOWN]:
        table.add_row(each.label, each.predicted, f"{each.confidence:.2f}", each.path)
    if found.mistakes:
        Console().print(table)
