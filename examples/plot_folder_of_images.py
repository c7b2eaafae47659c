"""
From a folder of images to embeddings, and why not pixels
=========================================================

A sampler is as good as the space that it picks in. A thousand digits as photos of any exposure:
among their pixels, what is near is equally dark; among the outputs of a network, what is near shows
the same.
"""

# sphinx_gallery_thumbnail_number = 2

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from skal.classifiers import CosineKNNClassifier
from skal.features import TorchFeatureExtractor
from skal.plotting import EmbeddingDisplay, PickedImagesDisplay
from skal.samplers import KMeansSampler

digits = load_digits()
home = Path(tempfile.mkdtemp())
(home / "photos").mkdir()
rng = np.random.default_rng(0)


def take_photo(number):
    """Write a digit as a file: on dark paper or light, in lighter ink or darker."""
    digit = Image.fromarray(np.uint8(15 * digits.images[number]))
    ink = np.asarray(digit.resize((32, 32), Image.Resampling.BICUBIC))
    contrast = rng.choice([-1, 1]) * rng.uniform(0.15, 0.3)
    light = rng.uniform(70, 185) + rng.normal() * np.linspace(-15, 15, 32)
    photo = Image.fromarray(np.uint8(light + contrast * ink))
    photo.save(home / f"photos/{number:04d}.png")


for number in range(900):
    take_photo(number)

# %%
# Any torch module is a backbone
# ------------------------------
#
# In practice this is a pretrained network, such as ``TorchFeatureExtractor("resnet50",
# "moco_v2.pth.tar")``. Here it is one that needs no training: how strong the edges of six
# directions are in each small square.


class Edges(torch.nn.Module):
    def __init__(self):
        super().__init__()
        angles = torch.arange(6)[:, None, None] * torch.pi / 6
        sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
        self.register_buffer("kernels", (angles.cos() * sobel + angles.sin() * sobel.T)[:, None])

    def forward(self, images):
        edges = torch.nn.functional.conv2d(images.mean(dim=1, keepdim=True), self.kernels).square()
        return torch.nn.functional.avg_pool2d(edges, 4).flatten(1).sqrt()


# Files as small as these are read in no time; for photos leave num_workers out.
extractor = TorchFeatureExtractor(Edges(), image_transform=None, num_workers=0)
pool = extractor.embed(home / "photos", home / "photos.npy")
print(pool)

# %%
# The embeddings are in a file. A hundred photos more, and the same call embeds these only; the rows
# of the others stay what they are.

for number in range(900, 1000):
    take_photo(number)
before = pool.embeddings[:].copy()
pool = extractor.embed(home / "photos", home / "photos.npy")
print(f"{pool}; the first 900 as before: {np.array_equal(pool.embeddings[:900], before)}")

# %%
# Thirty labels among pixels, and among embeddings
# ------------------------------------------------
#
# The colours of the maps are what a person would say. Among pixels there are light photos and dark
# ones; among embeddings, digits.

pixels = np.stack([np.asarray(Image.open(path)).ravel() for path in pool.paths]).astype(np.float32)
y = digits.target[[int(Path(path).stem) for path in pool.paths]]

_, axes = plt.subplots(2, 1, figsize=(6.4, 9), layout="constrained")
for (name, X), ax in zip((("Pixels", pixels), ("Embeddings", pool.embeddings)), axes, strict=True):
    picks = KMeansSampler(budget=30, random_state=0).fit_select(X)
    EmbeddingDisplay.from_embeddings(X, picks, y, title=name, max_points=600, ax=ax)
    accuracy = CosineKNNClassifier().fit(X[picks], y[picks]).score(X, y)
    print(f"{name}: accuracy of the nearest neighbour {accuracy:.1%}")

# %%
# The photos to label
# -------------------
#
# ``picks`` are rows, and ``pool.paths[row]`` is the file of each. Of a thousand, thirty are opened:

shown = PickedImagesDisplay.from_indices(pool, picks, titles=y)
