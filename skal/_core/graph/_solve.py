"""Linear systems on a graph, many right-hand sides at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Solution", "solve_on_graph"]


class Solution(NamedTuple):
    """What conjugate gradients found."""

    values: npt.NDArray[np.float64]  # (n, c)
    n_iter: int
    has_converged: bool


def solve_on_graph(
    affinity: Any, alpha: float, right: npt.NDArray[np.float64], *, tol: float, max_iter: int
) -> Solution:
    """Solve ``(I − alpha·S) F = right`` by conjugate gradients, each column by itself.

    Parameters
    ----------
    affinity : CSR array S of shape (n, n)
        Symmetric, with eigenvalues in [-1, 1].
    alpha : float
        In [0, 1]. With 1, each column of `right` must be orthogonal to the eigenvectors of S at 1.
    right : ndarray of shape (n, c)
    tol : float
        A column is done when its residual is at most `tol` times its right-hand side, both in the Euclidean norm.
    max_iter : int
        Products with S at the most.

    Returns
    -------
    Solution
        Entries of rows that no entry of `right` is connected to are exact zeros.

    Notes
    -----
    One product of S with (n, c) an iteration; four arrays of that shape. About ``√((1 + alpha) / (1 − alpha))``
    iterations for each power of e in `tol`.
    """
    values = np.zeros_like(right)
    residual = right.copy()
    direction = residual.copy()
    sq_norms = np.einsum("nc,nc->c", residual, residual)
    enough = tol * tol * sq_norms
    for n_iter in range(max_iter):
        is_open = sq_norms > enough
        if not is_open.any():
            return Solution(values, n_iter, True)
        product = direction - alpha * (affinity @ direction)
        curvature = np.einsum("nc,nc->c", direction, product)
        step = np.divide(sq_norms, curvature, out=np.zeros_like(sq_norms), where=is_open & (curvature > 0))
        values += step * direction
        residual -= step * product
        next_sq_norms = np.einsum("nc,nc->c", residual, residual)
        turn = np.divide(next_sq_norms, sq_norms, out=np.zeros_like(sq_norms), where=is_open)
        direction *= turn
        direction += residual
        sq_norms = np.where(is_open, next_sq_norms, sq_norms)
    return Solution(values, max_iter, bool((sq_norms <= enough).all()))
