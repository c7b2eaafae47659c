"""How the features of labelled rows are standardised: by their own statistics or by those of the pool."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import torch

from skal._core.blocks import blocks_of
from skal._core.moments import pool_moments

__all__ = ["PoolStatistics", "Scaler", "check_scale", "warn_of_untrainable"]

# Coefficients of features whose deviations lie outside these are kept in float64.
_FLOAT32_DEVIATIONS = 2.0**-80, 2.0**80
# Unscaled, the gradients of smaller features are less than Adam's epsilon, and squares of larger ones overflow.
_TRAINABLE = {torch.float32: (1e-8, 1e18), torch.float64: (1e-8, 1e150)}
# Where one of these is passed, the pool is searched for the rows.
_LARGEST_SHIFT = 1.0  # in deviations
_LARGEST_VARIANCE_RATIO = 1.6  # beyond what chance makes of it
_ROWS_FOR_A_VARIANCE = 5
_ROWS_LOOKED_FOR = 8
_FLOAT64_ENTRIES = 1e-140, 1e140  # beyond, float64 cannot hold their squares


@dataclass
class PoolStatistics:
    """The pool whose statistics standardise the rows, read once for each device and dtype."""

    X: object
    normalize: bool = False  # its rows, and those that are compared with it, are unit rows
    scalers: dict = field(default_factory=dict)
    has_warned: bool = False

    def scaler(self, checked_X, rows):
        """The scaler of the pool, which must be that of the labelled `rows`; warn once where it is not."""
        pool = blocks_of(checked_X, rows.device, normalize=self.normalize, dtype=rows.dtype)
        key = rows.device, rows.dtype
        if key not in self.scalers:
            self.scalers[key] = Scaler.from_moments(*pool_moments(pool), pool.n_rows, rows.dtype)
        scaler = self.scalers[key]
        if not self.has_warned and scaler.is_of_another_scale(rows) and not _holds_any(pool, rows):
            self.has_warned = True
            warnings.warn(
                "X_pool is not the pool of these rows: none of those that were looked for is in it, and most features "
                "have another mean or another variance there. A Pipeline scales X and hands on X_pool as it is: scale "
                "the pool too, or let the Pipeline do it, Pipeline(..., transform_input=['X_pool']).",
                UserWarning,
                stacklevel=2,
            )
        return scaler


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

    def is_of_another_scale(self, rows):
        """Tell whether most features of the rows (n, d) have another mean, or another variance, than these.

        A few rows, of one class or far out, may have: this only says where to look closer.
        """
        is_varying = torch.isfinite(self.deviation)
        if not bool(is_varying.any()):
            return False
        standardized = (rows.double() - self.mean)[:, is_varying] / self.deviation[is_varying]
        if float(standardized.mean(dim=0).abs().median()) > _LARGEST_SHIFT:
            return True
        if len(rows) < _ROWS_FOR_A_VARIANCE:
            return False
        log_ratios = standardized.var(dim=0).clamp_min(torch.finfo(torch.float64).tiny).log()
        by_chance = 1.5 * math.sqrt(2 / (len(rows) - 1))  # the logarithm's standard deviation is the root
        return float(log_ratios.abs().median()) > math.log(_LARGEST_VARIANCE_RATIO) + by_chance

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


def _holds_any(pool, rows):
    """Tell whether one of some rows (n, d), evenly spaced, is in the pool."""
    step = -(-len(rows) // _ROWS_LOOKED_FOR)
    return any(bool((tile.rows == row).all(dim=1).any()) for tile in pool.tiles() for row in rows[::step])


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
