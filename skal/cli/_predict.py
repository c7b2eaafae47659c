"""skal predict"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skal.cli._options import Abstain, AsJson, ProjectFolder, open_project
from skal.cli._output import as_json, data, message

__all__ = ["predict"]


def predict(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of other images; by default those of the project.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .csv to write.")] = None,
    abstain_below: Abstain = 0.5,
    weights: Annotated[Path | None, typer.Option(help="Where the checkpoint lies now, if it was moved.")] = None,
    project: ProjectFolder = None,
    json: AsJson = False,
) -> None:
    """Predict the class of each image, with confidence; unsure ones abstain."""
    with open_project(project, read_only=True) as opened:
        found = opened.predict(folder, abstain_below=abstain_below, weights=weights, verbose=0 if json else 1)
    table = found.to_csv(output)
    if json:
        as_json({"predictions": found.rows()})
    elif output is None:
        data(table.rstrip("\n"))
    else:
        n_unread = sum(problem is not None for problem in found.problems)
        message(f"{len(found)} images, {int(found.abstain.sum())} abstain, {n_unread} of them unread: {output}")
