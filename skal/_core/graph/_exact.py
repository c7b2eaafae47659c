"""Exact nearest neighbours among the rows of one pool."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.graph._neighbors import Neighbors
from skal._core.neighbors import NeighborBase, top_k
from skal._core.workers import map_on, on_workers

__all__ = ["exact_neighbors", "nearest_rows"]

_QUERIES_AT_ONCE, _ROWS_AT_ONCE = 2048, 256


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
    from others. Memory: 12 bytes for each number of the pool.
    """
    found = [(indices, sq_dist) for indices, sq_dist in _without_self(pool, k)]
    return Neighbors(
        np.concatenate([indices for indices, _ in found]), np.concatenate([sq_dist for _, sq_dist in found])
    )


def _without_self(pool: Blocks, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rows = pool.whole()
    for where, indices in nearest_rows(rows, rows, k + 1):
        own = torch.arange(where.start, where.stop, device=rows.device)[:, None]
        is_self = indices == own
        is_self[:, -1] |= ~is_self.any(dim=1)  # copies of the row crowd it out
        others = indices[~is_self].view(len(indices), k)
        parts = zip(rows[where].split(_ROWS_AT_ONCE), others.split(_ROWS_AT_ONCE), strict=True)
        sq_dist = map_on(rows.device, lambda part: _sq_dist(part[0], rows, part[1]), parts)
        yield others.to(torch.int32).cpu().numpy(), np.concatenate(sq_dist)


def nearest_rows(queries: Tensor, rows: Tensor, k: int) -> Iterator[tuple[slice, Tensor]]:
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
    for where, _, indices in top_k(asked, prepared, k, with_similarity=False):
        yield where, indices


def _sq_dist(queries: Tensor, rows: Tensor, indices: Tensor) -> np.ndarray:
    differences = rows[indices].double() - queries.double()[:, None]
    return differences.square_().sum(dim=2).float().cpu().numpy()
