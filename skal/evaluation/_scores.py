"""What one score is known by, and what is told of it as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["CurveKey", "Score"]


class CurveKey(NamedTuple):
    """What a value of a curve is known by; a plain tuple of the five is equal to it."""

    sampler: str
    budget: int
    seed: int
    classifier: str | None  # None for the coverage
    metric: str


@dataclass(frozen=True)
class Score:
    """What one classifier scored, trained on one selection.

    Attributes
    ----------
    sampler : str
    budget, seed : int
        Of the selection.
    classifier : str
    training_seed : int
        The ``random_state`` of the classifier.
    values : dict of str to float
        By metric.

    See Also
    --------
    score : Makes them.
    """

    sampler: str
    budget: int
    seed: int
    classifier: str
    training_seed: int
    values: Mapping[str, float]
