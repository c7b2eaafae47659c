"""skal init"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from skal.cli._options import AsJson, ProjectFolder
from skal.cli._output import as_json, message, progress

__all__ = ["init"]


def init(
    images: Annotated[Path, typer.Argument(help="Folder of images; it stays as it is.")],
    project: ProjectFolder = None,
    classes: Annotated[
        str | None, typer.Option(envvar="SKAL_CLASSES", help="What a label may be, separated by commas.")
    ] = None,
    backbone: Annotated[str | None, typer.Option(envvar="SKAL_BACKBONE", help="What embeds: resnet18, timm:…")] = None,
    weights: Annotated[Path | None, typer.Option(envvar="SKAL_WEIGHTS", help="Its checkpoint.")] = None,
    image_size: Annotated[int | None, typer.Option(envvar="SKAL_IMAGE_SIZE", help="Pixels a side.")] = None,
    seed: Annotated[int, typer.Option(envvar="SKAL_RANDOM_STATE", help="Of all that is random.")] = 0,
    json: AsJson = False,
) -> None:
    """Make a project of a folder of images, beside it."""
    from skal.labeling import LabelingProject

    images = Path(os.path.abspath(images))
    folder = images.with_name(f"{images.name}.skal") if project is None else project
    listed = [] if classes is None else [each.strip() for each in classes.split(",") if each.strip()]
    with (
        progress("Reading images") as on_image,
        LabelingProject.create(
            folder,
            images,
            classes=listed,
            backbone=backbone,
            weights=weights,
            image_size=image_size,
            random_state=seed,
            on_image=on_image,
        ) as made,
    ):
        n_images = len(made.images)
    if json:
        as_json({"project": os.fspath(folder), "images": os.fspath(images), "n_images": n_images})
        return
    message(f"{n_images} images. The project is {folder}; its settings are in {folder / 'skal.toml'}. Next: skal embed")
