"""Principal directions."""

import numpy as np
import torch

from skal._core.blocks import Blocks
from skal._core.projection import principal_axes, project

CPU = torch.device("cpu")


def test_against_the_singular_vectors(rng):
    X = (rng.normal(size=(3000, 10)) * np.arange(1, 11) + 5).astype(np.float32)
    axes = principal_axes(Blocks(X, CPU), 4)
    centered = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    leading = np.linalg.svd(centered, full_matrices=False)[2][:4]
    overlap = np.linalg.svd(leading @ axes.directions.numpy())[1]
    np.testing.assert_allclose(overlap, 1, atol=1e-4)
    variances = np.sort(centered.var(axis=0))
    assert abs(axes.captured - variances[-4:].sum() / variances.sum()) < 0.02
    np.testing.assert_allclose(axes.directions.T @ axes.directions, np.eye(4), atol=1e-5)
    coordinates = Blocks(X, CPU).cached(project, axes)
    np.testing.assert_allclose(coordinates.whole(), centered @ axes.directions.numpy(), atol=1e-3)
