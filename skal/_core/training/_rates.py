"""How learning rates fall."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["cosine_7_16", "step_decay"]


def step_decay(epoch: int, milestones: Sequence[int], gamma: float) -> float:
    """``gamma`` to the power of how many milestones are reached; epochs count from 0."""
    factor: float = gamma ** sum(epoch >= milestone for milestone in milestones)
    return factor


def cosine_7_16(step: int, n_steps: int) -> float:
    """FixMatch's cosine, ``cos(7·π·k / 16·K)`` in step k of K, counted from 0; it ends at about a fifth."""
    return math.cos(7 * math.pi * step / (16 * n_steps))
