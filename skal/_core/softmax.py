"""Training of a linear layer under softmax cross-entropy, its data resident on one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["AdamSchedule", "SoftmaxLayer", "cross_entropy_and_gradient", "train_softmax"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class AdamSchedule:
    """Adam with a step-wise learning rate (Kingma and Ba, 2015; the constants are theirs)."""

    lr: float
    milestones: Sequence[int]
    gamma: float
    n_epochs: int
    batch_size: int
    weight_decay: float = 0.0

    def lr_at(self, epoch: int) -> float:
        """Learning rate in `epoch`, counted from 0."""
        return self.lr * self.gamma ** sum(epoch >= milestone for milestone in self.milestones)


@dataclass(frozen=True)
class SoftmaxLayer:
    """``logits = X @ weight + bias``."""

    weight: Tensor  # (d, n_classes)
    bias: Tensor  # (n_classes,)
    loss_curve: list[float]  # the mean training loss of each epoch


def cross_entropy_and_gradient(
    X: Tensor, targets: Tensor, row_weights: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted cross-entropy ``Σ wᵢ · −log softmax(xᵢW + b)[yᵢ]`` and its gradients.

    Parameters
    ----------
    X : Tensor of shape (m, d)
    targets : int64 Tensor of shape (m,)
    row_weights : Tensor of shape (m,)
    weight : Tensor of shape (d, n_classes)
    bias : Tensor of shape (n_classes,)

    Returns
    -------
    loss : Tensor of shape ()
    weight_gradient : Tensor of shape (d, n_classes)
    bias_gradient : Tensor of shape (n_classes,)
    """
    log_probabilities = torch.log_softmax(torch.addmm(bias, X, weight), dim=1)
    at_target = targets[:, None]
    loss = -(log_probabilities.gather(1, at_target).squeeze(1) @ row_weights)
    residual = log_probabilities.exp_().mul_(row_weights[:, None])
    residual.scatter_add_(1, at_target, -row_weights[:, None])
    return loss, X.T @ residual, residual.sum(dim=0)


def train_softmax(
    X: Tensor,
    targets: Tensor,
    row_weights: Tensor,
    n_classes: int,
    schedule: AdamSchedule,
    rng: np.random.Generator,
    on_epoch: Callable[[int, float], object] = lambda epoch, loss: None,
) -> SoftmaxLayer:
    """Train one linear layer from zero by mini-batch Adam.

    The start is zero because the problem is convex, so a random start adds only noise, which a
    handful of labels cannot wash out. Batches come from a new permutation each epoch; the order
    depends on `rng` alone, not on the device.

    Parameters
    ----------
    X : Tensor of shape (n, d)
    targets : int64 Tensor of shape (n,), values in [0, n_classes)
    row_weights : Tensor of shape (n,)
        Positive; the loss of a batch is ``Σ wᵢ lossᵢ`` over batch size times the mean weight.

    Notes
    -----
    Time ``4 · n_epochs · n · d · n_classes``, memory of one batch beside X and three layers.
    """
    n, d = X.shape
    weight, bias = X.new_zeros((d, n_classes)), X.new_zeros(n_classes)
    parameters = [weight, bias]
    first_moments = [torch.zeros_like(p) for p in parameters]
    second_moments = [torch.zeros_like(p) for p in parameters]
    relative_weights = row_weights / row_weights.mean()
    loss_curve = []
    step = 0
    for epoch in range(schedule.n_epochs):
        lr = schedule.lr_at(epoch)
        order = torch.from_numpy(rng.permutation(n)).to(X.device)
        epoch_loss = X.new_zeros(())
        for first in range(0, n, schedule.batch_size):
            batch = order[first : first + schedule.batch_size]
            loss, *gradients = cross_entropy_and_gradient(
                X[batch], targets[batch], relative_weights[batch] / len(batch), weight, bias
            )
            epoch_loss += loss * len(batch)
            step += 1
            for p, gradient, m, v in zip(parameters, gradients, first_moments, second_moments, strict=True):
                _adam_step(p, gradient, m, v, lr, step, schedule.weight_decay)
        loss_curve.append(float(epoch_loss) / n)
        on_epoch(epoch, loss_curve[-1])
    return SoftmaxLayer(weight, bias, loss_curve)


def _adam_step(p: Tensor, gradient: Tensor, m: Tensor, v: Tensor, lr: float, step: int, weight_decay: float) -> None:
    if weight_decay:
        gradient = gradient.add(p, alpha=weight_decay)
    m.lerp_(gradient, 1 - _BETA_1)
    v.mul_(_BETA_2).addcmul_(gradient, gradient, value=1 - _BETA_2)
    denominator = v.sqrt().div_((1 - _BETA_2**step) ** 0.5).add_(_EPSILON)
    p.addcdiv_(m, denominator, value=-lr / (1 - _BETA_1**step))
