"""Preparation: sizes and values, beside plain oracles."""

import numpy as np
import pytest
import torch
from PIL import Image

from skal.features._preparation import Preparation, resized_and_cropped
from skal.features._sources import ArrayImages, FileImages

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 2)])
def test_tiny_and_elongated_images_can_be_prepared(size, tmp_path):
    Image.new("RGB", size, (10, 20, 30)).save(tmp_path / "a.png")
    preparation = Preparation(256, 224)
    inputs = preparation.to_input(FileImages([tmp_path / "a.png"]).read([0], preparation.at_read).images, CPU)
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
    preparation = Preparation(24, 24, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), on_device=True)
    inputs = preparation.to_input(ArrayImages(noise).read(range(4), preparation.at_read).images, CPU)
    for image, ours in zip(noise, inputs.numpy(), strict=True):
        rgb = Image.fromarray(np.repeat(image, 3 // channels, axis=2))
        expected = plainly_prepared(rgb, 24, 24) / 255
        pixels = ours.transpose(1, 2, 0) * preparation.std + preparation.mean
        assert np.abs(pixels - expected).max() <= 1.01 / 255


def test_values_are_scaled_and_standardised(arrays):
    preparation = Preparation(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), on_device=True)
    inputs = preparation.to_input(ArrayImages(arrays).read(range(3, 7), preparation.at_read).images, CPU)
    expected = (arrays[3:7] / 255 - preparation.mean) / preparation.std
    np.testing.assert_allclose(inputs.permute(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-6)
    assert inputs.dtype == torch.float32


def as_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_a_grey_array_is_rgb_for_a_transform_too(rng):
    images = rng.integers(0, 256, size=(3, 4, 4), dtype=np.uint8)
    batch = ArrayImages(images).read(range(3), Preparation(on_device=True, custom=as_tensor).at_read)
    np.testing.assert_array_equal(batch.images, np.repeat(images[:, None], 3, axis=1))
