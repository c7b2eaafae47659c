"""How a command ends: with a message and an exit status, never with a traceback for what a user can mend."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any

import typer

from skal.cli._output import message

__all__ = ["FAILED", "INTERRUPTED", "NOTHING_TO_DO", "outcome"]

FAILED, NOTHING_TO_DO, INTERRUPTED = 1, 3, 130


def outcome(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that its errors become a line on standard error and an exit status."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        from skal.labeling import NothingToDoError

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", UserWarning)
                warnings.showwarning = _show_warning  # type: ignore[assignment]
                command(*arguments, **options)
        except NothingToDoError as error:
            message(str(error))
            raise typer.Exit(NOTHING_TO_DO) from error
        except KeyboardInterrupt as error:
            message("Interrupted. What was done is kept; the same command goes on.")
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError as error:  # head, say, has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(FAILED) from error
        except (ValueError, OSError, RuntimeError, ImportError, TypeError) as error:
            if os.environ.get("SKAL_DEBUG"):
                raise
            message(f"Error: {error}")
            raise typer.Exit(FAILED) from error

    return run


def _show_warning(
    text: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: str | None = None
) -> None:
    message(f"Warning: {text}")
