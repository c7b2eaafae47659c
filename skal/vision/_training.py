"""The training of a network on images: what fine-tuning and FixMatch share, and fine-tuning itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skal._core.training import EpochOrder, TrainingLoop, seed_of, seeded_step, step_decay
from skal.features._preparation import Preparation
from skal.features._sources import Images
from skal.vision._augment import flip
from skal.vision._network import ImageNetwork
from skal.vision._reading import RandomCrops, StepRequests, read_for_steps, refuse_unreadable

__all__ = ["FineTuning", "ImageTraining", "LabeledImages"]


@dataclass(frozen=True)
class LabeledImages:
    """Images with a class number and a weight each, and how they become input.

    Parameters
    ----------
    images : Images
    targets : ndarray of shape (n,), int64
        Positions among the classes that the network has.
    weights : ndarray of shape (n,), float64, or None
    preparation : Preparation
    """

    images: Images
    targets: npt.NDArray[np.int64]
    preparation: Preparation
    weights: npt.NDArray[np.float64] | None = None


class ImageTraining(TrainingLoop):
    """A loop whose every step draws from a seed of its own, so that a checkpoint needs no state of generators.

    Attributes
    ----------
    network : ImageNetwork
        What is trained, in train mode, on `device`.
    optimizer : Optimizer
    seed : int

    See Also
    --------
    FineTuning : The steps of `FineTuneClassifier`.
    FixMatchTraining : The steps of `FixMatchClassifier`.
    """

    def __init__(
        self,
        network: ImageNetwork,
        optimizer: torch.optim.Optimizer,
        *,
        n_steps: int,
        steps_an_epoch: int,
        seed: int,
        device: torch.device,
        autocast: str | None,
        n_workers: int | None,
    ) -> None:
        super().__init__(n_steps, steps_an_epoch)
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        self.network, self.optimizer, self.seed = network.train(), optimizer, seed
        self.device, self.autocast, self.n_workers = device, autocast, n_workers

    def step(self, batch: Any) -> Mapping[str, Tensor]:
        with seeded_step(self.seed, self.n_done, self.device):
            return super().step(batch)

    def logits(self, inputs: Tensor) -> Tensor:
        """Run the network, in the precision asked for; float32 of shape (m, n_classes)."""
        with self._precision():
            logits: Tensor = self.network(inputs)
        return logits.float()

    def trained_network(self) -> ImageNetwork:
        """What predictions are made by."""
        return self.network

    def kept_tensors(self) -> dict[str, Tensor]:
        """Everything that the steps to come depend on, by name, besides the numbers of `TrainingLoop`."""
        kept = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for place, state in self.optimizer.state_dict()["state"].items():
            kept |= {f"optimizer.{place}.{name}": value for name, value in state.items() if isinstance(value, Tensor)}
        return kept

    def restore_tensors(self, kept: Mapping[str, Tensor]) -> None:
        """Go back to where `kept_tensors` was called."""
        self.network.load_state_dict(_below("network.", kept))
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below("optimizer.", kept).items():
            place, what = name.split(".", 1)
            states.setdefault(int(place), {})[what] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, getattr(torch, self.autocast)) if self.autocast else nullcontext()


class FineTuning(ImageTraining):
    """Cross-entropy on random resized crops, mirrored or not, epoch by epoch.

    Parameters
    ----------
    labeled : LabeledImages
    network, optimizer : see `ImageTraining`
    n_epochs, batch_size : int
    milestones, gamma : see `step_decay`
    crop_scale : (float, float)
        Smallest and largest share of the image in a crop.

    See Also
    --------
    FineTuneClassifier : Runs it.
    """

    def __init__(
        self,
        labeled: LabeledImages,
        network: ImageNetwork,
        optimizer: torch.optim.Optimizer,
        *,
        n_epochs: int,
        batch_size: int,
        milestones: Sequence[int],
        gamma: float,
        crop_scale: tuple[float, float],
        seed: int,
        **settings: Any,
    ) -> None:
        self.order = EpochOrder(len(labeled.targets), batch_size, seed)
        steps_an_epoch = self.order.steps_an_epoch
        super().__init__(
            network, optimizer, n_steps=n_epochs * steps_an_epoch, steps_an_epoch=steps_an_epoch, seed=seed, **settings
        )
        self.labeled, self.milestones, self.gamma = labeled, milestones, gamma
        self._crops = RandomCrops(labeled.images, labeled.preparation, crop_scale)
        self._targets = torch.from_numpy(labeled.targets).to(self.device)
        weights = np.ones(len(labeled.targets)) if labeled.weights is None else labeled.weights
        self._weights = torch.from_numpy(weights / weights.mean()).float().to(self.device)

    def lr_factor(self) -> float:
        return step_decay(self.n_done // self.steps_an_epoch, self.milestones, self.gamma)

    def batches(self, first: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give crops (m, 3, h, w), with their class numbers and weights."""
        requests = StepRequests(self._request, first, self.n_steps)
        for batch in read_for_steps(self._read, requests, self.labeled.images, self.n_workers):
            inputs = self.labeled.preparation.to_input(refuse_unreadable(batch), self.device)
            rows = torch.from_numpy(batch.rows).to(self.device)
            yield inputs, self._targets[rows], self._weights[rows]

    def losses(self, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        inputs, targets, weights = batch
        each = cross_entropy(self.logits(flip(inputs)), targets, reduction="none")
        return {"loss": (weights * each).mean()}

    def _request(self, step: int) -> tuple[npt.NDArray[np.int64], int]:
        return self.order.rows(step), seed_of(self.seed, step, 1)  # 1: another stream than that of the step itself

    def _read(self, request: tuple[npt.NDArray[np.int64], int]) -> Any:
        return self._crops(*request)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
