"""The one loop that trains networks: run → run_epoch → step → losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

__all__ = ["TrainingLoop"]

Losses = Mapping[str, Tensor]


class TrainingLoop:
    """Lower a loss step by step; override whichever of the four should differ.

    `run` goes through the epochs, `run_epoch` through the steps of one, `step` computes the losses of a batch and
    moves the parameters against the gradient of the one called "loss", `losses` says what they are. A subclass must
    fill `batches` and, unless it has a `step` of its own, `losses` and `optimizer`.

    Parameters
    ----------
    n_steps : int
    steps_an_epoch : int
        The last epoch may be shorter.

    Attributes
    ----------
    n_done : int
        Steps taken.
    epoch_sums : dict of str to Tensor
        Of what the steps of this epoch reported, float64.
    epoch_means : list of dict of str to float
        Of the epochs that are over.
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, n_steps: int, steps_an_epoch: int) -> None:
        self.n_steps, self.steps_an_epoch = n_steps, steps_an_epoch
        self.n_done = 0
        self.epoch_sums: dict[str, Tensor] = {}
        self.epoch_means: list[dict[str, float]] = []

    def batches(self, first: int) -> Iterable[Any]:
        """Give the batch of each step from number `first` on."""
        raise NotImplementedError

    def losses(self, batch: Any) -> Losses:
        """Compute "loss", which is lowered, and whatever else is to be reported beside it; scalars."""
        raise NotImplementedError

    def lr_factor(self) -> float:
        """What the learning rates are multiplied by in the step to come; a schedule overrides this."""
        return 1.0

    def run(
        self,
        on_step: Callable[[Losses], object] = lambda losses: None,
        on_epoch: Callable[[int, Mapping[str, float]], object] = lambda epoch, means: None,
    ) -> None:
        """Take the steps that are left.

        Parameters
        ----------
        on_step : callable
            Gets what `step` returned, once the step counts.
        on_epoch : callable
            Gets the number of epochs that are over, from 1 on, and the means of the last one.
        """
        batches = iter(self.batches(self.n_done))
        while len(self.epoch_means) * self.steps_an_epoch < self.n_steps:
            self.run_epoch(batches, on_step)
            on_epoch(len(self.epoch_means), self.epoch_means[-1])

    def run_epoch(self, batches: Iterator[Any], on_step: Callable[[Losses], object] = lambda losses: None) -> None:
        """Take the steps that are left of the epoch under way."""
        n_over = len(self.epoch_means)
        end = min((n_over + 1) * self.steps_an_epoch, self.n_steps)
        for batch in islice(batches, end - self.n_done):
            losses = self.step(batch)
            self._count(losses)
            on_step(losses)
        n_taken = end - n_over * self.steps_an_epoch
        self.epoch_means.append({name: float(total) / n_taken for name, total in self.epoch_sums.items()})
        self.epoch_sums = {}

    def step(self, batch: Any) -> Losses:
        """Move the parameters once; return the losses before that, without their graphs."""
        factor = self.lr_factor()
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group["initial_lr"]
        losses = self.losses(batch)
        self.optimizer.zero_grad()
        torch.autograd.backward(losses["loss"])
        self.optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _count(self, losses: Losses) -> None:
        """Count a step only when all of its sums are there."""
        self.epoch_sums = {name: self.epoch_sums.get(name, 0.0) + loss.double() for name, loss in losses.items()}
        self.n_done += 1
