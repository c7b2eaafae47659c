"""How far rows are from rows of other clusters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.greedy._projected import PRODUCTS_FOR_ONE_PAIR, ComparedRows, ProjectedRows
from skal._core.projection import principal_axes
from skal._core.workers import map_on, on_workers

__all__ = ["kth_distance_to_other_clusters"]

_ROWS_AT_ONCE, _OTHERS_AT_ONCE = 512, 2048
_COMPONENTS = 64


@on_workers()
def kth_distance_to_other_clusters(blocks: Blocks, labels: Tensor, row_idx: np.ndarray, k: int) -> float:
    """Find the k-th smallest, from 0, of the distances of some rows to the nearest row of another cluster.

    Parameters
    ----------
    blocks : Blocks of shape (n, d)
    labels : int64 Tensor of shape (n,)
    row_idx : int64 ndarray of shape (m,)
    k : int
        Less than m.

    Returns
    -------
    float
        Of differences in float64; infinite where there is no other cluster.

    Notes
    -----
    ``2·m·n·p`` operations in float32, p = min(d, 64) principal coordinates, find a row near each, and how near any
    could be. Those that could be among the k nearest are compared again, and by their differences with the few rows
    that the coordinates leave; where these leave many, ``2·m·n·d`` operations compare all.
    """
    search = _Search(blocks, labels, row_idx)
    nearest, lower_sq_dist = search.near_rows()
    upper = search.distances(np.arange(len(row_idx)), nearest)
    kth = np.partition(upper, k)[k]
    if not np.isfinite(kth):
        return float(kth)
    search.lower_to_nearest(np.flatnonzero(lower_sq_dist < kth**2), upper, kth)
    return float(np.partition(upper, k)[k])


class _Search:
    """Rows by cluster: those of others are what comes before and after those of one."""

    def __init__(self, blocks: Blocks, labels: Tensor, row_idx: np.ndarray) -> None:
        self._blocks, self._row_idx = blocks, row_idx
        own = labels.cpu().numpy()
        self._order = np.argsort(own, kind="stable")
        self._bounds = np.concatenate([[0], np.cumsum(np.bincount(own))])
        self._clusters = own[row_idx]
        n_components = min(_COMPONENTS, blocks.n_features)
        axes = principal_axes(blocks, n_components)
        self._projected = ProjectedRows.of_blocks(blocks, axes).at(self._order)
        places = np.empty_like(self._order)
        places[self._order] = np.arange(len(places))
        self._places = places[row_idx]

    def near_rows(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Row of another cluster nearest to each on the axes, -1 without, and a bound on all squared distances."""
        nearest = np.full(len(self._row_idx), -1)
        lower_sq_dist = np.full(len(self._row_idx), np.inf)

        def look(part: npt.NDArray[np.int64]) -> None:
            rows = self._projected.at(self._places[part])
            for where in self._others_of(part):
                position, least = rows.nearest(self._projected.between(where))
                is_nearer = least < lower_sq_dist[part]
                lower_sq_dist[part] = np.where(is_nearer, least, lower_sq_dist[part])
                nearest[part] = np.where(is_nearer, self._order[where][position], nearest[part])

        map_on(self._blocks.device, look, self._parts(np.arange(len(self._row_idx))))
        return nearest, lower_sq_dist

    def distances(self, positions: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Distance of each row at some positions to another, infinite where that is -1."""
        found = np.full(len(positions), np.inf)
        is_there = others >= 0
        rows = self._blocks.take(self._row_idx[positions[is_there]])
        difference = rows.double() - self._blocks.take(others[is_there])
        found[is_there] = difference.norm(dim=1).cpu().numpy()
        return found

    def lower_to_nearest(self, positions: npt.NDArray[np.int64], upper: npt.NDArray[np.float64], most: float) -> None:
        """Let `upper` be the distance of each of some rows to the nearest of another cluster, where that is less."""

        def lower(part: npt.NDArray[np.int64]) -> None:
            rows = ComparedRows.of(self._blocks.take(self._row_idx[part]))
            projected = self._projected.at(self._places[part])
            are_ruled_out = True  # most pairs, by their coordinates
            for where in self._others_of(part):
                limits = np.square(np.minimum(upper[part], most))
                if are_ruled_out:
                    row_pos, other_pos = projected.pairs_below(self._projected.between(where), limits)
                    if len(row_pos) == 0:
                        continue
                    n_pairs = len(part) * (where.stop - where.start)
                    are_ruled_out = PRODUCTS_FOR_ONE_PAIR * len(row_pos) <= n_pairs
                if not are_ruled_out:
                    self._lower_by_products(part, rows, self._order[where], upper, most)
                    continue
                looked_at, place = np.unique(other_pos, return_inverse=True)
                others = ComparedRows.of(self._blocks.take(self._order[where][looked_at]))
                is_near = rows.lower_sq_dist_of_pairs(others, row_pos, place) < limits[row_pos]
                near = part[row_pos[is_near]]
                np.minimum.at(upper, near, self.distances(near, self._order[where][other_pos[is_near]]))

        map_on(self._blocks.device, lower, self._parts(positions))

    def _lower_by_products(
        self,
        part: npt.NDArray[np.int64],
        rows: ComparedRows,
        others: npt.NDArray[np.int64],
        upper: npt.NDArray[np.float64],
        most: float,
    ) -> None:
        """Do so where the axes leave too many pairs: the nearest by all features first, then what it leaves."""
        lower_sq_dist = rows.lower_sq_dist(ComparedRows.of(self._blocks.take(others))).cpu().numpy()
        nearest = others[lower_sq_dist.argmin(axis=1)]
        upper[part] = np.minimum(upper[part], self.distances(part, nearest))
        row_pos, other_pos = np.nonzero(lower_sq_dist < np.square(np.minimum(upper[part], most))[:, None])
        np.minimum.at(upper, part[row_pos], self.distances(part[row_pos], others[other_pos]))

    def _parts(self, positions: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
        """Yield some positions at a time, all of one cluster."""
        clusters = self._clusters[positions]
        for cluster in np.unique(clusters):
            of_one = positions[clusters == cluster]
            for start in range(0, len(of_one), _ROWS_AT_ONCE):
                yield of_one[start : start + _ROWS_AT_ONCE]

    def _others_of(self, part: npt.NDArray[np.int64]) -> Iterator[slice]:
        """Yield what of the order is of other clusters than that of these positions, some at a time."""
        cluster = self._clusters[part[0]]
        for first, last in ((0, self._bounds[cluster]), (self._bounds[cluster + 1], len(self._order))):
            for start in range(first, last, _OTHERS_AT_ONCE):
                yield slice(start, min(start + _OTHERS_AT_ONCE, last))
