"""How many images a step takes where the user does not say."""

from __future__ import annotations

import torch

__all__ = ["batch_size_for"]

_ON_CUDA = 128
# On a CPU, one large batch falls out of the caches and many small ones pay the fixed cost of each layer more often:
# `python -m benchmarks.bench_extractor --batch-sizes 8 16 32 64 128` measures it.
_PIXELS_ON_CPU = 2**20
_FEWEST_ON_CPU, _MOST_ON_CPU, _WHERE_SIZES_ARE_NOT_KNOWN = 8, 128, 32


def batch_size_for(device: torch.device, n_pixels: int | None) -> int:
    """Choose the batch size for images of `n_pixels` each, None where that is not known before they are read."""
    if device.type != "cpu":
        return _ON_CUDA
    if n_pixels is None:
        return _WHERE_SIZES_ARE_NOT_KNOWN
    return min(max(_PIXELS_ON_CPU // n_pixels, _FEWEST_ON_CPU), _MOST_ON_CPU)
