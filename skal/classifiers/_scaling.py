"""How the features of labelled rows are standardised: by their own statistics or by those of the pool."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import torch

from skal._core.blocks import Blocks
from skal._core.moments import pool_moments

__all__ = ["PoolStatistics", "Scaler", "check_scale", "warn_of_untrainable"]

# Coefficients of features whose deviations lie outside these are kept in float64.
_FLOAT32_DEVIATIONS = 2.0**-80, 2.0**80
# Unscaled, the gradients of smaller features are less than Adam's epsilon, and squares of larger ones overflow.
_TRAINABLE = {torch.float32: (1e-8, 1e18), torch.float64: (1e-8, 1e150)}
_FLOAT64_ENTRIES = 1e-140, 1e140  # beyond, float64 cannot hold their squares


@dataclass(frozen=True)
class PoolStatistics:
    """The pool whose statistics standardise the rows, read once for each device and dtype."""

    X: object
    scalers: dict = field(default_factory=dict)

    def scaler(self, checked_X, device, dtype):
        if (device, dtype) not in self.scalers:
            pool = Blocks(checked_X, device, dtype=dtype)
            self.scalers[device, dtype] = Scaler.from_moments(*pool_moments(pool), pool.n_rows, dtype)
        return self.scalers[device, dtype]


@dataclass(frozen=True)
class Scaler:
    mean: torch.Tensor  # (d,) float64
    deviation: torch.Tensor  # (d,) float64, infinite where the feature is constant, which so becomes zero

    @classmethod
    def from_moments(cls, mean, variance, n_rows, dtype):
        rounding = (n_rows * mean * torch.finfo(torch.float64).eps) ** 2 + (mean * torch.finfo(dtype).eps) ** 2
        is_constant = variance <= rounding + n_rows * torch.finfo(torch.float64).eps * variance
        return cls(mean, torch.where(is_constant, torch.inf, variance.sqrt()))

    @classmethod
    def of_rows(cls, rows, row_weights):
        """Statistics of weighted rows (n, d)."""
        shares = (row_weights / row_weights.sum())[:, None]
        mean = (rows.double() * shares).sum(dim=0)
        variance = ((rows.double() - mean).square() * shares).sum(dim=0)
        return cls.from_moments(mean, variance, len(rows), rows.dtype)

    @classmethod
    def identity(cls, like):
        n_features = like.shape[1]
        return cls(
            torch.zeros(n_features, dtype=torch.float64, device=like.device),
            torch.ones(n_features, dtype=torch.float64, device=like.device),
        )

    def apply(self, rows):
        return ((rows.double() - self.mean) / self.deviation).to(rows.dtype)

    def fold_into(self, weight, bias):
        """Move the scaling from the rows (n, d) into the layer: ``coef`` (n_classes, d) and ``intercept``."""
        coef = (weight.double() / self.deviation[:, None]).T
        intercept = bias.double() - (coef * self.mean).sum(dim=1)
        varying = self.deviation[torch.isfinite(self.deviation)]
        lowest, highest = _FLOAT32_DEVIATIONS
        fits_float32 = bool(((varying >= lowest) & (varying <= highest)).all())
        dtype = weight.dtype if fits_float32 else torch.float64
        return coef.to(dtype).cpu().numpy(), intercept.to(dtype).cpu().numpy()


def check_scale(rows):
    """Refuse float64 rows whose squares float64 cannot hold."""
    largest = float(rows.abs().max())
    lowest, highest = _FLOAT64_ENTRIES
    if largest > highest or 0 < largest < lowest:
        raise ValueError(
            f"The largest entry of X is {largest:.3g}, whose square float64 cannot hold; multiply all features by a "
            "constant that brings it near 1. Standardised features do not depend on such a constant."
        )


def warn_of_untrainable(rows):
    """Say where unscaled features are so small or so large that Adam learns nothing from them."""
    largest = float(rows.abs().max())
    lowest, highest = _TRAINABLE[rows.dtype]
    if largest > highest or 0 < largest < lowest:
        warnings.warn(
            f"scaling=None takes the features as they are, and the largest entry of X is {largest:.3g}: Adam learns "
            "nothing from features of that size. Use scaling='standardize', or multiply X by a constant.",
            UserWarning,
            stacklevel=2,
        )
