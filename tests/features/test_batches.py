"""How many images a step takes where nobody says."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from skal.features import TorchFeatureExtractor
from skal.features._batches import batch_size_for


@pytest.mark.parametrize(
    ("side", "expected"), [(1, 128), (28, 128), (64, 128), (128, 64), (224, 20), (384, 8), (1000, 8), (None, 32)]
)
def test_a_cpu_takes_a_million_pixels_within_bounds(side, expected):
    assert batch_size_for(torch.device("cpu"), None if side is None else side * side) == expected
    assert batch_size_for(torch.device("cuda"), None if side is None else side * side) == 128


class Means(torch.nn.Module):
    """Embeds an image as the means of its channels; notes the sizes of the batches."""

    sizes = []

    def forward(self, images):
        self.sizes.append(len(images))
        return images.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        ("arrays", {}, 128),
        ("arrays", {"image_size": 224}, 20),
        ("arrays", {"batch_size": 3}, 3),
        ("arrays", {"image_transform": lambda image: torch.zeros(3, 4, 4)}, 32),
        ("files", {}, 20),
        ("files", {"image_size": 32}, 128),
        ("files", {"image_transform": None}, 32),
        ("dataset", {}, 32),
    ],
)
def test_batches_are_as_large_as_the_images_allow(kind, parameters, expected, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, size=(130, 8, 8, 3), dtype=np.uint8)
    images = pixels
    if kind == "files":
        images = [tmp_path / f"{row}.png" for row in range(len(pixels))]
        for path, image in zip(images, pixels, strict=True):
            Image.fromarray(image).save(path)
    if kind == "dataset":
        images = torch.utils.data.TensorDataset(torch.zeros(130, 3, 8, 8))
    Means.sizes.clear()
    extractor = TorchFeatureExtractor(Means(), num_workers=0, device="cpu", **parameters)
    extractor.embed(images, tmp_path / "out.npy", version="1")
    n_full, rest = divmod(130, expected)
    assert [size for size in Means.sizes if size > 1 or expected == 1] == [expected] * n_full + [rest] * (rest > 1)
    assert f'"batch_size": {expected}' in json.dumps(json.loads((tmp_path / "out.npy.json").read_text()))
