"""Preparation: sizes and values, beside plain oracles."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from skal.features._preparation import Preparation, resized_and_cropped
from skal.features._sources import ArrayImages, open_images

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 2)])
def test_tiny_and_elongated_images_can_be_prepared(size, tmp_path):
    Image.new("RGB", size, (10, 20, 30)).save(tmp_path / "a.png")
    images, preparation = open_images([tmp_path / "a.png"], lambda are_files: Preparation(256, 224))
    inputs = preparation.to_input(images.read(0, 1).images, CPU, are_cropped=images.are_cropped)
    assert inputs.shape == (1, 3, 224, 224)
    np.testing.assert_allclose(255 * inputs[0].mean(dim=(1, 2)), [10, 20, 30], rtol=1e-5)


def plainly_prepared(image, resize, crop):
    """torchvision's Resize and CenterCrop in their own words: the whole image is resized, then cropped."""
    width, height = image.size
    short = min(width, height)
    size = (int(resize * width / short), int(resize * height / short))
    left, top = round((size[0] - crop) / 2), round((size[1] - crop) / 2)
    whole = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(whole.crop((left, top, left + crop, top + crop)), dtype=int)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (257, 256), (31, 77), (500, 40), (256, 256)])
def test_the_centre_alone_is_resized_as_within_the_whole(size, rng):
    image = Image.fromarray(rng.integers(0, 256, size=(size[1], size[0], 3), dtype=np.uint8))
    ours = np.asarray(resized_and_cropped(image, Preparation(64, 56)), dtype=int)
    assert np.abs(ours - plainly_prepared(image, 64, 56)).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(20, 20), (16, 40), (80, 60)])
def test_arrays_are_resized_as_files_are(size, channels, rng):
    noise = rng.integers(0, 256, size=(4, *size, channels), dtype=np.uint8)
    preparation = Preparation(24, 24, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    inputs = preparation.to_input(ArrayImages(noise, preparation).read(0, 4).images, CPU, are_cropped=False)
    for image, ours in zip(noise, inputs.numpy(), strict=True):
        rgb = Image.fromarray(np.repeat(image, 3 // channels, axis=2))
        expected = plainly_prepared(rgb, 24, 24) / 255
        pixels = ours.transpose(1, 2, 0) * preparation.std + preparation.mean
        assert np.abs(pixels - expected).max() <= 1.01 / 255


def test_values_are_scaled_and_standardised(arrays):
    preparation = Preparation(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    inputs = preparation.to_input(ArrayImages(arrays, preparation).read(3, 7).images, CPU, are_cropped=False)
    expected = (arrays[3:7] / 255 - preparation.mean) / preparation.std
    np.testing.assert_allclose(inputs.permute(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-6)
    assert inputs.dtype == torch.float32


def scaled(image, by, offset=0.0):
    return by * torch.as_tensor(np.array(image)).permute(2, 0, 1) + offset


class Scaling:
    def __init__(self, by):
        self.by = by

    def __call__(self, image):
        return scaled(image, self.by)


def closure(by):
    return lambda image: scaled(image, by)


@pytest.mark.parametrize("make", [closure, Scaling, lambda by: partial(scaled, by=by)])
def test_a_transform_is_known_by_what_it_does(make):
    one, same, other = (Preparation(custom=make(by)).describe() for by in (1, 1, 3))
    assert one == same != other


def test_a_grey_array_is_rgb_for_a_transform_too(rng):
    images = rng.integers(0, 256, size=(3, 4, 4), dtype=np.uint8)
    batch = ArrayImages(images, Preparation(custom=Scaling(1.0))).read(0, 3)
    np.testing.assert_array_equal(batch.images, np.repeat(images[:, None], 3, axis=1))
