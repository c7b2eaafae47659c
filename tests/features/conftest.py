"""Small images and fast backbones."""

import numpy as np
import pytest
import torch
from PIL import Image


class AveragePatches(torch.nn.Module):
    """(n, 3, h, w) → (n, 12): nothing random, nothing learned, any size."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


@pytest.fixture
def backbone():
    return AveragePatches()


@pytest.fixture
def arrays(rng):
    return rng.integers(0, 256, size=(23, 10, 12, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path, arrays):
    """The same images as files that lose nothing."""
    folder = tmp_path / "images"
    folder.mkdir()
    paths = [folder / f"{row:03}.png" for row in range(len(arrays))]
    for path, image in zip(paths, arrays, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture
def colors(rng):
    return rng.integers(0, 256, size=(8, 6, 3), dtype=np.uint8)
