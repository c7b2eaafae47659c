"""All commands under one name."""

from __future__ import annotations

from skal._install import hint_for_extra

try:
    import rich  # noqa: F401
    import typer
except ImportError as error:
    raise SystemExit(f"The command line needs typer and rich: `{hint_for_extra('cli')}`.") from error

from skal.cli._demo import demo
from skal.cli._embed import embed
from skal.cli._evaluate import evaluate
from skal.cli._export import export
from skal.cli._import import import_
from skal.cli._init import init
from skal.cli._label import label
from skal.cli._outcome import outcome
from skal.cli._predict import predict
from skal.cli._problems import problems
from skal.cli._report import report
from skal.cli._samplers import samplers
from skal.cli._select import select
from skal.cli._status import status
from skal.cli._train import train
from skal.cli._update import update

__all__ = ["app"]

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Low-budget active learning.")


@app.callback()
def main() -> None:
    """Low-budget active learning: which images are worth labelling, and what that buys."""


_COMMANDS = (
    init, status, embed, problems, select, label, export, import_, train, evaluate, predict, report, update,
    samplers, demo,
)  # fmt: skip
for command in _COMMANDS:
    app.command(command.__name__.rstrip("_"))(outcome(command))
