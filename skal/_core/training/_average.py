"""The moving average of a network."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """A copy of a network that follows it: ``average = decay · average + (1 − decay) · network`` a step.

    All floating-point tensors are averaged, the running statistics of batch norm too, as they belong to the weights
    that they were seen with. Others, such as counters, are copied.

    Parameters
    ----------
    network : Module
        The average starts at its tensors.
    decay : float

    Attributes
    ----------
    network : Module
        The average.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take one step towards `network`."""
        for average, current in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(current, 1.0 - self.decay)
            else:
                average.copy_(current)
