"""Rows that cover a pool under the diffusion kernel of its neighbour graph, from coarse to fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from skal._core.blocks import Blocks
from skal._core.distances import pairwise_sq_dist, sq_dist_of_pairs
from skal._core.graph._diffusion import diffusion_kernel, truncated_diffusion_kernel
from skal._core.graph._neighbors import Neighbors
from skal._core.graph._weights import affinity, normalized_affinity
from skal._core.greedy import LazyGreedy
from skal._core.greedy._sparse_coverage import SparseCoverage
from skal._core.workers import map_on

__all__ = ["Level", "coverage_kernel", "levels_of", "pick_on_level"]

COARSEST, FINEST, _FINER = 4096, 1 << 18, 4
_ROWS_A_PICK = 50
_WHOLE_UP_TO = COARSEST + COARSEST // _ROWS_A_PICK  # the coarsest sample and all that may cover it
_LOCALITY = 2.0
_POWERS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_PAIRS_AT_ONCE = 1 << 15


class Level(NamedTuple):
    """A sample of so many rows, on which rows are picked until so many are labelled or picked."""

    n_rows: int
    last: int


def levels_of(n_rows: int) -> Iterator[Level]:
    """Yield the levels of a pool, coarsest first.

    A pick covers at least 50 rows of its level, but for the last, which is all rows of the pool or 262,144 of them.
    """
    size = min(n_rows, COARSEST)
    while size < min(n_rows, FINEST):
        yield Level(size, size // _ROWS_A_PICK)
        size = min(n_rows, size * _FINER, FINEST)
    yield Level(size, n_rows)


def coverage_kernel(rows: Blocks, neighbors: Neighbors, alpha: float) -> Any:
    """Return what each row covers: the diffusion kernel of the graph, times ``exp(−2 d² / v)``.

    v is the mean squared distance of the rows to their mean. The kernel is whole up to 4,177 rows, beyond that
    truncated to at most 256 entries a row.

    Returns
    -------
    CSR array of shape (m, m), float64
        In [0, 1], and 1 on the diagonal.
    """
    normalized, _ = normalized_affinity(affinity(neighbors))
    whole = rows.whole()
    variance = float((whole.double() - whole.double().mean(dim=0)).square().sum(dim=1).mean())
    per_sq_dist = _LOCALITY / variance if variance > 0 else 0.0
    if rows.n_rows <= _WHOLE_UP_TO:
        kernel = diffusion_kernel(normalized, alpha)
        sq_dist = pairwise_sq_dist(whole.double(), whole.double()).fill_diagonal_(0.0).cpu().numpy()
        return _as_csr(kernel * np.exp(-per_sq_dist * sq_dist))
    near = truncated_diffusion_kernel(normalized, alpha)
    row_of = np.repeat(np.arange(rows.n_rows), np.diff(near.indptr))

    def fall_off(part: slice) -> None:
        first, second = (torch.from_numpy(idx[part]).long().to(whole.device) for idx in (row_of, near.indices))
        sq_dist = sq_dist_of_pairs(whole, first, second).double().cpu().numpy()
        near.data[part] *= np.exp(-per_sq_dist * sq_dist)

    starts = range(0, len(row_of), _PAIRS_AT_ONCE)
    map_on(whole.device, fall_off, [slice(start, start + _PAIRS_AT_ONCE) for start in starts])
    return near


def pick_on_level(
    kernel: Any,
    covering: npt.NDArray[np.int64],
    n_picks: int,
    excluded: npt.NDArray[np.int64],
    on_batch: Callable[[int, float], object] = lambda n_picks, bound: None,
) -> npt.NDArray[np.int64]:
    """Pick rows one after the other, each the one that adds most to what is covered.

    What a row covers is the kernel to a power that rises with the number t of rows that cover: the lowest of some
    powers from 0.1 to 1 under which a row covers no more than ``m / t`` rows, on average over the rows. So early
    picks see far and later ones near, whatever the budget is.

    Parameters
    ----------
    kernel : CSR array of shape (m, m)
    covering : ndarray of int64
        Rows that are labelled or picked already.
    n_picks : int
    excluded : ndarray of int64
        Rows that are no candidates.
    on_batch : callable of (picks so far, a bound on the gains that are left)

    Returns
    -------
    ndarray of shape (n_picks,), int64
        In the order of the greedy; ties to the lowest row.
    """
    n_rows = kernel.shape[0]
    picked: list[int] = []
    for power in (*_POWERS, 1.0):
        data = kernel.data**power if power < 1.0 else kernel.data
        last = n_rows * n_rows / data.sum() if power < 1.0 else np.inf  # t up to which the reach is at most m / t
        n_more = int(min(last - len(covering), n_picks) - len(picked))
        if n_more <= 0:
            continue
        powered = sparse.csr_array((data, kernel.indices, kernel.indptr), shape=kernel.shape)
        so_far = np.array(picked, dtype=np.int64)
        greedy = LazyGreedy(
            SparseCoverage(powered, np.concatenate([covering, so_far])), excluded=np.union1d(excluded, so_far)
        )
        picked += greedy.pick(n_more, on_batch=partial(_after, len(picked), on_batch)).tolist()
        if len(picked) == n_picks:
            break
    return np.array(picked, dtype=np.int64)


def _after(n_before: int, on_batch: Callable[[int, float], object], n_picks: int, bound: float) -> None:
    on_batch(n_before + n_picks, bound)


def _as_csr(dense: npt.NDArray[np.float64]) -> Any:
    """Store every entry, so that powers of small ones are there too."""
    n_rows = len(dense)
    columns = np.tile(np.arange(n_rows, dtype=np.int32), n_rows)
    starts = np.arange(0, n_rows * n_rows + 1, n_rows, dtype=np.int32)
    return sparse.csr_array((dense.ravel(), columns, starts), shape=dense.shape)
