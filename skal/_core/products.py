"""Matrix products and sums that are the same for any number of threads.

On a CPU a product that is shared among threads rounds by their number: where one thread's part ends, another kernel
takes over, and long sums are parted. Here one thread makes a product; many products are made on workers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.workers import one_thread

__all__ = ["affine", "product", "total"]


def affine(offset: Tensor, rows: Tensor, columns: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Return ``offset + alpha * rows @ columns``, shape (m, k).

    Parameters
    ----------
    offset : Tensor of shape (k,)
    rows : Tensor of shape (m, d)
    columns : Tensor of shape (d, k)
    alpha : float
    """
    with one_thread():
        return torch.addmm(offset, rows, columns, alpha=alpha)


def product(rows: Tensor, columns: Tensor) -> Tensor:
    """Return ``rows @ columns`` of shape (m, k), of rows (m, d) and columns (d, k)."""
    with one_thread():
        return rows @ columns


def total(values: Tensor) -> float:
    """Sum all entries, in float64."""
    with one_thread():
        return float(values.sum(dtype=torch.float64))
