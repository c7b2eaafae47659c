"""Small folders of images, and a backbone that takes no time."""

import numpy as np
import pytest
import torch
from PIL import Image

from skal.features import TorchFeatureExtractor
from skal.labeling import LabelingProject

COLORS = ("red", "green", "blue")


class AveragePatches(torch.nn.Module):
    """(n, 3, h, w) → (n, 12): nothing random, nothing learned, any size."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def picture(rng, color):
    return (rng.integers(0, 100, (8, 8, 3)) + 150 * np.eye(3, dtype=int)[color]).astype(np.uint8)


def draw_images(folder, n_images=60, seed=0):
    """Draw noisy red, green and blue images in turn, with names that are not plain."""
    rng = np.random.default_rng(seed)
    (folder / "sub folder").mkdir(parents=True)
    for number in range(n_images):
        name = f"{'sub folder/' * (number % 2)}bild ü {number:03}.png"
        Image.fromarray(picture(rng, number % 3)).save(folder / name)


def true_label(path):
    return COLORS[int(path.stem.split()[-1]) % 3]


@pytest.fixture
def extractor():
    return TorchFeatureExtractor(AveragePatches(), image_size=8, batch_size=16)


@pytest.fixture
def photos(tmp_path):
    draw_images(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def project(photos, extractor, tmp_path):
    """A project whose images are embedded."""
    with LabelingProject.create(tmp_path / "photos.skal", photos) as project:
        project.embed(extractor)
        yield project


@pytest.fixture
def label_queue():
    """Label what waits, each image by its color."""

    def label_all(project, **how):
        for image in project.queue:
            project.label(image.row, true_label(image.path), **how)

    return label_all
