"""Means and variances in one pass."""

import numpy as np
import torch

from skal._core.blocks import Blocks
from skal._core.moments import pool_moments


def test_against_numpy_with_a_large_offset(rng):
    X = rng.normal(size=(5000, 4)) * [1, 2, 3, 0] + [0, 1e6, -5, 7]
    mean, variance = pool_moments(Blocks(X, torch.device("cpu"), dtype=torch.float64))
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(variance, X.var(axis=0), rtol=1e-9, atol=1e-20)
