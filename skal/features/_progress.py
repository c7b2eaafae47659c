"""Images per second: a bar on a terminal or in a notebook, lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Self

__all__ = ["ImageProgress"]

_SECONDS_BETWEEN_LINES = 10.0


class ImageProgress:
    """Show how far `n_images` are read, from `n_read` on, on standard error if `verbose`."""

    def __init__(self, n_images: int, n_read: int, verbose: int) -> None:
        self._n_images = n_images
        self._n_read_before = n_read
        self._verbose = verbose
        self._bar: Any = None
        self._task: Any = None
        self._begin = self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if self._verbose:
            self._begin_bar()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, n_read: int) -> None:
        if not self._verbose:
            return
        now = time.monotonic()
        rate = f"{(n_read - self._n_read_before) / max(now - self._begin, 1e-9):.1f} images/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=n_read, rate=rate)
        elif n_read == self._n_images or now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            sys.stderr.write(f"[TorchFeatureExtractor] {n_read} of {self._n_images} images, {rate}\n")

    def _begin_bar(self) -> None:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        except ImportError:
            return
        console = Console(stderr=True)
        if not (console.is_terminal or console.is_jupyter):  # a file would get the last state of the bar alone
            return
        rate = TextColumn("{task.fields[rate]}")
        columns = (TextColumn("Embedding"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("", total=self._n_images, completed=self._n_read_before, rate="")
        self._bar.start()
