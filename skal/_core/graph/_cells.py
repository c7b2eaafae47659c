"""Approximate nearest neighbours at scale: within the cells that K-means gives, and those around each."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks, Tile
from skal._core.distances import half_sq_norms, pairwise_sq_dist, row_sq_dist, sq_dist_of_pairs
from skal._core.graph._neighbors import Neighbors
from skal._core.graph._search import nearest_in_pool
from skal._core.kmeans import lloyd, partition
from skal._core.seeding import kmeans_plus_plus
from skal._core.workers import map_on, on_workers

__all__ = ["Cells", "neighbors_by_cells"]

_ROWS_A_CELL = 1024
_SAMPLE_A_CELL, _PASSES = 64, 6  # enough for cells, which need not be good clusters
_MOST_PROBES = 256
_LEAST_PROBES = 2  # of rows from elsewhere, which another rounding may put into the cell beside
_ASKED = 256  # rows whose true neighbours are found to choose the number of probes, and as many to measure the recall
_SPARE = 6  # proposals of float32 beyond k, ranked by differences
_ROUNDING = 1e-5  # of distances in float32; copies of a neighbour are as good as itself
_SCORES_AT_ONCE = {"cpu": 1 << 24, "cuda": 1 << 28}


@on_workers()
def neighbors_by_cells(pool: Blocks, k: int, rng: np.random.Generator, *, min_recall: float) -> Neighbors:
    """Find most of the `k` nearest other rows of each row.

    K-means gives cells of some 1,000 rows; the rows of a cell are compared with those of the cells of nearest
    centroids, as many of them as it takes for `min_recall` on a sample of rows whose neighbours are known exactly.

    Parameters
    ----------
    pool : Blocks of shape (n, d)
    k : int
        Less than n.
    rng : numpy.random.Generator
        Seeds the cells and the samples.
    min_recall : float

    Returns
    -------
    Neighbors
        `recall` is measured on other rows than the ones by which the probes were chosen.

    Notes
    -----
    ``2·n·1024·probes·d`` operations and as many again for the cells. Memory: 8·k + 16 bytes a row and, for one cell,
    its surroundings in float32.
    """
    return Cells(pool, k, rng, min_recall=min_recall).neighbors()


class Cells:
    """Rows of a pool grouped by K-means; the parameters are those of `neighbors_by_cells`."""

    def __init__(self, pool: Blocks, k: int, rng: np.random.Generator, *, min_recall: float) -> None:
        self.pool = pool
        self._group(rng)
        asked_idx = np.sort(rng.choice(pool.n_rows, size=min(pool.n_rows, 2 * _ASKED), replace=False))
        truth, farthest = _true_neighbors(pool, asked_idx, k)
        self.k, self._measured_idx, self._farthest = k, asked_idx[1::2], farthest[1::2]
        self.n_probes = self._enough_probes(asked_idx[::2], truth[::2], min_recall)

    def _group(self, rng: np.random.Generator) -> None:
        pool = self.pool
        n_cells = max(2, math.ceil(pool.n_rows / _ROWS_A_CELL))
        sampled_idx = np.sort(rng.choice(pool.n_rows, size=min(pool.n_rows, _SAMPLE_A_CELL * n_cells), replace=False))
        sample = Blocks(pool.take(sampled_idx), pool.device)
        start = sample.take(kmeans_plus_plus(sample, n_cells, rng))
        self.centers = centers = lloyd(sample, start, max_iter=_PASSES, max_sq_shift=0.0).centers
        self.labels = partition(pool, centers).labels.cpu().numpy()
        by_cell = np.argsort(self.labels, kind="stable")
        sizes = np.bincount(self.labels, minlength=n_cells)
        self.members = np.split(by_cell, np.cumsum(sizes)[:-1])
        n_near = min(n_cells, _MOST_PROBES)
        near = [
            pairwise_sq_dist(some, centers).topk(n_near, dim=1, largest=False).indices for some in centers.split(1024)
        ]
        self.near = torch.cat(near).cpu().numpy()  # cells by nearness of their centroids, a cell's own first
        own = np.arange(n_cells)
        for cell in own[self.near[:, 0] != own]:  # centroids that are copies
            self.near[cell] = np.concatenate([[cell], self.near[cell][self.near[cell] != cell]])[:n_near]

    def _enough_probes(self, asked_idx: np.ndarray, truth: np.ndarray, min_recall: float) -> int:
        """Count the cells around a row's own that hold the share `min_recall` of the true neighbours (m, k)."""
        place_of = [
            {cell: place for place, cell in enumerate(self.near[own].tolist())} for own in self.labels[asked_idx]
        ]
        places = [
            place.get(cell, _MOST_PROBES)
            for place, row in zip(place_of, self.labels[truth].tolist(), strict=True)
            for cell in row
        ]
        wanted = math.ceil(min(1.0, min_recall) * len(places)) - 1
        return min(int(self.near.shape[1]), int(np.sort(places)[wanted]) + 1)

    def neighbors(self) -> Neighbors:
        """Find the `k` nearest other rows of each row."""
        indices = np.empty((self.pool.n_rows, self.k), dtype=np.int32)
        sq_dist = np.empty((self.pool.n_rows, self.k), dtype=np.float32)

        def search_cell(cell: int) -> None:
            members = self.members[cell]
            if len(members) == 0:
                return
            around = self._around(cell, self.k, self.n_probes)
            rows = self.pool.take(around)
            own = np.searchsorted(around, members)
            found, found_sq_dist = _nearest_in(rows, torch.from_numpy(own).to(rows.device), self.k)
            indices[members] = around[found.cpu().numpy()]
            sq_dist[members] = found_sq_dist.cpu().numpy()

        map_on(self.pool.device, search_cell, range(len(self.members)))
        is_true = sq_dist[self._measured_idx] <= self._farthest[:, None] * (1 + _ROUNDING)
        return Neighbors(indices, sq_dist, float(is_true.mean()))

    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Find most of the `k` rows nearest to rows from elsewhere, as `nearest_in_pool` finds all of them.

        Each is compared with the rows of as many cells as the rows of the pool are, two at the least.
        """
        indices = torch.empty((len(queries), k), dtype=torch.int64, device=queries.device)
        sq_dist = torch.empty((len(queries), k), dtype=torch.float64, device=queries.device)
        cell_of = partition(Blocks(queries, queries.device), self.centers).labels.cpu().numpy()
        for cell in np.unique(cell_of).tolist():
            asked = torch.from_numpy(np.flatnonzero(cell_of == cell)).to(queries.device)
            around = self._around(cell, k, max(self.n_probes, _LEAST_PROBES))
            near = Blocks(self.pool.take(around), self.pool.device)
            found, sq_dist[asked] = nearest_in_pool(near, queries[asked], k)
            indices[asked] = torch.from_numpy(around).to(found.device)[found]
        return indices, sq_dist

    def _around(self, cell: int, k: int, n_probes: int) -> np.ndarray:
        """Rows of the nearest cells, ascending; of more cells where these hold too few."""
        for n_cells in range(n_probes, self.near.shape[1] + 1):
            around = np.concatenate([self.members[near] for near in self.near[cell, :n_cells]])
            if len(around) > k:
                return np.sort(around)
        return np.arange(self.pool.n_rows)


def _nearest_in(rows: Tensor, own: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` nearest of `rows` (m, d) to the rows at the positions `own`, but for themselves."""
    half_norms = half_sq_norms(rows)
    n_proposed = min(k + _SPARE, len(rows) - 1)
    queries_at_once = max(1, _SCORES_AT_ONCE[rows.device.type] // len(rows))
    indices, sq_dist = [], []
    for some in own.split(queries_at_once):
        scores = torch.addmm(half_norms, rows[some], rows.T, alpha=-1)
        scores[torch.arange(len(some), device=some.device), some] = torch.inf
        proposed = scores.topk(n_proposed, dim=1, largest=False).indices.sort(dim=1).values
        repeated = some.repeat_interleave(n_proposed)
        exact = sq_dist_of_pairs(rows, repeated, proposed.flatten()).view(proposed.shape)
        order = exact.sort(dim=1, stable=True).indices[:, :k]
        indices.append(proposed.gather(1, order))
        sq_dist.append(exact.gather(1, order))
    return torch.cat(indices), torch.cat(sq_dist)


def _true_neighbors(pool: Blocks, asked_idx: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest other rows of some rows, and the squared distance to the last, in one pass over the pool."""
    queries = pool.take(asked_idx)
    own = torch.from_numpy(asked_idx).to(pool.device)[:, None]

    def nearest_of(tile: Tile) -> tuple[Tensor, Tensor]:
        scores = torch.addmm(half_sq_norms(tile.rows), queries, tile.rows.T, alpha=-1)
        rows = torch.arange(tile.start, tile.start + len(tile.rows), device=pool.device)
        scores[rows == own] = torch.inf
        scores, places = scores.topk(min(k, len(rows)), dim=1, largest=False)
        return scores, places + tile.start

    scores, rows = (torch.cat(parts, dim=1) for parts in zip(*pool.map_tiles(nearest_of), strict=True))
    nearest = rows.gather(1, scores.topk(k, dim=1, largest=False).indices)
    last = pool.take(nearest[:, -1].cpu())
    return nearest.cpu().numpy(), row_sq_dist(queries, last).cpu().numpy()
