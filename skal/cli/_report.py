"""skal report"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from skal.cli._options import AsJson, ImagesFolder, ProjectFolder, open_project
from skal.cli._output import as_json, message, progress

__all__ = ["report"]


def report(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .html to write; by default report.html in the project.")
    ] = None,
    price: Annotated[float | None, typer.Option(min=0, envvar="SKAL_PRICE", help="Of one answer.")] = None,
    project: ProjectFolder = None,
    images: ImagesFolder = None,
    json: AsJson = False,
) -> None:
    """Write all that is known as one HTML file that needs nothing else."""
    with (
        open_project(project, images=images, read_only=images is None) as opened,
        progress("Looking at images") as on_image,
    ):
        written = opened.report(output, price=price, on_image=on_image)
    if json:
        as_json({"report": os.fspath(written)})
    else:
        message(f"Written: {written}. Open it in a browser.")
