"""Crops, flips and shifts by brute force; the strong augmentation by what it must leave alone."""

import numpy as np
import pytest
import torch

from skal.vision._augment import StrongAugmentation, crop_box, flip, shift_and_flip


@pytest.mark.parametrize("size", [(28, 28), (40, 17), (9, 60), (1, 1), (300, 2)])
def test_crops_lie_inside(size, rng):
    for _ in range(200):
        left, top, right, bottom = crop_box(size, (0.08, 1.0), rng)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


def test_crops_have_the_areas_and_aspects_asked_for(rng):
    boxes = np.array([crop_box((400, 400), (0.3, 0.6), rng) for _ in range(300)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    shares, aspects = width * height / 400**2, width / height
    assert 0.29 < shares.min() < 0.33 < 0.57 < shares.max() < 0.61
    assert 0.74 < aspects.min() < 0.8 < 1.25 < aspects.max() < 1.35
    assert boxes[:, 0].min() < 20
    assert boxes[:, 2].max() > 380


def test_flips():
    images = torch.arange(40 * 3 * 4 * 5, dtype=torch.float32).view(40, 3, 4, 5)
    torch.manual_seed(0)
    flipped = flip(images)
    is_flipped = [torch.equal(one, other.flip(2)) for one, other in zip(flipped, images, strict=True)]
    is_same = [torch.equal(one, other) for one, other in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(is_flipped, is_same, strict=True))
    assert 8 < sum(is_flipped) < 32


def test_shifts_are_those_of_reflected_borders():
    images = torch.arange(60 * 3 * 16 * 24, dtype=torch.float32).view(60, 3, 16, 24)
    torch.manual_seed(0)
    shifted = shift_and_flip(images)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (3, 3)), mode="reflect")
    met = set()
    for number, found in enumerate(shifted.numpy()):
        places = [
            (top, left, is_flipped)
            for top in range(5)
            for left in range(7)
            for is_flipped in (False, True)
            if np.array_equal(
                found, padded[number, :, top : top + 16, left : left + 24][..., :: -1 if is_flipped else 1]
            )
        ]
        assert len(places) == 1
        met.add(places[0])
    assert len({top for top, _, _ in met}) == 5
    assert len({left for _, left, _ in met}) == 7
    assert len({is_flipped for _, _, is_flipped in met}) == 2


@pytest.mark.parametrize("side", [1, 5, 32])
def test_strong_augmentation_gives_other_pixels_in_the_same_range(side):
    images = torch.rand(40, 3, side, side, generator=torch.Generator().manual_seed(0))
    kept = images.clone()
    torch.manual_seed(1)
    strong = StrongAugmentation()(images)
    assert torch.equal(images, kept)
    assert strong.shape == images.shape
    assert strong.dtype == torch.float32
    assert torch.isfinite(strong).all()
    assert 0 <= float(strong.min()) <= float(strong.max()) <= 1
    if side == 32:
        assert sum(not torch.allclose(one, other, atol=0.01) for one, other in zip(strong, images, strict=True)) > 35
