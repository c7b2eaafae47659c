"""Progress of one fit: scikit-learn's callbacks where they exist, printed lines if verbose."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

__all__ = ["Progress"]


class Progress:
    """Report the steps of one fit.

    `begin` is called once the number of steps is known, `advance` after each step, `close` at the end.
    A fit that never begins reports nothing.
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._step_name = ""
        self._context: Any = None

    def begin(self, n_steps: int | None, step_name: str) -> None:
        """Say how many steps there will be (None where that is not known) and what a step is called."""
        self._step_name = step_name
        with suppress(AttributeError):  # scikit-learn < 1.9
            self._context = self._estimator._init_callback_context(max_subtasks=n_steps)
            self._context.call_on_fit_task_begin(estimator=self._estimator)

    def advance(self, step: int, figure: float, figure_name: str) -> None:
        """Report step number `step` with a figure that says how far it got."""
        if getattr(self._estimator, "verbose", 0):
            print(f"[{type(self._estimator).__name__}] {self._step_name} {step}: {figure_name} {figure:.6g}")
        if self._context is not None:
            task = self._context.subcontext(task_name=self._step_name)
            task.call_on_fit_task_begin(estimator=self._estimator)
            task.call_on_fit_task_end(estimator=self._estimator)

    def close(self) -> None:
        """Report that the fit is over."""
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._estimator)
            self._context = None
