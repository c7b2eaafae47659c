"""A backbone and the linear layer on it."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

__all__ = ["ImageNetwork", "Standardization"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Standardization(nn.Module):
    """Features to mean 0 and deviation 1, by statistics that are fixed before the training.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Whose statistics they are. A feature that is constant over them becomes zero.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, embeddings: Tensor) -> None:
        super().__init__()
        mean = embeddings.double().mean(dim=0)
        deviation = (embeddings.double() - mean).square().mean(dim=0).sqrt()
        is_constant = deviation <= 1e-6 * mean.abs().clamp_min(torch.finfo(torch.float32).tiny)
        self.register_buffer("mean", mean.float())
        self.register_buffer("factor", torch.where(is_constant, 0.0, 1.0 / deviation).float())

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) * self.factor


class ImageNetwork(nn.Module):
    """Images (n, 3, h, w) → logits (n, n_classes).

    Parameters
    ----------
    backbone : Module
        From images to features (n, d).
    head : Module
        The last layer, from features to logits.
    scaling : Module
        What is between the two.
    is_backbone_frozen : bool
        Whether the backbone stays as it is, batch norm's statistics included.
    is_batch_norm_frozen : bool
        Whether batch norm keeps its running statistics and uses them in training too; its weights are trained.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Linear,
        scaling: nn.Module | None = None,
        *,
        is_backbone_frozen: bool = False,
        is_batch_norm_frozen: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.scaling = nn.Identity() if scaling is None else scaling
        self.is_backbone_frozen, self.is_batch_norm_frozen = is_backbone_frozen, is_batch_norm_frozen
        if is_backbone_frozen:
            backbone.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.scaling(self.features(images)))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """What the backbone gives, (n, d)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_backbone_frozen):
            features: Tensor = self.backbone(images)
        return features

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.is_backbone_frozen:
            self.backbone.eval()
        elif self.is_batch_norm_frozen:
            for module in self.backbone.modules():
                if isinstance(module, _BATCH_NORMS):
                    module.eval()
        return self
