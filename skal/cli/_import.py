"""skal import"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skal.cli._options import AsJson, NewClass, ProjectFolder, open_project
from skal.cli._output import as_json, message

__all__ = ["import_"]


def import_(
    source: Annotated[Path, typer.Argument(help="The file or folder that came back.")],
    format: Annotated[
        str,
        typer.Option(
            "--from",
            help="label-studio, label-studio-min, label-studio-csv, cvat, datumaro, fiftyone, imagefolder, csv or "
            "class-folders.",
        ),
    ],
    annotator: Annotated[
        str | None, typer.Option(envvar="SKAL_ANNOTATOR", help="Who labelled, where the file does not say.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take labels that contradict earlier ones.")] = False,
    new_class: NewClass = False,
    project: ProjectFolder = None,
    json: AsJson = False,
) -> None:
    """Take labels from a file; importing it twice adds nothing."""
    with open_project(project) as opened:
        report = opened.import_labels(source, format, annotator=annotator, replace=replace, new_class=new_class)
        command = opened.status(compare_images=False).next_command
    if json:
        as_json(vars(report))
    else:
        message(f"{report} Next: {command}")
