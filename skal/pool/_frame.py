"""How rows are prepared for arithmetic in float32, found once for a pool and applied to others alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks, blocks_of
from skal._core.moments import pool_moments
from skal._core.rows import unit_rows

__all__ = ["Frame", "find_cone", "find_frame"]

_SAFE_SPREADS = 2.0**-20, 2.0**20  # as they are, these keep their digits when squared in float32
_SAFE_VARIANCES = 1e-200, 1e200  # outside, float64 moments may have under- or overflowed
_HIGHEST_EXPONENT = 1000.0  # of a factor, so that float64 can hold it
_ROUNDING = 2.0**-48  # a spread below this share of the mean is float64's own rounding
_CONE_SAMPLE = 512  # rows that are looked at
_WIDEST_CONE = 2.0**-8  # squared distance from the middle; float32 keeps most digits of larger ones


@dataclass(frozen=True)
class Frame:
    """Rows x become ``(x − origin) · factor``, after L2-normalisation under "cosine".

    Attributes
    ----------
    metric : {"cosine", "euclidean"}
    origin : ndarray of shape (d,), float64
        Near the mean of the rows under "euclidean", so that float32 spends its digits on the differences
        between rows; a multiple of a power of two near their spread, so that integers stay integers.
        Under "cosine" zero, or what `find_cone` found.
    factor : float
        A power of two; 1 unless the spread of the rows is far from 1. It costs no digits.

    See Also
    --------
    PoolView : Holds the frame of its pool.
    """

    metric: str
    origin: npt.NDArray[np.float64]
    factor: float = 1.0

    def blocks(self, X: Any, device: torch.device, **options: Any) -> Blocks:
        """Prepare the rows of `X`, an ndarray or Tensor of shape (n, d), in this frame."""
        shift = torch.from_numpy(self.origin).to(device) if self.origin.any() else None
        return blocks_of(X, device, normalize=self.metric == "cosine", shift=shift, factor=self.factor, **options)

    def points(self, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Bring points given in the units of the (normalised) rows into the frame."""
        points: npt.NDArray[np.float32] = ((np.asarray(rows, dtype=np.float64) - self.origin) * self.factor).astype(
            np.float32
        )
        return points

    def original(self, points: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Bring points back to the units of the (normalised) rows: float32, or float64 where their scale needs it."""
        if self.factor == 1.0 and not self.origin.any():
            return points.copy()
        rows = points.astype(np.float64) / self.factor + self.origin
        return rows.astype(np.float32) if self.factor == 1.0 else rows


def find_frame(X: Any, metric: str, device: torch.device) -> Frame:
    """Find the frame of a pool: one pass in float64 under "euclidean", none under "cosine"."""
    n_features = int(X.shape[1])
    if metric == "cosine":
        return Frame(metric, np.zeros(n_features))
    mean, variance, unit = _moments(X, device)
    spread = math.sqrt(float(variance.max()))
    if spread <= _ROUNDING * float(mean.abs().max()):
        return Frame(metric, (mean * unit).cpu().numpy())  # copies of one row
    step = 2.0 ** math.floor(math.log2(math.sqrt(float(variance.mean()))))
    origin = torch.round(mean / step) * step * unit
    lowest, highest = _SAFE_SPREADS
    is_safe = lowest <= spread * unit <= highest
    factor = 1.0 if is_safe else 2.0 ** min(-math.floor(math.log2(spread)) - math.log2(unit), _HIGHEST_EXPONENT)
    return Frame(metric, origin.cpu().numpy(), factor)


def find_cone(X: Any, device: torch.device) -> Frame | None:
    """Find a frame around unit rows that nearly all point one way, or None where they do not.

    Float32 spends its digits on what such rows have in common. In this frame it spends them on the differences;
    distances are those of the unit rows, inner products are not. Looks at 512 rows, in float64. The middle is the
    mean of the half nearest to their mean, so that a few zero rows and outliers do not hide a cone.
    """
    n_sampled = min(int(X.shape[0]), _CONE_SAMPLE)
    sampled_idx = np.linspace(0, int(X.shape[0]) - 1, n_sampled).astype(np.int64)
    units = unit_rows(blocks_of(X, device, dtype=torch.float64).take(sampled_idx))
    from_mean = (units - units.mean(dim=0)).square().sum(dim=1)
    inner = units[from_mean.argsort(stable=True)[: n_sampled // 2 + 1]]
    middle = inner.mean(dim=0)
    is_cone = float((inner - middle).square().sum(dim=1).max()) <= _WIDEST_CONE
    return Frame("cosine", middle.cpu().numpy()) if is_cone and bool(middle.any()) else None


def _moments(X: Any, device: torch.device) -> tuple[Tensor, Tensor, float]:
    """Mean and variance of the features in units of a power of two, and that unit."""
    mean, variance = pool_moments(blocks_of(X, device, dtype=torch.float64))
    largest = float(variance.max())
    lowest, highest = _SAFE_VARIANCES
    if lowest <= largest <= highest:
        return mean, variance, 1.0
    (largest_entry,) = blocks_of(X, device, dtype=torch.float64).map_reduce(_largest_entry, _larger)
    if largest_entry == 0.0:
        return mean, variance, 1.0
    unit = 2.0 ** math.floor(math.log2(largest_entry))
    mean, variance = pool_moments(blocks_of(X, device, dtype=torch.float64, factor=1.0 / unit))
    return mean, variance, unit


def _largest_entry(block: Block, per_row: tuple[Tensor, ...], shared: None) -> tuple[float]:
    return (max(float(tile.rows.abs().max()) for tile in block.tiles()),)


def _larger(first: tuple[float], second: tuple[float]) -> tuple[float]:
    return max(first, second)
