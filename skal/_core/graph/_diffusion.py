"""The diffusion kernel of a graph, whole or only where it is large."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

__all__ = ["diffusion_kernel", "truncated_diffusion_kernel"]

_ROWS_AT_ONCE = 2048
_LEAST_STEP = 1.0 / 256  # of a walk that starts with 1
_MOST_STEPS = 100
_KEPT = 256


def diffusion_kernel(affinity: Any, alpha: float) -> npt.NDArray[np.float64]:
    """Return ``K = (1 − alpha) (I − alpha S)⁻¹``, divided by ``√(K_ii K_jj)``, whole.

    Parameters
    ----------
    affinity : CSR array S of shape (m, m)
        Symmetric, with eigenvalues in [-1, 1].
    alpha : float
        In (0, 1).

    Returns
    -------
    ndarray of shape (m, m), float64
        Symmetric, 1 on the diagonal, in [0, 1]; 0 between rows that are not connected.

    Notes
    -----
    About ``m³`` operations, 16 bytes for each of m² entries.
    """
    system = torch.from_numpy(-alpha * affinity.toarray())
    system.diagonal().add_(1.0)
    kernel = torch.cholesky_inverse(torch.linalg.cholesky(system)).clamp_(min=0)
    scale = kernel.diagonal().rsqrt()
    kernel.mul_(scale[:, None]).mul_(scale).clamp_(max=1)
    kernel.diagonal().fill_(1.0)
    found: npt.NDArray[np.float64] = kernel.numpy()
    return found


def truncated_diffusion_kernel(affinity: Any, alpha: float) -> Any:
    """Return the large entries of each row of the kernel that `diffusion_kernel` gives.

    ``Σ_t (alpha S)^t``, where each step leaves out entries below 1/256; of a row, the 256 largest are kept. An entry
    is at most what the whole kernel has before both are divided by the roots of their diagonals.

    Parameters
    ----------
    affinity : CSR array S of shape (m, m)
    alpha : float

    Returns
    -------
    CSR array of shape (m, m), float64
        1 on the diagonal, which is always there.

    Notes
    -----
    Some 20 sparse products in which a row has a hundred entries; 12 bytes for each of 256 entries a row at the most.
    """
    step = sparse.csr_array(alpha * affinity)
    n_rows = step.shape[0]
    parts = [
        _largest(_walks(step, start, min(start + _ROWS_AT_ONCE, n_rows)), start)
        for start in range(0, n_rows, _ROWS_AT_ONCE)
    ]
    kernel = sparse.vstack(parts, format="csr")
    scale = 1.0 / np.sqrt(kernel.diagonal())
    kernel.data *= np.repeat(scale, np.diff(kernel.indptr)) * scale[kernel.indices]
    np.minimum(kernel.data, 1.0, out=kernel.data)
    return kernel


def _walks(step: Any, start: int, stop: int) -> Any:
    """Sum the walks from the rows ``start : stop``, sparse (stop - start, m)."""
    own = np.arange(start, stop)
    walk = sparse.csr_array((np.ones(len(own)), (own - start, own)), shape=(len(own), step.shape[0]))
    total = walk
    for _ in range(_MOST_STEPS):
        walk = walk @ step
        walk.data[walk.data < _LEAST_STEP] = 0.0
        walk.eliminate_zeros()
        if walk.nnz == 0:
            break
        total = total + walk
    return total


def _largest(rows: Any, start: int) -> Any:
    """Keep the largest entries of each row, and that of the row itself; rows are those of a kernel from `start` on."""
    sizes = np.diff(rows.indptr)
    if sizes.max(initial=0) <= _KEPT:
        return rows
    row_of = np.repeat(np.arange(len(sizes)), sizes)
    importance = np.where(rows.indices == row_of + start, np.inf, rows.data)
    order = np.lexsort((rows.indices, -importance, row_of))
    place = np.arange(len(order)) - np.repeat(rows.indptr[:-1], sizes)
    kept = np.sort(order[place < _KEPT])
    return sparse.csr_array((rows.data[kept], (row_of[kept], rows.indices[kept])), shape=rows.shape)
