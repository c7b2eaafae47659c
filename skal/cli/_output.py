"""Where things are written: data to standard output, all else to standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from json import dumps
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["as_json", "data", "message", "progress"]


def data(text: str) -> None:
    """Write what a program may read."""
    typer.echo(text)


def as_json(content: Mapping[str, Any]) -> None:
    """Write one object of JSON."""
    typer.echo(dumps(content))


def message(text: str) -> None:
    """Write what a person reads."""
    typer.echo(text, err=True)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, on standard error; gives what to call with how many are done, and of how many."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(n_done: int, n_all: int) -> None:
            bar.update(task, completed=n_done, total=n_all)

        yield show
