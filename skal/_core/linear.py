"""Logits of many rows, the same for any number of threads."""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.workers import map_on, parallel_map

__all__ = ["linear_logits", "linear_winners"]

_ROWS_A_PRODUCT, _PRODUCTS_AT_ONCE = 128, 16
_ROWS_AT_ONCE = 2048
_UNIT = 2.0**-24
_SAFE_NORMS = (1e-15, 1e18)  # outside, the squares of float32 entries under- or overflow


def linear_logits(rows: Tensor, coef: Tensor, intercept: Tensor) -> Tensor:
    """Return ``rows @ coef.T + intercept``, shape (n, n_classes).

    On a CPU the rows are multiplied in groups of a fixed size, each by one thread: a product that is shared among
    threads rounds by their number, and one of another size may round otherwise.

    Parameters
    ----------
    rows : Tensor of shape (n, d)
    coef : Tensor of shape (n_classes, d)
    intercept : Tensor of shape (n_classes,)
    """
    if rows.device.type != "cpu":
        return torch.addmm(intercept, rows, coef.T)
    n_rows, n_features = rows.shape
    n_groups = max(1, -(-n_rows // _ROWS_A_PRODUCT))
    if n_groups * _ROWS_A_PRODUCT > n_rows:
        rows = torch.cat([rows, rows.new_zeros(n_groups * _ROWS_A_PRODUCT - n_rows, n_features)])
    groups = rows.view(n_groups, _ROWS_A_PRODUCT, n_features)

    def logits_of(some: Tensor) -> Tensor:
        return torch.baddbmm(intercept, some, coef.T.expand(len(some), -1, -1))

    logits = torch.cat(parallel_map(logits_of, groups.split(_PRODUCTS_AT_ONCE)))
    return logits.view(-1, len(coef))[:n_rows]


def linear_winners(rows: Tensor, coef: Tensor, intercept: Tensor, *, normalize: bool) -> tuple[Tensor, Tensor]:
    """Find the highest logit of each row in float32, and say where float64 could find another.

    Parameters
    ----------
    rows : Tensor of shape (n, d)
    coef : Tensor of shape (n_classes, d), at least two classes
    intercept : Tensor of shape (n_classes,)
        Minus infinity for a class that never wins.
    normalize : bool
        Of unit rows.

    Returns
    -------
    winners : int64 Tensor of shape (n,)
    is_sure : bool Tensor of shape (n,)
    """
    coef32, intercept32 = coef.float(), intercept.float()
    longest = float(torch.linalg.vector_norm(coef, dim=1).max())
    highest = float(intercept[torch.isfinite(intercept)].abs().max()) if bool(torch.isfinite(intercept).any()) else 0.0
    rounding = 2.0 * (rows.shape[1] + 16) * _UNIT

    def of_some(some: Tensor) -> tuple[Tensor, Tensor]:
        some = some.float()
        norms = torch.linalg.vector_norm(some, dim=1)
        logits = some @ coef32.T
        if normalize:
            logits /= norms[:, None]
        two_highest, winners = (logits + intercept32).topk(2, dim=1)
        error = rounding * (longest * (1.0 if normalize else norms) + highest)
        is_safe = (norms > _SAFE_NORMS[0]) & (norms < _SAFE_NORMS[1])
        return winners[:, 0], is_safe & (two_highest[:, 0] - two_highest[:, 1] > error)

    found = map_on(rows.device, of_some, rows.split(_ROWS_AT_ONCE))
    winners, is_sure = zip(*found, strict=True)
    return torch.cat(winners), torch.cat(is_sure)
