"""Exact nearest neighbours among the rows of one pool."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.graph._cells import neighbors_by_cells
from skal._core.graph._neighbors import Neighbors
from skal._core.greedy._near_pairs import near_pairs
from skal._core.neighbors import NeighborBase, Proposed, top_k
from skal._core.workers import map_on, on_workers

__all__ = ["exact_neighbors", "nearest_rows"]

_QUERIES_AT_ONCE, _ROWS_AT_ONCE = 2048, 256
_PROPOSED_FROM_ROWS, _PROPOSED_FROM_FEATURES = 24576, 128
_PROPOSED_NEIGHBORS = 0.002  # at most so large a share of the rows are asked for
_RECALL_OF_LIMITS = 0.5
_SPARE = 1.0001  # more than float32 loses of a squared distance
_MOST_PROPOSED, _PROPOSED_A_NEIGHBOR = 0.02, 16


@on_workers()
def exact_neighbors(pool: Blocks, k: int) -> Neighbors:
    """Find the `k` nearest other rows of each row, ties to the lowest row.

    Parameters
    ----------
    pool : Blocks of shape (n, d)
    k : int
        Less than n.

    Returns
    -------
    Neighbors
        Ranked by products in float64 that have no order of summation (`exact_products`), so that the answer depends
        on neither device, threads nor memory. Distances are sums of squared differences.

    Notes
    -----
    ``2·n²·d`` operations in float32, and six times as many in float64 for rows whose neighbours float32 cannot tell
    from others. Of many rows those of the same K-means cells say first how far the neighbours can be; each pair is then
    compared once, and by 128 principal coordinates where these rule most of the others out. Memory: 12 bytes for each
    number of the pool.
    """
    found = [(indices, sq_dist) for indices, sq_dist in _without_self(pool, k)]
    return Neighbors(
        np.concatenate([indices for indices, _ in found]), np.concatenate([sq_dist for _, sq_dist in found])
    )


def _without_self(pool: Blocks, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    proposed = _near_rows(pool, k) if _pays(pool, k) else None
    rows = pool.whole()
    for where, indices in nearest_rows(rows, rows, k + 1, proposed):
        own = torch.arange(where.start, where.stop, device=rows.device)[:, None]
        is_self = indices == own
        is_self[:, -1] |= ~is_self.any(dim=1)  # copies of the row crowd it out
        others = indices[~is_self].view(len(indices), k)
        parts = zip(rows[where].split(_ROWS_AT_ONCE), others.split(_ROWS_AT_ONCE), strict=True)
        sq_dist = map_on(rows.device, lambda part: _sq_dist(part[0], rows, part[1]), parts)
        yield others.to(torch.int32).cpu().numpy(), np.concatenate(sq_dist)


def _pays(pool: Blocks, k: int) -> bool:
    """Say whether so few of the rows are neighbours that it pays to find out first how far these can be."""
    is_large = pool.n_rows >= _PROPOSED_FROM_ROWS and pool.n_features >= _PROPOSED_FROM_FEATURES
    return pool.device.type == "cpu" and is_large and k <= _PROPOSED_NEIGHBORS * pool.n_rows


def _near_rows(pool: Blocks, k: int) -> Proposed | None:
    """For each row, those that could be among the `k` nearest others, and itself; None where these are many."""
    found = neighbors_by_cells(pool, k, np.random.default_rng(0), min_recall=_RECALL_OF_LIMITS)
    limits = found.sq_dist[:, -1].astype(np.float64) * _SPARE + np.finfo(np.float32).tiny
    pairs = near_pairs(pool, pool, limits, _MOST_PROPOSED, _PROPOSED_A_NEIGHBOR * k * pool.n_rows)
    if pairs is None:
        return None
    ones = np.ones(len(pairs.candidates), dtype=bool)
    shape = pool.n_rows, pool.n_rows
    by_row = sparse.coo_array((ones, (pairs.references, pairs.candidates)), shape=shape).tocsr()
    return Proposed(by_row.indptr.astype(np.int64), by_row.indices)


def nearest_rows(
    queries: Tensor, rows: Tensor, k: int, proposed: Proposed | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the `k` of `rows` (m, d) nearest to each of `queries` (n, d), some of them at a time: which, and (q, k).

    A row y as ``(y, −½‖y‖²)`` and a query x as ``(x, 1)`` have the product ``x·y − ½‖y‖²``, which falls with their
    distance.
    """
    base = rows.new_empty((len(rows), rows.shape[1] + 1), dtype=torch.float64)
    base[:, :-1] = rows
    base[:, -1] = -0.5 * base[:, :-1].square().sum(dim=1)
    base /= torch.linalg.vector_norm(base, dim=1).max().clamp(min=torch.finfo(torch.float64).tiny)
    prepared = NeighborBase.of(base)
    extended = torch.cat([queries, queries.new_ones((len(queries), 1))], dim=1)
    asked = Blocks(extended, extended.device, dtype=torch.float64, tile_rows=_QUERIES_AT_ONCE)
    for where, _, indices in top_k(asked, prepared, k, with_similarity=False, proposed=proposed):
        yield where, indices


def _sq_dist(queries: Tensor, rows: Tensor, indices: Tensor) -> np.ndarray:
    differences = rows[indices].double() - queries.double()[:, None]
    return differences.square_().sum(dim=2).float().cpu().numpy()
