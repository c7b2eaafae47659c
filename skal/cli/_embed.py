"""skal embed"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from skal.cli._options import AsJson, ImagesFolder, ProjectFolder, open_project
from skal.cli._output import as_json, message

__all__ = ["embed"]


def embed(
    project: ProjectFolder = None,
    images: ImagesFolder = None,
    backbone: Annotated[str | None, typer.Option(help="What embeds: resnet18, resnet50, timm:…")] = None,
    weights: Annotated[Path | None, typer.Option(help="Its checkpoint.")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Pixels a side.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images at once.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, or auto.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget the embeddings and begin anew; labels stay.")] = False,
    json: AsJson = False,
) -> None:
    """Embed the images that are not embedded yet; interrupted, the same command goes on."""
    from skal.labeling import NothingToDoError

    with open_project(project, images=images) as opened:
        begin = time.perf_counter()
        n_embedded = opened.embed(
            backbone=backbone,
            weights=weights,
            image_size=image_size,
            batch_size=batch_size,
            device=device,
            again=again,
            verbose=0 if json else 1,
        )
        seconds, status = time.perf_counter() - begin, opened.status()
    if json:
        as_json({"n_embedded": n_embedded, "seconds": round(seconds, 3), "n_unread": status.n_unread})
    if not n_embedded:
        raise NothingToDoError(f"All {status.n_embedded} images that can be read are embedded already.")
    if not json:
        speed = n_embedded / max(seconds, 1e-9)
        message(f"{n_embedded} images embedded ({speed:.0f} images/s). Next: {status.next_command}")
