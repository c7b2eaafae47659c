"""skal demo"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["demo"]


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the two pictures; made if it is not there.")] = Path(
        "skal-demo"
    ),
    n_jobs: Annotated[int | None, typer.Option(help="Processes; by default one.")] = None,
) -> None:
    """Choose which of 1,797 handwritten digits to label, and compare with random choice."""
    from skal._demo import BUDGETS, EXPLANATION, N_SEEDS, draw_demo, make_classifiers, make_samplers, run_demo

    console = Console()
    console.print(
        "A pool of handwritten digits, nobody has labelled them yet. Which ones are worth a label?", highlight=False
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        n_scores = len(make_samplers()) * len(make_classifiers()) * len(BUDGETS) * N_SEEDS
        task = progress.add_task("Selecting and training", total=n_scores)
        curve = run_demo(n_jobs=n_jobs, on_score=lambda score: progress.advance(task))
    typer.echo(f"\n{curve}\n")
    typer.echo(f"{EXPLANATION}\n")
    try:
        pictures = draw_demo(curve, output)
    except ImportError as error:
        raise SystemExit(str(error)) from error
    except OSError as error:
        raise SystemExit(f"Cannot write the pictures to {output}: {error.strerror}. Pass another --output.") from error
    for what, path in pictures.items():
        typer.echo(f"{what}: {path}")
