"""Pairs of rows that are nearer to each other than a limit, found a tile of pairs at a time.

Float32 bounds every squared distance from below (`Float32Bounds`), so no pair is missed. Where few pairs are near, a
few principal coordinates rule most of the others out: rows are no nearer than their projections.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.greedy._projected import (
    PRODUCTS_FOR_ONE_PAIR,
    ComparedRows,
    ProjectedRows,
    bfloat16_pays,
    deflated_half_norms,
)
from skal._core.greedy._sq_dist import Float32Bounds
from skal._core.projection import principal_axes
from skal._core.workers import on_workers, parallel_map

__all__ = ["NearPairs", "near_pairs"]

_TILE_ROWS = 512
_MOST_KEPT_BYTES = 1 << 27  # of candidates in bfloat16; more are rounded anew for each tile of references
_SAMPLED = 512  # rows of either side
_COMPONENTS = (64, 128, 256)
_BFLOAT16_TAKES = 0.5  # of the time of float32, with what comes after a product
_LEAST_NUMBERS_TO_PREPARE = 1 << 32  # n·r·d; fewer are compared in the time that it takes to find axes
_MOST_TO_PROJECT = 0.2 / PRODUCTS_FOR_ONE_PAIR


class NearPairs(NamedTuple):
    """Pairs of a candidate and a row that is to be covered."""

    candidates: npt.NDArray[np.int32]
    references: npt.NDArray[np.int32]
    sq_dist: npt.NDArray[np.float32]  # no squared distance is below

    @classmethod
    def joined(cls, parts: list[NearPairs]) -> NearPairs:
        """Join parts in their order, and empty the list meanwhile, so that no pair is kept twice."""
        n_pairs = sum(len(part.sq_dist) for part in parts)
        whole = cls(np.empty(n_pairs, np.int32), np.empty(n_pairs, np.int32), np.empty(n_pairs, np.float32))
        parts.reverse()
        stop = 0
        while parts:
            part = parts.pop()
            start, stop = stop, stop + len(part.sq_dist)
            for array, some in zip(whole, part, strict=True):
                array[start:stop] = some
        return whole

    def where(self, is_wanted: npt.NDArray[np.bool_]) -> NearPairs:
        return NearPairs(self.candidates[is_wanted], self.references[is_wanted], self.sq_dist[is_wanted])


@on_workers()
def near_pairs(
    candidates: Blocks, references: Blocks, limits: npt.NDArray[np.float64], most_share: float, most_pairs: int
) -> NearPairs | None:
    """Find the pairs whose squared distance could be below the limit of the reference.

    Parameters
    ----------
    candidates : Blocks of shape (n, d), on a CPU
    references : Blocks of shape (r, d), on a CPU
        Where they are the candidates themselves, each pair is compared once.
    limits : float64 ndarray of shape (r,)
        Squared distances. A reference whose limit is not above 0 is in no pair.
    most_share : float
    most_pairs : int

    Returns
    -------
    NearPairs, or None
        None where a sample promises more than so large a share, or there are more than so many.

    Notes
    -----
    ``2·n·r·d`` operations in float32 for the references of positive limits, and half as many for the same rows. Where
    few pairs are near, d becomes 64, 128 or 256 here, and each pair that is left takes the time of some 40 products.
    Where the processor multiplies bfloat16 much faster than float32, it does that, with wider bounds. Memory at work:
    tiles, the pairs, and n + r rows of at most 256 coordinates or 128 MiB of candidates in bfloat16.
    """
    search = _Search(candidates, references, limits, most_pairs)
    share = search.estimated_share()
    if share > most_share or share * search.n_pairs > most_pairs:
        return None
    if search.n_pairs * candidates.n_features >= _LEAST_NUMBERS_TO_PREPARE:
        if share <= _MOST_TO_PROJECT:
            search.project()
        elif bfloat16_pays():
            search.round_rows()
    found = parallel_map(search.pairs_of_tile, range(0, search.n_open, _TILE_ROWS))
    return NearPairs.joined(found) if search.n_found <= most_pairs else None


class _Search:
    """References by falling limit: a tile of them has nearly one. The same rows are in that order on both sides."""

    def __init__(
        self, candidates: Blocks, references: Blocks, limits: npt.NDArray[np.float64], most_pairs: int
    ) -> None:
        self._candidates, self._references, self._limits = candidates, references, limits
        self._most_pairs, self.n_found = most_pairs, 0
        self._are_same = candidates is references
        order = np.argsort(-limits, kind="stable")
        self.n_open = int(np.count_nonzero(limits > 0))
        self._reference_idx = order[: self.n_open]
        self._candidate_idx = order if self._are_same else np.arange(candidates.n_rows)
        self._half_norms_of_candidates = _half_norms(candidates)
        self._half_norms_of_references = self._half_norms_of_candidates if self._are_same else _half_norms(references)
        self._projected: tuple[ProjectedRows, ProjectedRows] | None = None
        self._middle: Tensor | None = None
        self._lost = 0.0
        self._rounded: ComparedRows | None = None

    @property
    def n_pairs(self) -> int:
        """How many are compared."""
        n_candidates = len(self._candidate_idx)
        return self.n_open * (n_candidates - self.n_open // 2) if self._are_same else self.n_open * n_candidates

    def estimated_share(self) -> float:
        """Share of the pairs of a sample that are near; 0 where there are none."""
        reference_idx, candidate_idx = self._sample()
        if len(reference_idx) == 0 or len(candidate_idx) == 0:
            return 0.0
        rows, others = self._of_references(reference_idx), self._of_candidates(candidate_idx)
        return self._share_below(rows.lower_sq_dist(others), reference_idx)

    def project(self) -> None:
        """Let principal coordinates rule pairs out, if that takes less time than to compare the rows."""
        axes = principal_axes(self._references, min(max(_COMPONENTS), self._references.n_features))
        reference_idx, candidate_idx = self._sample()
        rows, others = self._of_references(reference_idx).rows, self._of_candidates(candidate_idx).rows
        is_rounded = bfloat16_pays()
        a_product = (_BFLOAT16_TAKES if is_rounded else 1.0) / self._references.n_features
        best, axes_of_best = 1.0, None
        for n_components in _COMPONENTS:
            some = axes._replace(directions=axes.directions[:, -n_components:].contiguous())
            first, second = (ProjectedRows.of(side, some, is_rounded=is_rounded) for side in (rows, others))
            share = self._share_below(first.lower_sq_dist(second), reference_idx)
            takes = a_product * n_components + share * PRODUCTS_FOR_ONE_PAIR
            if takes < best:
                best, axes_of_best = takes, some
        if axes_of_best is not None:
            of_candidates = ProjectedRows.of_blocks(self._candidates, axes_of_best, is_rounded=is_rounded)
            of_references = of_candidates
            if not self._are_same:
                of_references = ProjectedRows.of_blocks(self._references, axes_of_best, is_rounded=is_rounded)
            self._projected = of_references, of_candidates

    def round_rows(self) -> None:
        """Compare rows in bfloat16, measured from their mean so that less is rounded away."""
        self._middle = self._of_references(self._sample()[0]).rows.mean(dim=0)
        longest = float(self._references.half_sq_norms().max()), float(self._candidates.half_sq_norms().max())
        self._lost = 2.0 * max(longest) * Float32Bounds(self._references.n_features).share
        if 2 * self._candidates.n_rows * self._candidates.n_features <= _MOST_KEPT_BYTES:
            parts = [self._of_candidates(np.arange(where.start, where.stop)) for where in _slices(self._candidates)]
            rows, half_norms = zip(*((part.rows, part.half_norms) for part in parts), strict=True)
            self._rounded = ComparedRows(torch.cat(rows), torch.cat(half_norms))

    def pairs_of_tile(self, start: int) -> NearPairs:
        """Pairs of a tile of references with all candidates; of the same rows, with those from this tile on."""
        found: list[NearPairs] = []
        own = self._reference_idx[start : start + _TILE_ROWS]
        rows = self._of_references(own)
        first = start if self._are_same else 0
        for other_start in range(first, len(self._candidate_idx), _TILE_ROWS):
            if self.n_found > self._most_pairs:
                break
            other = self._candidate_idx[other_start : other_start + _TILE_ROWS]
            pairs = self._near(rows, own, other)
            both_ways = [pairs]
            if self._are_same and other_start > start:
                both_ways.append(NearPairs(pairs.references, pairs.candidates, pairs.sq_dist))
            for some in both_ways:
                found.append(some.where(some.sq_dist < self._limits[some.references]))
                self.n_found += len(found[-1].sq_dist)
        return NearPairs.joined(found)

    def _near(self, rows: ComparedRows, own: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> NearPairs:
        """Pairs of two tiles that could be nearer than the limit of either row."""
        limits = self._limits[own]
        if self._are_same:
            limits = np.maximum(limits, self._limits[other[0]])  # the largest of the tile
        if self._projected is None:
            row_pos, other_pos, sq_dist = rows.pairs_below(self._of_candidates(other), limits)
        else:
            of_references, of_candidates = self._projected
            row_pos, other_pos = of_references.at(own).pairs_below(of_candidates.at(other), limits)
            looked_at, place = np.arange(len(other)), other_pos
            if len(place) < len(other):
                looked_at, place = np.unique(other_pos, return_inverse=True)
            sq_dist = rows.lower_sq_dist_of_pairs(self._of_candidates(other[looked_at]), row_pos, place)
        return NearPairs(other[other_pos].astype(np.int32), own[row_pos].astype(np.int32), sq_dist)

    def _of_references(self, row_idx: npt.NDArray[np.int64]) -> ComparedRows:
        return self._prepared(self._references.take(row_idx).float(), self._half_norms_of_references[row_idx])

    def _of_candidates(self, row_idx: npt.NDArray[np.int64]) -> ComparedRows:
        if self._rounded is not None:
            return self._rounded.at(row_idx)
        return self._prepared(self._candidates.take(row_idx).float(), self._half_norms_of_candidates[row_idx])

    def _prepared(self, rows: Tensor, half_norms: Tensor) -> ComparedRows:
        if self._middle is None:
            return ComparedRows(rows, half_norms)
        return ComparedRows.in_bfloat16(rows - self._middle, self._lost)

    def _sample(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Take some references, and some candidates that are others of the same rows."""
        return _spread(self._reference_idx, 0.25), _spread(self._candidate_idx, 0.75)

    def _share_below(self, sq_dist: Tensor, reference_idx: npt.NDArray[np.int64]) -> float:
        limits = torch.from_numpy(self._limits[reference_idx])
        return float((sq_dist < limits[:, None]).double().mean())


def _slices(blocks: Blocks) -> list[slice]:
    starts = range(0, blocks.n_rows, _TILE_ROWS)
    return [slice(start, min(start + _TILE_ROWS, blocks.n_rows)) for start in starts]


def _half_norms(blocks: Blocks) -> Tensor:
    return torch.cat(blocks.map_tiles(lambda tile: deflated_half_norms(tile.rows)))


def _spread(row_idx: npt.NDArray[np.int64], offset: float) -> npt.NDArray[np.int64]:
    n_taken = min(_SAMPLED, len(row_idx))
    places = (np.arange(n_taken) + offset) * (len(row_idx) / max(1, n_taken))
    return row_idx[places.astype(np.int64)]
