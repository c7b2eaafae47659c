"""Matrix products and sums that are the same for any number of threads.

On a CPU a product that is shared among threads rounds by their number: where one thread's part ends, another kernel
takes over, and long sums are parted. Here each group of rows is multiplied by one thread, and groups have a fixed size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.device import at_most_threads

__all__ = ["affine", "product", "total"]

_ROWS_A_GROUP = 256  # each reads all columns once: fewer rows cost time, more leave threads without work


def affine(offset: Tensor, rows: Tensor, columns: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Return ``offset + alpha * rows @ columns``, shape (m, k).

    Parameters
    ----------
    offset : Tensor of shape (k,)
    rows : Tensor of shape (m, d)
    columns : Tensor of shape (d, k)
    alpha : float
    """
    if rows.device.type != "cpu":
        return torch.addmm(offset, rows, columns, alpha=alpha)
    n_rows = rows.shape[0]
    n_groups = n_rows // _ROWS_A_GROUP
    n_grouped = n_groups * _ROWS_A_GROUP
    result = rows.new_empty((n_rows, columns.shape[1]))
    if n_groups:
        shape = n_groups, _ROWS_A_GROUP, -1
        with at_most_threads(n_groups):  # with more, some groups would be shared
            torch.baddbmm(
                offset,
                rows[:n_grouped].reshape(shape),
                columns.expand(n_groups, -1, -1),
                alpha=alpha,
                out=result[:n_grouped].view(shape),
            )
    if n_grouped < n_rows:
        with at_most_threads(1):
            torch.addmm(offset, rows[n_grouped:], columns, alpha=alpha, out=result[n_grouped:])
    return result


def product(rows: Tensor, columns: Tensor) -> Tensor:
    """Return ``rows @ columns`` of shape (m, k), of rows (m, d) and columns (d, k)."""
    return affine(rows.new_zeros(columns.shape[1]), rows, columns)


def total(values: Tensor) -> float:
    """Sum all entries, in float64."""
    with at_most_threads(1):
        return float(values.sum(dtype=torch.float64))
