"""Run the same function on many arguments, one after the other or beside each other."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from skal.evaluation._threads import one_thread, one_thread_here

__all__ = ["Jobs"]


class Jobs:
    """Jobs of joblib that share their workers, and so what is sent to them.

    Parameters
    ----------
    n_jobs : int or None
        None runs one after the other with the threads that there are, unless `joblib.parallel_config` says
        otherwise. With a number, each job has one thread, whatever the number: so results do not depend on it.
    """

    def __init__(self, n_jobs: int | None) -> None:
        self._has_one_thread = n_jobs is not None or int(effective_n_jobs(None)) > 1
        self._parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
        self._exits = ExitStack()
        self._results: Generator[Any] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            if self._has_one_thread:
                exits.enter_context(one_thread())
            exits.enter_context(self._parallel)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._results is not None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*tasks", category=UserWarning)  # that it is interrupted
                self._results.close()  # stops what is under way, before its workers go
        self._exits.__exit__(kind, error, traceback)

    def run(self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield what `function` returns for each tuple of arguments, as it comes."""
        run = _run_in_one_thread if self._has_one_thread else _run
        self._results = self._parallel(delayed(run)(os.getpid(), function, each) for each in arguments)
        return iter(self._results)


def _run(owner: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*arguments)


def _run_in_one_thread(owner: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    with one_thread_here() if os.getpid() == owner else one_thread():
        return function(*arguments)
