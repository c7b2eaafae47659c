"""Keeps suggestions up to date in the background."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from skal.labeling._suggestions import Suggestions
from skal.labeling._training_process import LENGTH, PROBLEM

__all__ = ["Suggester"]


class Suggester:
    """Trains in another process, one training at a time, as often as it is asked to.

    Parameters
    ----------
    folder : Path
        Of the project; its ledger on disk says what there is to learn.

    Attributes
    ----------
    latest : Suggestions or None
    number : int
        How many trainings ended; the latest suggestions are of this one.
    is_training : bool
    problem : str
        Why the last training brought none; empty where it did, or there were too few labels.
    """

    def __init__(self, folder: Path) -> None:
        self.latest: Suggestions | None = None
        self.number = 0
        self.problem = ""
        self._folder = folder
        self._wanted = threading.Event()
        self._is_busy = False
        self._is_closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_training(self) -> bool:
        return self._is_busy or self._wanted.is_set()

    def retrain(self) -> None:
        """Train on the labels that are on disk; asked while one goes on, another one follows."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="suggestions", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """End the process; no harm comes to a project that is only read."""
        self._is_closed = True
        self._wanted.set()
        if self._process is not None:
            self._process.terminate()
        if self._thread is not None:
            self._thread.join()
        self._end_process()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._is_closed:
                return
            self._is_busy = True
            self._wanted.clear()
            self._take(self._answer())
            self._is_busy = False

    def _take(self, answer: Suggestions | str) -> None:
        if isinstance(answer, Suggestions):
            self.latest, self.problem = answer, ""
        else:
            self.problem = answer
        self.number += 1

    def _answer(self) -> Suggestions | str:
        try:
            process = self._running()
            if process.stdin is None or process.stdout is None:
                raise OSError("it has no pipes")
            process.stdin.write(b"\n")
            process.stdin.flush()
            n_bytes = int.from_bytes(_exactly(process.stdout.read(LENGTH), LENGTH), "big")
            content = _exactly(process.stdout.read(n_bytes), n_bytes)
        except (OSError, EOFError) as error:
            self._end_process()
            return f"the process that trains has ended ({error})"
        if content.startswith(PROBLEM) or not content:
            return content.removeprefix(PROBLEM).decode()
        return Suggestions.from_bytes(content)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - a module of ours
                [sys.executable, "-P", "-m", "skal.labeling._training_process", os.fspath(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl+C is for the page, which ends it
            )
            if self._is_closed:  # between the two lines
                self._process.terminate()
        return self._process

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.wait()


def _exactly(content: bytes, n_bytes: int) -> bytes:
    if len(content) < n_bytes:
        raise EOFError("its answer is cut short")
    return content
