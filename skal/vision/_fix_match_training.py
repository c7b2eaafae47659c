"""The training of FixMatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skal._core.training import MovingAverage, StreamOrder, cosine_7_16, seed_of
from skal.features._loading import Batch
from skal.features._preparation import Preparation
from skal.features._sources import Images
from skal.vision._augment import StrongAugmentation, shift_and_flip
from skal.vision._network import ImageNetwork
from skal.vision._reading import StepRequests, read_for_steps, refuse_unreadable
from skal.vision._training import ImageTraining, LabeledImages

__all__ = ["FixMatchTraining", "fix_match_losses", "sgd_without_decay_of_scales"]

Rows = npt.NDArray[np.int64]


class FixMatchTraining(ImageTraining):
    """Cross-entropy on labelled images, and on the pool's: strongly augmented ones must agree with weakly augmented.

    Parameters
    ----------
    labeled : LabeledImages
    pool : Images
        Labelled ones may be among them.
    pool_preparation : Preparation
    network, optimizer : see `ImageTraining`
    n_steps, batch_size : int
        Of labelled images in a step.
    mu : int
        How many times as many of the pool.
    threshold : float
        A pool image counts in a step if its weakly augmented form is of one class with this probability.
    lambda_u : float
        Weight of the pool's loss. 0 reads none of the pool.
    ema_decay : float

    Attributes
    ----------
    average : MovingAverage
        Of the network; predictions are made by it.

    See Also
    --------
    FixMatchClassifier : Runs it.
    """

    def __init__(
        self,
        labeled: LabeledImages,
        pool: Images,
        pool_preparation: Preparation,
        network: ImageNetwork,
        optimizer: torch.optim.Optimizer,
        *,
        batch_size: int,
        mu: int,
        threshold: float,
        lambda_u: float,
        ema_decay: float,
        seed: int,
        **settings: Any,
    ) -> None:
        super().__init__(network, optimizer, seed=seed, **settings)
        self.labeled, self.pool = labeled, pool
        self.threshold, self.lambda_u = threshold, lambda_u
        self.average = MovingAverage(network, ema_decay)
        self.labeled_order = StreamOrder(len(labeled.targets), batch_size, seed_of(seed, 0))
        self.pool_order = StreamOrder(len(pool), mu * batch_size, seed_of(seed, 1)) if lambda_u > 0 else None
        self._preparation, self._pool_preparation = labeled.preparation, pool_preparation
        self._targets = torch.from_numpy(labeled.targets).to(self.device)
        self._strong = StrongAugmentation() if lambda_u > 0 else None

    def lr_factor(self) -> float:
        return cosine_7_16(self.n_done, self.n_steps)

    def batches(self, first: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give labelled pixels, their class numbers, and pixels of the pool; from 0 to 1, not augmented."""
        requests = StepRequests(self._request, first, self.n_steps)
        source = self.labeled.images if self.pool_order is None else self.pool
        for labeled, of_pool in read_for_steps(self._read, requests, source, self.n_workers):
            pixels = self._pixels(labeled, self._preparation)
            targets = self._targets[torch.from_numpy(labeled.rows).to(self.device)]
            others = pixels[:0] if of_pool is None else self._pixels(of_pool, self._pool_preparation)
            if others.shape[1:] != pixels.shape[1:]:
                found, expected = tuple(others.shape[2:]), tuple(pixels.shape[2:])
                raise ValueError(
                    f"Images of the pool are {found} when they reach the network, and those of X {expected}; set "
                    "image_size, which makes them alike."
                )
            yield pixels, targets, others

    def step(self, batch: Any) -> Mapping[str, Tensor]:
        losses = super().step(batch)
        self.average.update(self.network)
        return losses

    def losses(self, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        pixels, targets, others = batch
        if self._strong is None:
            return {"loss": cross_entropy(self.logits(self._standardized(shift_and_flip(pixels))), targets)}
        views = [shift_and_flip(pixels), shift_and_flip(others), self._strong(shift_and_flip(others))]
        # in one pass, so that batch norm sees the three kinds together
        logits = self.logits(self._standardized(torch.cat(views)))
        parts = logits.split([len(view) for view in views])
        return fix_match_losses(parts[0], targets, parts[1], parts[2], self.threshold, self.lambda_u)

    def trained_network(self) -> ImageNetwork:
        network: Any = self.average.network
        averaged: ImageNetwork = network
        return averaged

    def kept_tensors(self) -> dict[str, Tensor]:
        averaged = self.average.network.state_dict()
        return super().kept_tensors() | {f"average.{name}": tensor for name, tensor in averaged.items()}

    def restore_tensors(self, kept: Mapping[str, Tensor]) -> None:
        super().restore_tensors(kept)
        averaged = {name.removeprefix("average."): each for name, each in kept.items() if name.startswith("average.")}
        self.average.network.load_state_dict(averaged)

    def _request(self, step: int) -> tuple[Rows, Rows | None]:
        return self.labeled_order.rows(step), None if self.pool_order is None else self.pool_order.rows(step)

    def _read(self, request: tuple[Rows, Rows | None]) -> tuple[Batch, Batch | None]:
        labeled_rows, pool_rows = request
        labeled = self.labeled.images.read(labeled_rows.tolist(), self._preparation.at_read)
        if pool_rows is None:
            return labeled, None
        return labeled, self.pool.read(pool_rows.tolist(), self._pool_preparation.at_read)

    def _pixels(self, batch: Batch, preparation: Preparation) -> Tensor:
        raw = replace(preparation, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        return raw.to_input(refuse_unreadable(batch), self.device)

    def _standardized(self, pixels: Tensor) -> Tensor:
        mean, std = (
            pixels.new_tensor(values).view(1, 3, 1, 1) for values in (self._preparation.mean, self._preparation.std)
        )
        return (pixels - mean) / std


def fix_match_losses(
    labeled_logits: Tensor,
    targets: Tensor,
    weak_logits: Tensor,
    strong_logits: Tensor,
    threshold: float,
    lambda_u: float,
) -> dict[str, Tensor]:
    """Compute FixMatch's losses of one step.

    Parameters
    ----------
    labeled_logits, targets : Tensor of shape (b, n_classes) and (b,)
    weak_logits, strong_logits : Tensor of shape (m, n_classes)
        Of the same pool images in both forms.
    threshold, lambda_u : float

    Returns
    -------
    dict
        "loss", its parts "labelled loss" and "pool loss", and "confident", the share of the pool's images that counted.
    """
    supervised = cross_entropy(labeled_logits, targets)
    confidence, pseudo_labels = weak_logits.detach().softmax(dim=1).max(dim=1)
    counts = (confidence >= threshold).float()
    unsupervised = (counts * cross_entropy(strong_logits, pseudo_labels, reduction="none")).mean()
    return {
        "loss": supervised + lambda_u * unsupervised,
        "labelled loss": supervised,
        "pool loss": unsupervised,
        "confident": counts.mean(),
    }


def sgd_without_decay_of_scales(
    network: nn.Module, lr: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """SGD with Nesterov's momentum; weights decay, the scales and shifts of batch norm and biases do not."""
    parameters = list(network.parameters())
    groups = [
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=True)
