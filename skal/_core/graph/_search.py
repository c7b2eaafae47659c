"""The rows of a pool nearest to rows from elsewhere, in one pass over the pool."""

from __future__ import annotations

import torch
from torch import Tensor

from skal._core.blocks import Blocks, Tile
from skal._core.distances import half_sq_norms
from skal._core.workers import on_workers

__all__ = ["nearest_in_pool"]

_SPARE = 6  # proposals of float32 beyond k, ranked by differences
_QUERIES_AT_ONCE = {"cpu": 1024, "cuda": 16384}
_ELEMENTS_AT_ONCE = 1 << 24


@on_workers()
def nearest_in_pool(pool: Blocks, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the `k` rows of a pool nearest to each query.

    Float32 products propose; differences in float64 decide, ties to the lowest row.

    Parameters
    ----------
    pool : Blocks of shape (n, d)
    queries : Tensor of shape (m, d)
        Prepared as the pool is.
    k : int
        At most n.

    Returns
    -------
    indices : int64 Tensor of shape (m, k)
        Nearest first.
    sq_dist : float64 Tensor of shape (m, k)

    Notes
    -----
    ``2·m·n·d`` operations, one pass over the pool for 1,024 queries.
    """
    found = [_nearest(pool, some, k) for some in queries.split(_QUERIES_AT_ONCE[pool.device.type])]
    if not found:
        return torch.zeros((0, k), dtype=torch.int64), torch.zeros((0, k), dtype=torch.float64)
    return torch.cat([indices for indices, _ in found]), torch.cat([sq_dist for _, sq_dist in found])


def _nearest(pool: Blocks, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    n_proposed = min(k + _SPARE, pool.n_rows)

    def propose(tile: Tile) -> tuple[Tensor, Tensor]:
        scores = torch.addmm(half_sq_norms(tile.rows), queries, tile.rows.T, alpha=-1)
        scores, places = scores.topk(min(n_proposed, scores.shape[1]), dim=1, largest=False)
        return scores, places + tile.start

    scores, rows = (torch.cat(parts, dim=1) for parts in zip(*pool.map_tiles(propose), strict=True))
    proposed = rows.gather(1, scores.topk(n_proposed, dim=1, largest=False).indices)
    return _ranked(pool, queries, proposed.sort(dim=1).values, k)


def _ranked(pool: Blocks, queries: Tensor, proposed: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Order proposals (m, c), ascending, by distance, then row; keep `k`."""
    at_once = max(1, _ELEMENTS_AT_ONCE // (proposed.shape[1] * pool.n_features + 1))
    sq_dist = torch.cat(
        [
            (pool.take(rows.flatten().cpu()).view(*rows.shape, -1).double() - some.double()[:, None])
            .square_()
            .sum(dim=2)
            for rows, some in zip(proposed.split(at_once), queries.split(at_once), strict=True)
        ]
    )
    sq_dist, order = sq_dist.sort(dim=1, stable=True)
    return proposed.gather(1, order)[:, :k], sq_dist[:, :k]
