"""Randomness that a step draws, the same whenever and wherever the step is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["seed_of", "seeded_step"]


def seed_of(*numbers: int) -> int:
    """Mix numbers that are not negative into one seed, below 2⁶³."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def seeded_step(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Let torch's own generators, of the CPU and of `device`, start from the seed of one step, and put them back.

    Dropout and libraries of augmentations draw from them. As nothing is carried from step to step, a training that
    goes on from a checkpoint draws what it would have drawn.
    """
    index = device.index or 0
    with torch.random.fork_rng(devices=[index] if device.type == "cuda" else []):
        own = seed_of(seed, step)
        torch.default_generator.manual_seed(own)  # torch.manual_seed would set those of all devices for good
        if device.type == "cuda":
            torch.cuda.default_generators[index].manual_seed(own)
        yield
