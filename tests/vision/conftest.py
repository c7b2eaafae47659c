"""Small images that a small network can tell apart."""

import numpy as np
import pytest
import torch
from torch import nn

COLORS = np.array([(200, 40, 40), (40, 190, 60), (50, 60, 210)])


def images_of(y, rng, size=(12, 12)):
    """Noisy images (n, h, w, 3) of the color of their class."""
    noise = rng.normal(scale=25, size=(len(y), *size, 3))
    return np.clip(COLORS[y][:, None, None] + noise, 0, 255).astype(np.uint8)


def small_backbone(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.1), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )  # fmt: skip


@pytest.fixture
def backbone():
    return small_backbone()


@pytest.fixture
def pool():
    """60 images of three classes, and their names."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return images_of(y, rng), np.array(["red", "green", "blue"])[y]
