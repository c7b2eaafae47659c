"""A table of the paper, run again: our numbers beside the published ones.

python -m benchmarks.tables 5 --data DIR --weights FILE
python -m benchmarks.tables 5 --data DIR --weights FILE --budgets 1000,3000 --seeds 1 --dry-run
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from rich.console import Console

from benchmarks.tables.descriptions import TABLES, find_table
from benchmarks.tables.dry_run import describe
from benchmarks.tables.groups import Settings
from benchmarks.tables.layout import lay_out, to_csv, to_markdown, to_rich, width_of
from benchmarks.tables.running import TableRun

app = typer.Typer(add_completion=False)


@app.command()
def main(
    number: Annotated[str, typer.Argument(help=f"The table: {', '.join(TABLES)}.")],
    data: Annotated[
        Path, typer.Option(help="The dataset's folder, or one that holds it under its name (cifar10, imagenet, ...).")
    ],
    weights: Annotated[Path | None, typer.Option(help="The checkpoint of the pre-trained backbone.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")] = "auto",
    seeds: Annotated[int | None, typer.Option(min=1, help="How many seeds; by default the paper's.")] = None,
    budgets: Annotated[str | None, typer.Option(help="As in 1000,3000; by default the paper's.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for embeddings, selections, scores and the table.")] = Path(
        "skal-tables"
    ),
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that read images.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of FixMatch; by default the original's 2^20.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Of FixMatch; by default the original's 64.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of fine-tuning; by default the paper's 100.")] = None,
    any_size: Annotated[
        bool, typer.Option("--any-size", help="Take a part of a dataset, or another version of it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and how long it takes.")] = False,
) -> None:
    """Run a table of the paper again. Interrupted, the same command goes on where it stopped."""
    console, progress = Console(), Console(stderr=True)
    try:
        table = find_table(number)
        settings = Settings(
            data, output, weights, device, seeds, _numbers(budgets), workers, any_size, steps, batch_size, epochs
        )
        run = TableRun(table, settings, on_step=lambda what: progress.print(what, highlight=False))
        if dry_run:
            console.print(describe(run), highlight=False, markup=False, soft_wrap=True)
            return
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output / "lock", timeout=0):
            results = run.run()
        lines = lay_out(table, run.columns(), results)
        for suffix, text in (("csv", to_csv(table, lines)), ("md", to_markdown(table, lines))):
            _write(output / f"table_{table.number}.{suffix}", text)
        shown = to_rich(table, lines)
        Console(width=max(console.width, width_of(shown))).print(shown)  # a narrow terminal wraps, nothing is cut off
        console.print(f"Written: {output}/table_{table.number}.csv and .md", highlight=False)
    except KeyboardInterrupt:
        _give_up(progress, f"Interrupted. What is finished is kept in {output}; the same command goes on.")
    except Timeout:
        _give_up(progress, f"Another run writes to {output}; wait for it, or pass another --output.")
    except OSError as error:
        _give_up(progress, _explain(error, output))
    except (ValueError, RuntimeError, ImportError) as error:
        _give_up(progress, f"{error}\nWhat is finished is kept in {output}.")


def _write(path: Path, text: str) -> None:
    """Replace an older table once the new one is there, so that a full disk does not cost it."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.write_text(text)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"--budgets {text}: expected numbers of labels, as in 1000,3000.") from error
    if min(numbers) < 1:
        raise ValueError(f"--budgets {text}: a budget is 1 or more.")
    return numbers


def _explain(error: OSError, output: Path) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"The disk of {output} is full. What is finished is kept there; make room and run the same command again."
        )
    return f"{error}\nWhat is finished is kept in {output}."


def _give_up(console: Console, message: str) -> None:
    console.print(message, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
