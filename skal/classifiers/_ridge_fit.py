"""The model of `RidgeProbe`: what is fitted, and how its penalty and its intercept are chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from skal._core.ridge import RidgePath

__all__ = ["Center", "DistinctRows", "RidgeFit", "fit_ridge"]

# Squared value of the feature that an intercept is the weight of, in squared lengths of a row: the intercept of a pool
# is penalised with the other weights, or is none.
_OFFSETS = (0.0, 0.1)


@dataclass(frozen=True)
class Center:
    """Where the layer passes through: a row and its share of each class."""

    row: torch.Tensor  # (d,) float64
    shares: torch.Tensor  # (n_classes,) float64
    is_fitted: bool  # to the labelled rows, so that no other intercept is needed


@dataclass(frozen=True)
class DistinctRows:
    """Labelled rows without copies."""

    rows: torch.Tensor  # (n, d) float64
    weights: torch.Tensor  # (n,) float64, 1 on average
    shares: torch.Tensor  # (n, n_classes) float64: of each class in the weight of a row

    @classmethod
    def of(cls, rows, row_weights, targets):
        """Merge copies of rows (m, d) with weights (m,) and targets (m,), int64."""
        contents = np.ascontiguousarray((rows + 0.0).cpu().numpy())  # minus zero is zero
        contents = contents.view(np.dtype((np.void, contents.itemsize * contents.shape[1]))).ravel()
        _, first_idx, group = np.unique(contents, return_index=True, return_inverse=True)
        group = torch.from_numpy(group).to(rows.device)
        shares = rows.new_zeros((len(first_idx), int(targets.max()) + 1))
        shares.index_put_((group, targets), row_weights, accumulate=True)
        weights = shares.sum(dim=1)
        distinct = rows[torch.from_numpy(first_idx).to(rows.device)]
        return cls(distinct, weights / weights.mean(), shares / weights[:, None])

    def rows_shown_twice(self):
        """Rows whose classes other rows show too: of these only, leaving them out tells something."""
        is_shown = self.shares > 0
        is_shown_once = is_shown.sum(dim=0) == 1
        return (~(is_shown & is_shown_once).any(dim=1)).nonzero().flatten()


@dataclass(frozen=True)
class RidgeFit:
    """A ridge regression of shares of classes, its penalty chosen."""

    path: RidgePath
    center: Center
    penalty: float
    alpha: float  # the penalty in units of the mean squared length of a row
    loo_error: float
    offset: float  # value of the feature whose weight is an intercept

    def layer(self):
        """Return weights (n_classes, d) and intercepts (n_classes,) of the shares."""
        coef = self.path.coefficients(self.penalty).T
        coef, weight_of_offset = coef[:, :-1], coef[:, -1]
        return coef, self.center.shares + self.offset * weight_of_offset - coef @ self.center.row

    def loo_scores(self, row_idx):
        """Predict some rows, each by the fit without it, up to a constant a class."""
        return self.path.loo_predictions(self.penalty, row_idx) + self.center.shares


def fit_ridge(distinct, center, alphas):
    """Choose penalty and intercept by leaving rows out.

    Parameters
    ----------
    distinct : DistinctRows
    center : Center
    alphas : float64 Tensor of shape (n_alphas,)

    Returns
    -------
    RidgeFit
    """
    rows = distinct.rows - center.row
    unit = float(distinct.weights @ rows.square().sum(dim=1)) / len(rows) or 1.0  # zero: all are at the center
    fits = [_fit_with_offset(distinct, rows, center, alphas, unit, offset) for offset in _offsets(distinct, center)]
    return min(fits, key=lambda fit: fit.loo_error)


def _offsets(distinct, center):
    """Without rows to choose by, a pool has no intercept."""
    return _OFFSETS[:1] if center.is_fitted or len(distinct.rows_shown_twice()) == 0 else _OFFSETS


def _fit_with_offset(distinct, rows, center, alphas, unit, offset):
    value = (offset * unit) ** 0.5
    rows = torch.cat([rows, rows.new_full((len(rows), 1), value)], dim=1)
    path = RidgePath(rows, distinct.shares - center.shares, distinct.weights, is_mean_fitted=center.is_fitted)
    alpha, loo_error = _best_alpha(path, unit, alphas, distinct.rows_shown_twice())
    return RidgeFit(path, center, unit * alpha, alpha, loo_error, value)


def _best_alpha(path, unit, alphas, row_idx):
    """Choose the penalty of least leave-one-out error of some rows; that nearest 1 where there are none."""
    if len(row_idx):
        errors = path.loo_errors(unit * alphas, row_idx)
        best = int(errors.argmin())
        return float(alphas[best]), float(errors[best])
    best = int(alphas.log().abs().argmin())
    everything = torch.arange(path.n_rows, device=row_idx.device)
    return float(alphas[best]), float(path.loo_errors(unit * alphas[best : best + 1], everything)[0])
