"""The rows that Core-set is defined by: as given, in float64."""

from __future__ import annotations

import numpy as np
import torch

from skal._core.blocks import Pool

__all__ = ["ExactRows", "unit_rows_in_float64"]

_SAFE_NORMS = (1e-140, 1e140)  # outside, squares of float64 entries may under- or overflow


class ExactRows:
    """Rows of a pool in float64 on the host, whatever device and precision proposes.

    Parameters
    ----------
    pool : Pool of shape (n, d)
        Its rows as given are read, not the prepared ones.
    """

    def __init__(self, pool: Pool) -> None:
        self._raw = Pool(pool.X, torch.device("cpu"), dtype=torch.float64)
        self._normalize = pool.normalize
        self.n_features = pool.n_features

    def take(self, row_idx: np.ndarray) -> np.ndarray:
        """Return the rows at `row_idx`, L2-normalised in float64 where the pool's are; float64, C-contiguous."""
        rows = np.ascontiguousarray(self._raw.rows(row_idx).numpy())
        return unit_rows_in_float64(rows) if self._normalize else rows


def unit_rows_in_float64(rows: np.ndarray) -> np.ndarray:
    """Divide each row of a float64 (m, d) array by its ``numpy.linalg.norm``; zero rows stay zero.

    Rows whose squares under- or overflow are multiplied by a power of two first, which changes no digit.
    """
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
    lowest, highest = _SAFE_NORMS
    doubtful = ~((norms > lowest) & (norms < highest)).ravel()
    if doubtful.any():
        rows, norms = rows.copy(), norms.copy()
        _, exponents = np.frexp(np.abs(rows[doubtful]).max(axis=1, initial=0.0, keepdims=True))
        rows[doubtful] = np.ldexp(rows[doubtful], -exponents)
        norms[doubtful] = np.linalg.norm(rows[doubtful], axis=1, keepdims=True)
        norms[norms == 0] = 1.0
    return rows / norms
