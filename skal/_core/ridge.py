"""Ridge regression in closed form, for every penalty at once, with exact leave-one-out errors.

With Z the rows and T the targets, each multiplied by the root of its weight, the fit at penalty λ is
``W = (ZᵀZ + λ)⁻¹ Zᵀ T`` and the hat matrix ``H = Z (ZᵀZ + λ)⁻¹ Zᵀ``. The fit without row i misses it by
``(t_i − ŷ_i) / (1 − H_ii)``. One eigendecomposition, of ZZᵀ or of ZᵀZ, whichever is smaller, serves all penalties.
"""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

__all__ = ["RidgePath", "logit_scale"]

_ELEMENTS_AT_ONCE = 1 << 22
_LARGEST_LOG_FACTOR = 6.0
_LEAST_FREEDOM = 1e-12  # a row that decides its own prediction alone has none


class RidgePath:
    """Ridge fits of one problem at any penalty.

    Parameters
    ----------
    rows : float64 Tensor of shape (m, d)
    targets : float64 Tensor of shape (m, k)
    weights : float64 Tensor of shape (m,)
        Positive.
    is_mean_fitted : bool
        Whether the weighted means of rows and targets are zero because they were subtracted, as by a fit with an
        intercept: then the fit without a row has another mean too.

    Notes
    -----
    ``2·m·d·min(m, d)`` operations for the product, ``min(m, d)³`` for the decomposition, and ``4·m·k·min(m, d)``
    for the errors at each penalty. Memory: two copies of the rows and a square of min(m, d).
    """

    def __init__(self, rows: Tensor, targets: Tensor, weights: Tensor, *, is_mean_fitted: bool) -> None:
        root = weights.sqrt()[:, None]
        self.n_rows = len(rows)
        self._root, self._targets, self._weights = root, targets, weights
        self._leverage_of_mean = weights / weights.sum() if is_mean_fitted else torch.zeros_like(weights)
        self._scaled = rows * root
        self._is_dual = len(rows) <= rows.shape[1]
        scaled = self._scaled
        values, self._vectors = torch.linalg.eigh(scaled @ scaled.T if self._is_dual else scaled.T @ scaled)
        self._values = values.clamp_(min=0)
        # The hat matrix is A diag(1 / (values + λ)) Aᵀ.
        self._loadings = self._vectors * self._values.sqrt() if self._is_dual else scaled @ self._vectors
        self._moments = self._loadings.T @ (targets * root)

    def loo_errors(self, penalties: Tensor, row_idx: Tensor) -> Tensor:
        """Return the weighted mean squared leave-one-out error of some rows at each of p penalties, shape (p,)."""
        return torch.stack([self._loo_error(float(penalty), row_idx) for penalty in penalties])

    def loo_predictions(self, penalty: float, row_idx: Tensor) -> Tensor:
        """Predict some rows, each by the fit without it, shape (len(row_idx), k)."""
        predictions: Tensor = self._targets[row_idx] - self._residuals(penalty, row_idx)
        return predictions

    def coefficients(self, penalty: float) -> Tensor:
        """Return the fit at a penalty, shape (d, k)."""
        shrunk = (1.0 / (self._values + penalty))[:, None]
        if not self._is_dual:
            return torch.mm(self._vectors, shrunk * self._moments)
        projected = torch.mm(self._vectors.T, self._targets * self._root)
        return torch.mm(self._scaled.T, torch.mm(self._vectors, shrunk * projected))

    def _loo_error(self, penalty: float, row_idx: Tensor) -> Tensor:
        total = self._weights.new_zeros(())
        for part in row_idx.split(max(1, _ELEMENTS_AT_ONCE // (self._targets.shape[1] + self._loadings.shape[1]))):
            total += self._weights[part] @ self._residuals(penalty, part).square().sum(dim=1)
        return total / self._weights[row_idx].sum()

    def _residuals(self, penalty: float, row_idx: Tensor) -> Tensor:
        """Leave-one-out residuals of some rows."""
        loadings = self._loadings[row_idx]
        shrunk = 1.0 / (self._values + penalty)
        fitted = (loadings @ (shrunk[:, None] * self._moments)) / self._root[row_idx]
        leverage = loadings.square() @ shrunk + self._leverage_of_mean[row_idx]
        residuals: Tensor = (self._targets[row_idx] - fitted) / (1.0 - leverage).clamp_(min=_LEAST_FREEDOM)[:, None]
        return residuals


def logit_scale(scores: Tensor, targets: Tensor, weights: Tensor, prior: float) -> float:
    """Find the factor that makes logits of scores: the most probable one, given labels and a prior guess.

    Parameters
    ----------
    scores : float64 Tensor of shape (m, k)
        Of rows that the fit has not seen.
    targets : float64 Tensor of shape (m, k)
        The share of each class among the labels of each row.
    weights : float64 Tensor of shape (m,)
    prior : float
        The logarithm of the factor is taken to be normally distributed around that of this, with deviation 1.
        Without rows, the answer is this.
    """

    def cost(log_factor: float) -> float:
        log_shares = torch.log_softmax(prior * math.exp(log_factor) * scores, dim=1)
        return 0.5 * log_factor**2 - float(weights @ (targets * log_shares).sum(dim=1))

    found = minimize_scalar(cost, bounds=(-_LARGEST_LOG_FACTOR, _LARGEST_LOG_FACTOR), method="bounded")
    return float(prior * math.exp(found.x))
