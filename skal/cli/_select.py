"""skal select"""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

from skal.cli._options import AsJson, ImagesFolder, ProjectFolder, open_project
from skal.cli._output import as_json, data, message

__all__ = ["select"]


def select(
    pool: Annotated[
        Path | None, typer.Argument(help="A .npy of embeddings, one a row, to pick from without a project.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=0, help="Images, or rows, to pick.")] = 0,
    holdout: Annotated[int, typer.Option(min=0, help="More images, drawn at random, to test with.")] = 0,
    sampler: Annotated[str | None, typer.Option(help="A class that `skal samplers` lists.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the picks.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it takes and covers, and pick nothing.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .csv to write the picks to.")] = None,
    project: ProjectFolder = None,
    images: ImagesFolder = None,
    json: AsJson = False,
) -> None:
    """Pick the images to label next; or rows of an array: skal select pool.npy -n 500 -o picks.csv."""
    if pool is not None:
        if holdout or plan or project is not None:
            raise typer.BadParameter("--holdout, --plan and --project are for a project, not for an array.")
        columns: tuple[str, ...] = ("row",)
        rows = _rows_of_array(pool, n, sampler, seed)
    else:
        with open_project(project, images=images, read_only=plan) as opened:
            if plan:
                planned = opened.plan(n, holdout=holdout, sampler=sampler, random_state=seed)
                return as_json(vars(planned)) if json else data(str(planned))
            picked = opened.select(n, holdout=holdout, sampler=sampler, random_state=seed)
            facts = zip(picked.rows, picked.why, strict=True)
            held_out = set(picked.held_out)
            rows = [(row, opened.images[row].path, int(row in held_out), why) for row, why in facts]
            columns, command = ("skal_id", "path", "held_out", "why"), opened.status().next_command
        message(f"Round {picked.number}: {len(rows)} images, {len(held_out)} of them to test with. Next: {command}")
    table = _table(columns, rows)
    if output is not None:
        _write(output, table)
    if json:
        as_json({"picks": [dict(zip(columns, row, strict=True)) for row in rows]})
    elif output is None:
        data(table.rstrip("\n"))
    return None


def _rows_of_array(path: Path, n: int, sampler: str | None, seed: int | None) -> list[tuple[Any, ...]]:
    import numpy as np

    from skal import registry
    from skal.low_budget import default_sampler

    if n < 1:
        raise typer.BadParameter("Say how many rows to pick: -n 500.")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        X = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} is no .npy of numbers: {error}. Write it with numpy.save.") from error
    known = {entry.name: entry for entry in registry.samplers() if entry.needs == "nothing" and not entry.runs_rounds}
    if sampler is not None and sampler not in known:
        raise ValueError(f"{sampler!r} is no sampler that picks without labels; there are {', '.join(known)}.")
    chosen = default_sampler() if sampler is None else known[sampler].make()
    picks = chosen.set_params(budget=n, random_state=0 if seed is None else seed).fit_select(X)
    return [(row,) for row in picks.tolist()]


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, table: str) -> None:
    from skal._files._atomic import write_atomically

    write_atomically(path, table.encode(errors="surrogateescape"))
