"""Sums of rows that are the same in any order, and so for any blocks and any number of workers.

Every entry is rounded to a whole number of steps, so coarse that float64 holds each partial sum exactly: fixed point of
53 bits. Where a few rows are much longer than the others, steps that suit them would round the others away; what
the rounding leaves is then summed in finer steps beside.
"""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["round_to", "steps_for"]

_EXACT_BITS = 51  # of float64's 53; one for rows that come and go at once, one for how rounding is done
_ROWS_LOOKED_AT = 65536
_LEAST_DIGITS = 2.0**-20  # a step is at most this share of an ordinary entry


def steps_for(half_sq_norms: Tensor, n_features: int) -> tuple[float, ...]:
    """Choose the steps in which any of these rows may be summed: one, or a coarse and a fine one.

    Parameters
    ----------
    half_sq_norms : Tensor of shape (n,)
        Half the squared norm of each row.
    n_features : int

    Returns
    -------
    tuple of float
        Powers of two. No entry is rounded by more than half of the last.
    """
    n_rows = max(1, len(half_sq_norms))
    longest = math.sqrt(2.0 * float(half_sq_norms.max())) if len(half_sq_norms) else 0.0
    if longest == 0.0:
        return (1.0,)
    some = half_sq_norms[:: max(1, n_rows // _ROWS_LOOKED_AT)]
    ordinary = math.sqrt(2.0 * float(some.median()) / n_features)
    coarse = _step(n_rows * longest * 1.01)  # norms are rounded, too
    if coarse <= _LEAST_DIGITS * ordinary:
        return (coarse,)
    return coarse, _step(n_rows * coarse)


def round_to(step: float, rows: Tensor) -> Tensor:
    """Round float64 rows in place to whole numbers of a step."""
    shift = 1.5 * 2.0**52 * step  # where float64's own spacing is the step
    return rows.add_(shift).sub_(shift)


def _step(largest_sum: float) -> float:
    return 2.0 ** (math.ceil(math.log2(largest_sum)) - _EXACT_BITS)
