"""Labels of many classes spread over a large graph, of which each row keeps those that matter to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from skal._core.graph._weights import normalized_affinity
from skal._core.workers import parallel_map

__all__ = ["SparseScores", "spread_sparsely"]

_LEAST_SHARE = 1.0 / 64  # of the largest score of a row
_LEAST_LEFT = 0.01  # of the votes still on their way
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class SparseScores:
    """Scores of the classes that matter to each row."""

    values: Any  # CSR (n, n_classes), float32
    n_iter: int
    has_converged: bool


def spread_sparsely(weights: Any, labels: Any, *, alpha: float, max_iter: int) -> SparseScores:
    """Sum ``(1 − alpha) Σ_t (alpha S)^t Y``; after each step, scores below 1/64 of a row's largest are left out.

    The same as `spread_labels` gives, but for those, and for the last hundredth of the votes.

    Parameters
    ----------
    weights : CSR array W of shape (n, n)
        Symmetric, not negative; ``S = D^-½ W D^-½``.
    labels : sparse array Y of shape (n, n_classes)
    alpha : float
        In (0, 1).
    max_iter : int
        Steps at the most; ``log 0.01 / log alpha`` are enough.

    Notes
    -----
    A step takes ``nnz(W)`` times the classes that a row keeps, some two to four, whatever n_classes is. Memory: W
    again in float32, and 8 bytes for each score before small ones are left out.
    """
    affinity, _ = normalized_affinity(weights)
    step, start = (alpha * affinity).astype(np.float32), ((1.0 - alpha) * labels).astype(np.float32).tocsr()
    enough = math.ceil(math.log(_LEAST_LEFT) / math.log(alpha))
    tiles = [slice(first, first + _ROWS_AT_ONCE) for first in range(0, step.shape[0], _ROWS_AT_ONCE)]
    steps, starts = ([rows[tile] for tile in tiles] for rows in (step, start))
    scores = start
    for _ in range(min(enough, max_iter)):
        parts = parallel_map(partial(_step, scores), zip(steps, starts, strict=True))
        scores = sparse.vstack(parts, format="csr")
    return SparseScores(scores, min(enough, max_iter), max_iter >= enough)


def _step(scores: Any, rows: tuple[Any, Any]) -> Any:
    """Take one step at some rows, and leave out what is then small beside the largest of its row."""
    step, start = rows
    scores = step @ scores + start
    sizes = np.diff(scores.indptr)
    is_small = scores.data < np.repeat(_LEAST_SHARE * _largest_of_rows(scores), sizes)
    scores.data[is_small] = 0.0
    scores.eliminate_zeros()
    return scores


def _largest_of_rows(scores: Any) -> npt.NDArray[Any]:
    """Return the largest stored value of each row, (n,); 0 for an empty one."""
    is_filled = np.diff(scores.indptr) > 0
    largest = np.zeros(scores.shape[0], dtype=scores.dtype)
    if is_filled.any():
        largest[is_filled] = np.maximum.reduceat(scores.data, scores.indptr[:-1][is_filled])
    return largest
