"""A variational autoencoder and a discriminator of labelled from unlabelled latents, trained against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skal._core.blocks import Pool

__all__ = ["VAALModel", "VAALSchedule", "labeled_logits", "train_vaal"]

_HIDDEN, _DISCRIMINATOR_HIDDEN = (256, 256), (512, 512)
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
    """The two parts that scoring needs."""

    encoder: nn.Sequential  # (m, d) → (m, 2 · n_latent): means and log variances
    discriminator: nn.Sequential  # (m, n_latent) → (m, 1): logit of "labelled"

    def to(self, device: torch.device) -> VAALModel:
        """Copy both parts to a device."""
        return VAALModel(deepcopy(self.encoder).to(device), deepcopy(self.discriminator).to(device))


def train_vaal(
    pool: Pool,
    labeled_idx: np.ndarray,
    unlabeled_idx: np.ndarray,
    schedule: VAALSchedule,
    rng: np.random.Generator,
    on_step: Callable[[int, float], object] = lambda step, loss: None,
) -> VAALModel:
    """Train the autoencoder on all rows to fool a discriminator that tells labelled from unlabelled latents.

    The autoencoder's loss is ``½‖x − x̂‖² + β·KL`` of both batches plus the discriminator's error when told
    that both are labelled. Rows are scaled to a mean square of one.

    Parameters
    ----------
    pool : Pool of shape (n, d)
        Of unit rows.
    labeled_idx, unlabeled_idx : int64 ndarray
        Neither empty.

    Notes
    -----
    Time ``n_steps · batch_size`` times a few passes through the layers; memory of a batch and the layers.
    """
    device, d = pool.device, pool.n_features
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
    encoder = _layers([d, *_HIDDEN, 2 * schedule.n_latent], generator, device)
    decoder = _layers([schedule.n_latent, *_HIDDEN, d], generator, device)
    discriminator = _layers([schedule.n_latent, *_DISCRIMINATOR_HIDDEN, 1], generator, device)
    fool = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=schedule.lr)
    tell = torch.optim.Adam(discriminator.parameters(), lr=schedule.lr)
    n_batch = min(schedule.batch_size, pool.n_rows)
    is_labeled = torch.zeros(2 * n_batch, device=device)
    is_labeled[:n_batch] = 1.0
    for step in range(1, schedule.n_steps + 1):
        batch_idx = np.concatenate([rng.choice(labeled_idx, n_batch), rng.choice(unlabeled_idx, n_batch)])
        rows = _scaled(pool.rows(batch_idx))

        mean, log_variance = _encode(encoder, rows)
        noise = torch.randn(mean.shape, generator=generator, device=device)
        rebuilt = decoder(mean + noise * torch.exp(0.5 * log_variance))
        reconstruction = 0.5 * (rows - rebuilt).square().sum(dim=1).mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1).mean()
        logits = discriminator(mean).squeeze(1)
        deceit = binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        loss = reconstruction + schedule.beta * divergence + schedule.adversary_weight * deceit
        fool.zero_grad()
        torch.autograd.backward(loss)
        fool.step()

        with torch.no_grad():
            mean, _ = _encode(encoder, rows)
        told_apart = binary_cross_entropy_with_logits(discriminator(mean).squeeze(1), is_labeled)
        tell.zero_grad()
        torch.autograd.backward(told_apart)
        tell.step()
        on_step(step, float(told_apart.detach()))
    return VAALModel(encoder, discriminator)


def labeled_logits(pool: Pool, model: VAALModel) -> np.ndarray:
    """How sure the discriminator is that each row is labelled, float64 of shape (n,). One pass of the pool."""
    logits = np.empty(pool.n_rows)
    with torch.no_grad():
        for tile in pool.tiles():
            mean, _ = _encode(model.encoder, _scaled(tile.rows))
            logits[tile.slice] = model.discriminator(mean).squeeze(1).double().cpu().numpy()
    return logits


def _encode(encoder: nn.Sequential, rows: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_variance = encoder(rows).chunk(2, dim=1)
    return mean, log_variance.clamp(*_LOG_VARIANCES)


def _scaled(unit_rows: Tensor) -> Tensor:
    return unit_rows * float(unit_rows.shape[1] ** 0.5)


def _layers(sizes: Sequence[int], generator: torch.Generator, device: torch.device) -> nn.Sequential:
    """Linear layers with ReLU between, torch's own initial distribution but drawn from `generator`."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        linear: nn.Module = nn.utils.skip_init(nn.Linear, n_in, n_out, device=device)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
