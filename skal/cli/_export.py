"""skal export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skal.cli._options import ImagesFolder, ProjectFolder, open_project
from skal.cli._output import message

__all__ = ["export"]


def export(
    target: Annotated[Path, typer.Argument(help="The file or folder to write.")],
    to: Annotated[
        str, typer.Option("--to", help="label-studio, cvat, datumaro, fiftyone, imagefolder, csv or class-folders.")
    ],
    which: Annotated[str, typer.Option(help="picked, pending, labeled or all.")] = "picked",
    suggestions: Annotated[bool, typer.Option("--suggestions", help="Add what the model says.")] = False,
    link: Annotated[bool, typer.Option("--link", help="Link to images in place of copying them.")] = False,
    project: ProjectFolder = None,
    images: ImagesFolder = None,
) -> None:
    """Write images and labels for a labelling tool, a training script or a colleague."""
    with open_project(project, images=images, read_only=images is None) as opened:
        next_step = opened.export(target, to, which=which, suggestions=suggestions, link=link)  # type: ignore[arg-type]
    message(f"Written: {target}. {next_step}")
