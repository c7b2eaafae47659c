"""The published numbers, cell by cell; `published/README.md` says which are left out."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables.descriptions import Line, Panel

__all__ = ["FOLDER", "PublishedCell", "find_published", "read_published"]

FOLDER = Path(__file__).parent / "published"


@dataclass(frozen=True)
class PublishedCell:
    """One number of the paper, in per cent."""

    dataset: str
    selection_backbone: str
    backbone: str
    method: str
    evaluation: str
    metric: str
    budget: int
    value: float
    std: float | None  # None where there was one run, or it cannot be read


def read_published(number: str) -> list[PublishedCell]:
    """Return the cells of one table."""
    with (FOLDER / f"table_{number}.csv").open(newline="") as file:
        return [
            PublishedCell(
                row["dataset"],
                row["selection_backbone"],
                row["backbone"],
                row["method"],
                row["evaluation"],
                row["metric"],
                int(row["budget"]),
                float(row["value"]),
                float(row["std"]) if row["std"] else None,
            )
            for row in csv.DictReader(file)
        ]


def find_published(cells: list[PublishedCell], panel: Panel, line: Line, budget: int) -> PublishedCell | None:
    """Return the number that the paper has for a line at a budget, None where it has none that can be read."""
    backbone = "" if line.backbone is None else line.backbone.name
    wanted = (panel.dataset.name, line.selection_backbone.name, backbone, line.method, line.evaluation, panel.metric)
    for cell in cells:
        if cell.budget == budget and wanted == (
            cell.dataset, cell.selection_backbone, cell.backbone, cell.method, cell.evaluation, cell.metric
        ):  # fmt: skip
            return cell
    return None
