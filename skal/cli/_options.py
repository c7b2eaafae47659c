"""Options that several commands have, and the project that they work on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from skal.labeling import LabelingProject

__all__ = ["Abstain", "AsJson", "ImagesFolder", "NewClass", "ProjectFolder", "find_project", "open_project"]

ProjectFolder = Annotated[
    Path | None,
    typer.Option(
        "--project",
        "-p",
        envvar="SKAL_PROJECT",
        help="Folder of the project; by default the one in or beside this folder.",
    ),
]
ImagesFolder = Annotated[
    Path | None, typer.Option("--images", help="Where the images are now, if they moved and are not found.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
NewClass = Annotated[
    bool, typer.Option("--new-class", help="Take labels that are none of the classes of the settings.")
]
Abstain = Annotated[float, typer.Option(min=0, max=1, help="Predictions with less confidence abstain.")]

_SUFFIX, _MANIFEST = ".skal", "manifest.json"


def find_project(given: Path | None) -> Path:
    """Return the folder of the project: the one given, this one, or the only one in or beside it.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or more than one.
    """
    if given is not None:
        beside = given.with_name(given.name + _SUFFIX)  # a folder of images stands for the project beside it
        return beside if not _is_project(given) and _is_project(beside) else given
    here = Path(os.path.abspath(Path.cwd()))
    for folder in (here, here.with_name(here.name + _SUFFIX)):
        if _is_project(folder):
            return folder
    found = sorted(folder for folder in here.glob(f"*{_SUFFIX}") if _is_project(folder))
    if not found:
        raise FileNotFoundError("There is no project here. Make one with `skal init FOLDER`, or say which: --project.")
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise ValueError(f"There are several projects here: {names}. Say which: --project.")
    return found[0]


def open_project(given: Path | None, *, images: Path | None = None, read_only: bool = False) -> LabelingProject:
    """Open the project to work on."""
    from skal.labeling import LabelingProject

    return LabelingProject.open(find_project(given), images=images, read_only=read_only)


def _is_project(folder: Path) -> bool:
    return (folder / _MANIFEST).is_file()
