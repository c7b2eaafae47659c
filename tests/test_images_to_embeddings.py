"""What a reader gives, the extractor takes as it is."""

import numpy as np
import torch
from PIL import Image

from skal.datasets import ImageCollection, load_flat_folder, load_image_folder
from skal.features import TorchFeatureExtractor

BACKBONE = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())


def test_files_and_pixels_give_the_same_embeddings(tmp_path, rng):
    pixels = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    for row, image in enumerate(pixels):
        path = tmp_path / f"class {row % 2}" / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    extractor = TorchFeatureExtractor(BACKBONE, image_transform=None)
    in_memory = ImageCollection(pixels, None, None, "all")
    of_pixels = extractor.transform(in_memory)
    assert of_pixels.shape == (6, 3 * 2 * 2)
    of_files = extractor.transform(load_image_folder(tmp_path))
    np.testing.assert_array_equal(of_files, of_pixels[[0, 2, 4, 1, 3, 5]])
    np.testing.assert_array_equal(extractor.transform(load_flat_folder(tmp_path / "class 1")), of_pixels[1::2])
