"""Logits of many rows, the same for any number of threads."""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.workers import parallel_map

__all__ = ["linear_logits"]

_ROWS_A_PRODUCT, _PRODUCTS_AT_ONCE = 128, 16


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
