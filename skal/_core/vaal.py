"""A variational autoencoder and a discriminator of labelled from unlabelled latents, trained against each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skal._core.blocks import Block, Blocks, power_of_two_below
from skal._core.training import TrainingLoop
from skal._core.vaal_layers import convolutions, linear_layers

__all__ = ["VAALModel", "VAALSchedule", "image_tile_rows", "labeled_logits", "train_vaal"]

_HIDDEN, _DISCRIMINATOR_HIDDEN = (256, 256), (512, 512)
_TILE_PIXELS = 2**20  # the first layer's activations of a tile are then at most 128 MiB
_LOG_VARIANCES = (-10.0, 10.0)  # so that an odd batch cannot overflow the exponential


@dataclass(frozen=True)
class VAALSchedule:
    """How the two are trained; `n_steps` steps of each."""

    n_latent: int
    beta: float
    adversary_weight: float
    lr: float
    batch_size: int
    n_steps: int


@dataclass(frozen=True)
class VAALModel:
    """The parts that scoring needs; what enters the encoder is ``(rows − center) · factor``."""

    encoder: nn.Sequential  # (m, d) → (m, 2 · n_latent): means and log variances
    discriminator: nn.Sequential  # (m, n_latent) → (m, 1): logit of "labelled"
    center: float
    factor: float

    def to(self, device: torch.device) -> VAALModel:
        """Copy both networks to a device."""
        encoder, discriminator = deepcopy(self.encoder).to(device), deepcopy(self.discriminator).to(device)
        return replace(self, encoder=encoder, discriminator=discriminator)

    def scaled(self, rows: Tensor) -> Tensor:
        """Bring rows (m, d) to the scale that the encoder was trained on."""
        return (rows - self.center) * self.factor


def train_vaal(
    pool: Blocks,
    labeled_idx: np.ndarray,
    unlabeled_idx: np.ndarray,
    schedule: VAALSchedule,
    rng: np.random.Generator,
    on_step: Callable[[int, float], object] = lambda step, loss: None,
    image_shape: tuple[int, ...] | None = None,
) -> VAALModel:
    """Train the autoencoder on all rows to fool a discriminator that tells labelled from unlabelled latents.

    The autoencoder's loss is ``½‖x − x̂‖² + β·KL`` of both batches plus the discriminator's error when told
    that both are labelled. Vectors are scaled to a mean square of one, images so that the pool's lowest
    value is −1 and its highest 1.

    Parameters
    ----------
    pool : Blocks of shape (n, d)
        Of unit rows, or of images as they are, flattened.
    labeled_idx, unlabeled_idx : int64 ndarray
        Neither empty.
    image_shape : (h, w) or (h, w, c), default=None
        Of the images, whose product is d. None means vectors.

    Raises
    ------
    ValueError
        If a row holds NaN or infinity; names the first such row.

    Notes
    -----
    Time one pass of the pool and ``n_steps · batch_size`` times a few passes through the layers; memory of
    a batch and the layers.
    """
    loop = VAALTraining(pool, (labeled_idx, unlabeled_idx), schedule, rng, image_shape)
    loop.run(on_step=lambda losses: on_step(loop.n_done, float(losses["discriminator"])))
    return loop.model


class VAALTraining(TrainingLoop):
    """The loop of `train_vaal`: each step trains the autoencoder, then the discriminator, on the same two batches."""

    def __init__(
        self,
        pool: Blocks,
        idx_of_both: tuple[np.ndarray, np.ndarray],
        schedule: VAALSchedule,
        rng: np.random.Generator,
        image_shape: tuple[int, ...] | None,
    ) -> None:
        super().__init__(schedule.n_steps, steps_an_epoch=schedule.n_steps)
        self._pool, self._idx_of_both, self._schedule, self._rng = pool, idx_of_both, schedule, rng
        device, d = pool.device, pool.n_features
        center, factor = _scaling(pool, is_image=image_shape is not None)
        self._generator = generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
        if image_shape is None:
            encoder = linear_layers([d, *_HIDDEN, 2 * schedule.n_latent], generator, device)
            self._decoder = linear_layers([schedule.n_latent, *_HIDDEN, d], generator, device)
        else:
            encoder, self._decoder = convolutions(image_shape, schedule.n_latent, generator, device)
        discriminator = linear_layers([schedule.n_latent, *_DISCRIMINATOR_HIDDEN, 1], generator, device)
        self.model = VAALModel(encoder, discriminator, center, factor)
        self._fool = torch.optim.Adam([*encoder.parameters(), *self._decoder.parameters()], lr=schedule.lr)
        self._tell = torch.optim.Adam(discriminator.parameters(), lr=schedule.lr)
        self._n_batch = min(schedule.batch_size, pool.n_rows)
        self._is_labeled = torch.zeros(2 * self._n_batch, device=device)
        self._is_labeled[: self._n_batch] = 1.0

    def batches(self, first: int) -> Iterator[Tensor]:
        """As many labelled rows as unlabelled ones, (2 · batch_size, d), drawn anew for each step."""
        while True:
            drawn = [self._rng.choice(idx, self._n_batch) for idx in self._idx_of_both]
            yield self.model.scaled(self._pool.take(np.concatenate(drawn)))

    def step(self, batch: Tensor) -> dict[str, Tensor]:
        loss = self.autoencoder_loss(batch)
        self._fool.zero_grad()
        torch.autograd.backward(loss)
        self._fool.step()
        told_apart = self.discriminator_loss(batch)
        self._tell.zero_grad()
        torch.autograd.backward(told_apart)
        self._tell.step()
        return {"autoencoder": loss.detach(), "discriminator": told_apart.detach()}

    def autoencoder_loss(self, batch: Tensor) -> Tensor:
        """What rebuilds the rows, keeps the latents near the prior, and lets all of them pass for labelled."""
        mean, log_variance = _encode(self.model.encoder, batch)
        noise = torch.randn(mean.shape, generator=self._generator, device=batch.device)
        rebuilt = self._decoder(mean + noise * torch.exp(0.5 * log_variance))
        reconstruction = 0.5 * (batch - rebuilt).square().sum(dim=1).mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1).mean()
        logits = self.model.discriminator(mean).squeeze(1)
        deceit = binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        loss: Tensor = reconstruction + self._schedule.beta * divergence + self._schedule.adversary_weight * deceit
        return loss

    def discriminator_loss(self, batch: Tensor) -> Tensor:
        """What tells the labelled half of the batch from the other."""
        with torch.no_grad():
            mean, _ = _encode(self.model.encoder, batch)
        return binary_cross_entropy_with_logits(self.model.discriminator(mean).squeeze(1), self._is_labeled)


def labeled_logits(pool: Blocks, model: VAALModel) -> np.ndarray:
    """How sure the discriminator is that each row is labelled, float64 of shape (n,). One pass of the pool."""
    (logits,) = pool.map_gather(labeled_logits_block, model)
    found: np.ndarray = logits.cpu().numpy()
    return found


def labeled_logits_block(block: Block, per_row: tuple[Tensor, ...], model: VAALModel) -> tuple[Tensor]:
    """Do what `labeled_logits` does for the rows of one block."""
    logits = torch.empty(block.n_rows, dtype=torch.float64, device=block.device)
    with torch.no_grad():
        for tile in block.tiles():
            mean, _ = _encode(model.encoder, model.scaled(tile.rows))
            logits[tile.slice] = model.discriminator(mean).squeeze(1).double()
    return (logits,)


def _encode(encoder: nn.Sequential, rows: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_variance = encoder(rows).chunk(2, dim=1)
    return mean, log_variance.clamp(*_LOG_VARIANCES)


def image_tile_rows(image_shape: tuple[int, ...]) -> int:
    """How many images to score at once; of their size only, so that no memory budget moves a tile's border."""
    height, width = image_shape[:2]
    return min(2048, power_of_two_below(_TILE_PIXELS // (height * width)))


def _scaling(pool: Blocks, *, is_image: bool) -> tuple[float, float]:
    """Center and factor of the scale, after one pass that also keeps what fits of the pool for the batches."""
    lowest, highest = pool.map_reduce(value_range, wider_range)
    if not is_image:
        return 0.0, float(pool.n_features**0.5)
    span = highest - lowest
    return 0.5 * (lowest + highest), 2.0 / span if span > 1e-37 else 1.0  # below, float32 has no such factor


def value_range(block: Block, per_row: tuple[Tensor, ...], shared: None) -> tuple[float, float]:
    """Lowest and highest value of a block."""
    lowest, highest = math.inf, -math.inf
    for tile in block.tiles():
        lowest, highest = min(lowest, float(tile.rows.min())), max(highest, float(tile.rows.max()))
    return lowest, highest


def wider_range(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Lowest and highest value of two blocks."""
    return min(first[0], second[0]), max(first[1], second[1])
