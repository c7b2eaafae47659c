"""What makes other images of an image while a network is trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skal._install import hint_for_extra

__all__ = ["StrongAugmentation", "crop_box", "flip", "shift_and_flip"]

Box = tuple[float, float, float, float]

_ASPECTS = (3 / 4, 4 / 3)
_ATTEMPTS = 10
_SHIFT = 0.125  # of the side, as FixMatch shifts: 4 pixels of 32
_IMAGES_A_DRAW = 16  # kornia draws the operations once a call
_OPERATIONS, _LARGEST_MAGNITUDE = 2, 30.0
_CUTOUT_AREA, _GREY = (1e-3, 0.25), 0.5  # squares of up to half the side


def crop_box(size: tuple[int, int], scale: tuple[float, float], rng: np.random.Generator) -> Box:
    """Draw the box of a random resized crop: its share of the area, then its aspect, then its place.

    Parameters
    ----------
    size : (width, height) of the image
    scale : (smallest, largest) share of the area

    Returns
    -------
    (left, top, right, bottom)
        Inside the image; all of the image's middle where no box fits in ten attempts.
    """
    width, height = size
    for _ in range(_ATTEMPTS):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(_ASPECTS[0]), math.log(_ASPECTS[1])))
        across, down = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < across <= width and 0 < down <= height:
            left, top = rng.integers(0, width - across + 1), rng.integers(0, height - down + 1)
            return float(left), float(top), float(left + across), float(top + down)
    across_at_most, down_at_most = min(width, height * _ASPECTS[1]), min(height, width / _ASPECTS[0])
    left_edge, top_edge = (width - across_at_most) / 2, (height - down_at_most) / 2
    return left_edge, top_edge, left_edge + across_at_most, top_edge + down_at_most


def flip(images: Tensor) -> Tensor:
    """Mirror each of images (m, c, h, w) with probability ½."""
    is_flipped = torch.rand(len(images), device=images.device) < 0.5
    return torch.where(is_flipped[:, None, None, None], images.flip(3), images)


def shift_and_flip(images: Tensor) -> Tensor:
    """FixMatch's weak augmentation: mirror with probability ½, shift each side by an eighth at most, reflected."""
    height, width = images.shape[2:]
    rows, columns = _shifted_places(len(images), height, images), _shifted_places(len(images), width, images)
    of_image = torch.arange(len(images), device=images.device)[:, None, None]
    shifted = images.permute(0, 2, 3, 1)[of_image, rows[:, :, None], columns[:, None, :]]
    return flip(shifted.permute(0, 3, 1, 2))


def _shifted_places(n_images: int, side: int, like: Tensor) -> Tensor:
    """For each image where each row (or column) comes from, (n_images, side)."""
    most = int(_SHIFT * side)
    shift = torch.randint(-most, most + 1, (n_images, 1), device=like.device)
    places = (torch.arange(side, device=like.device) + shift).abs()
    return torch.where(places < side, places, 2 * (side - 1) - places)


class StrongAugmentation:
    """RandAugment and a cut-out square, on pixels (m, 3, h, w) from 0 to 1, by kornia.

    Two operations of RandAugment's list at a magnitude of its whole range, as FixMatch draws them; each draw serves 16
    images, with a sign of their own.

    Raises
    ------
    ImportError
        If kornia is not installed.
    """

    def __init__(self) -> None:
        try:
            from kornia.augmentation import RandomErasing
            from kornia.augmentation.auto import RandAugment
        except ImportError as error:
            raise ImportError(f"FixMatch's strong augmentation needs kornia: {hint_for_extra('vision')}") from error
        self._rand_augment: Any = RandAugment(n=_OPERATIONS, m=1)
        self._cutout: Any = RandomErasing(scale=_CUTOUT_AREA, ratio=(1.0, 1.0), value=_GREY, p=1.0)

    def __call__(self, images: Tensor) -> Tensor:
        augmented = []
        for some in images.split(_IMAGES_A_DRAW):
            self._rand_augment.m = _LARGEST_MAGNITUDE * float(torch.rand(()))
            augmented.append(self._rand_augment(some))
        cut: Tensor = self._cutout(torch.cat(augmented)).clamp(0.0, 1.0)
        return cut
