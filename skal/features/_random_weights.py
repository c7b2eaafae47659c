"""Which random weights a backbone without a checkpoint gets."""

from __future__ import annotations

from numbers import Integral
from os import PathLike
from typing import Any

from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from torch import nn

__all__ = ["draw_seed", "seed_for"]


def draw_seed(backbone: str | nn.Module, weights: str | PathLike[str] | None, random_state: Any) -> int | None:
    """Return a seed: an int is its own; None where there are no random weights."""
    if weights is not None or isinstance(backbone, nn.Module):
        return None
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def seed_for(
    backbone: str | nn.Module, weights: str | PathLike[str] | None, random_state: Any, drawn: int | None
) -> int | None:
    """Return the seed that was drawn before, or the one that an int says; refuse to draw another for each call."""
    if drawn is not None and weights is None and isinstance(backbone, str):
        return drawn
    if weights is None and isinstance(backbone, str) and not isinstance(random_state, Integral):
        raise NotFittedError(
            f"{backbone} has random weights, and each call would draw others: pass random_state=<int>, call fit first, "
            "which draws one seed for all calls, or pass weights=<checkpoint>."
        )
    return draw_seed(backbone, weights, random_state)
