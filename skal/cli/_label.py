"""skal label"""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from skal._install import hint_for_extra
from skal.cli._options import ImagesFolder, ProjectFolder, open_project
from skal.cli._output import data, message

__all__ = ["label"]


def label(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 0,
    annotator: Annotated[str | None, typer.Option(envvar="SKAL_ANNOTATOR", help="Who labels.")] = None,
    price: Annotated[
        float | None, typer.Option(min=0, envvar="SKAL_PRICE", help="Of a label: shows the money spent and left.")
    ] = None,
    money: Annotated[
        float | None,
        typer.Option(min=0, envvar="SKAL_MONEY", help="For labels in all; by default the price of all that is picked."),
    ] = None,
    suggestions: Annotated[bool, typer.Option(help="Say which classes are likely, from the second round on.")] = True,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    project: ProjectFolder = None,
    images: ImagesFolder = None,
) -> None:
    """Label the picked images in the browser, one key an image."""
    try:
        from skal.labeling.page import serve
    except ImportError as error:
        raise ImportError(f"The page needs starlette and uvicorn: {hint_for_extra('label')}") from error
    from skal.labeling import NothingToDoError

    with open_project(project, images=images) as opened:
        if not opened.ledger.rounds:
            raise NothingToDoError("No image was picked yet: skal select -n 60 --holdout 40")
        opened.settings = opened.settings.over(price=price, money=money)

        def show(address: str) -> None:
            data(address)
            message("Labels are kept as they are given. Ctrl+C ends the page.")
            if browser:
                webbrowser.open(address)

        try:
            serve(opened, port=port, annotator=annotator, suggestions=suggestions, on_address=show)
        finally:  # Ctrl+C is how it ends
            message(f"Next: {opened.status(compare_images=False).next_command}")
