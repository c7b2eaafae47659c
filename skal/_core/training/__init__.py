"""Training in steps that can be read and overridden, and what steps need: rates, averages, batches, seeds."""

from skal._core.training._average import MovingAverage
from skal._core.training._loop import TrainingLoop
from skal._core.training._order import EpochOrder, StreamOrder
from skal._core.training._rates import cosine_7_16, step_decay
from skal._core.training._seeds import seed_of, seeded_step

__all__ = [
    "EpochOrder",
    "MovingAverage",
    "StreamOrder",
    "TrainingLoop",
    "cosine_7_16",
    "seed_of",
    "seeded_step",
    "step_decay",
]
