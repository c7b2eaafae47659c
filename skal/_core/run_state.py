"""Where a run stands, so that another process can go on from there to the same end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

__all__ = ["Keep", "RunState", "keep_nothing"]


class RunState(NamedTuple):
    """All that the rest of a run depends on, beside the pool, the parameters and the state of the generator."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]  # what JSON can hold

    def plus(self, **facts: Any) -> RunState:
        """Return the same with more facts."""
        return RunState(self.tensors, {**self.facts, **facts})


Keep = Callable[[Callable[[], RunState]], object]  # gets a function, so that it may decide that it is not time yet


def keep_nothing(make: Callable[[], RunState]) -> None:
    """Forget it."""
