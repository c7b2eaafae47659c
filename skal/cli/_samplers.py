"""skal samplers"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from skal.cli._output import as_json

__all__ = ["samplers"]

_SHOWN = ("title", "summary", "order", "needs", "carries_over", "runs_rounds")


def samplers(json: Annotated[bool, typer.Option("--json", help="Print one JSON object a sampler.")] = False) -> None:
    """List the samplers: what each picks, in which order, and what it needs to know."""
    from skal import registry

    if json:
        for entry in registry.samplers():
            as_json({"class": entry.name, **{name: getattr(entry, name) for name in _SHOWN}})
        return
    table = Table(Column("sampler", no_wrap=True), "picks", "order", "needs")
    for entry in registry.samplers():
        table.add_row(entry.name, entry.summary, entry.order, entry.needs)
    Console().print(table)
