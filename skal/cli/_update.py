"""skal update"""

from __future__ import annotations

from skal.cli._options import AsJson, ImagesFolder, ProjectFolder, open_project
from skal.cli._output import as_json, message

__all__ = ["update"]

_SHOWN = 5


def update(project: ProjectFolder = None, images: ImagesFolder = None, json: AsJson = False) -> None:
    """Take in images that are new, renamed or changed; nothing that is known is lost."""
    from skal.labeling import NothingToDoError

    with open_project(project, images=images) as opened:
        changes = opened.update()
        found = {
            "new": list(changes.new),
            "changed": [opened.images[row].path for row in changes.changed],
            "renamed": [path for _, path in changes.renamed],
            "missing": [opened.images[row].path for row in changes.missing],
        }
    if json:
        as_json(found)
    for what, names in found.items():
        if names and not json:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            message(f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}")
    if not changes:
        raise NothingToDoError("The images are as the project knows them.")
    if not json and (changes.new or changes.changed):
        message("Next: skal embed")
