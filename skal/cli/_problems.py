"""skal problems"""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table

from skal.cli._options import AsJson, ImagesFolder, ProjectFolder, open_project
from skal.cli._output import as_json, message, progress

__all__ = ["problems"]

_SHOWN = 5


def problems(project: ProjectFolder = None, images: ImagesFolder = None, json: AsJson = False) -> None:
    """List images that a label would be wasted on; nothing is deleted."""
    from skal.labeling import RULES

    with open_project(project, images=images, read_only=images is None) as opened:
        with progress("Looking at images") as on_image:
            found = opened.problems(on_image=on_image)
        paths = {kind: [opened.images[row].path for row in rows] for kind, rows in found.by_kind().items()}
    if json:
        as_json({"is_embedded": found.is_embedded, "rules": RULES, "images": paths})
        return
    table = Table(Column("problem", no_wrap=True), Column("images", justify="right"), "which", "rule")
    for kind, names in paths.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        table.add_row(kind, str(len(names)), ", ".join(names[:_SHOWN]) + more, RULES[kind])
    Console().print(table)
    if not found.is_embedded:
        message("Near duplicates and outlying images are found once the images are embedded: skal embed.")
