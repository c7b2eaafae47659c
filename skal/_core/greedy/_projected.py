"""Rows, or their projections, whose squared distances float32 bounds from below."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.distances import lowest
from skal._core.greedy._sq_dist import Float32Bounds
from skal._core.products import affine, product
from skal._core.projection import PrincipalAxes, project

__all__ = ["PRODUCTS_FOR_ONE_PAIR", "ComparedRows", "ProjectedRows", "bfloat16_pays", "deflated_half_norms"]

PRODUCTS_FOR_ONE_PAIR = 40  # of a matrix of them, in the time that one pair of gathered rows takes

_Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]

_UNIT = 2.0**-24
_ELEMENTS_AT_ONCE = 1 << 17
_FASTER = 1.6  # so much faster is what makes up for wider bounds


def deflated_half_norms(rows: Tensor) -> Tensor:
    """Half the squared norms of rows (m, d), less what float32 products of two rows may be off; float32."""
    bounds = Float32Bounds(rows.shape[1])
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return norms.square_().mul_(0.5 * (1 - bounds.share)).sub_(0.25 * bounds.underflow).float()


@dataclass(frozen=True)
class ComparedRows:
    """Rows, and their `deflated_half_norms`."""

    rows: Tensor  # (m, d) float32 or bfloat16
    half_norms: Tensor  # (m,) float32

    @classmethod
    def of(cls, rows: Tensor) -> ComparedRows:
        return cls(rows.float(), deflated_half_norms(rows))

    @classmethod
    def in_bfloat16(cls, rows: Tensor, lost: float = 0.0) -> ComparedRows:
        """Round float32 rows (m, d), of whose squared distances so much may have been lost before."""
        # Two rows are rounded by 2⁻⁹ of their length each, and their product by 2⁻⁹ of itself.
        share = 3.1 * 2.0**-9 + Float32Bounds(rows.shape[1]).share
        half_norms = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square_().mul_(0.5 * (1 - share))
        return cls(rows.bfloat16(), half_norms.sub_(0.5 * lost).float())

    def at(self, row_idx: npt.NDArray[np.int64]) -> ComparedRows:
        at = torch.from_numpy(row_idx).to(self.rows.device)
        return ComparedRows(self.rows.index_select(0, at), self.half_norms.index_select(0, at))

    def lower_sq_dist(self, others: ComparedRows) -> Tensor:
        """Bound the squared distances to others (k, d), float32 of shape (m, k)."""
        return self.scores(others).add_(self.half_norms[:, None]).mul_(2.0)

    def pairs_below(self, others: ComparedRows, limits: npt.NDArray[np.float64]) -> _Pairs:
        """Find the pairs with others whose squared distance could be below the limit of the row, one of (m,).

        Returns
        -------
        row_pos, other_pos : int64 ndarrays of shape (p,)
        sq_dist : float32 ndarray of shape (p,)
            Bounds from below.
        """
        score = self.scores(others)
        most = torch.from_numpy((0.5 * limits - self.half_norms.cpu().numpy()).astype(np.float32)).to(score.device)
        places = np.flatnonzero((score < most[:, None]).cpu().numpy())
        row_pos, other_pos = np.divmod(places, len(others.rows))
        of_pairs = score.flatten()[torch.from_numpy(places).to(score.device)].cpu().numpy()
        return row_pos, other_pos, 2.0 * (self.half_norms.cpu().numpy()[row_pos] + of_pairs)

    def lower_sq_dist_of_pairs(
        self, others: ComparedRows, row_pos: npt.NDArray[np.int64], other_pos: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Bound the squared distances of some pairs with others, (p,)."""
        first, second = (torch.from_numpy(positions).to(self.rows.device) for positions in (row_pos, other_pos))
        products = self.rows.new_empty(len(first))
        at_once = max(1, _ELEMENTS_AT_ONCE // max(1, self.rows.shape[1]))
        for start in range(0, len(first), at_once):
            part = slice(start, start + at_once)
            both = self.rows.index_select(0, first[part]).mul_(others.rows.index_select(0, second[part]))
            torch.sum(both, dim=1, out=products[part])
        half = self.half_norms[first].add_(others.half_norms[second]).sub_(products)
        lower: npt.NDArray[np.float32] = half.mul_(2.0).cpu().numpy()
        return lower

    def scores(self, others: ComparedRows) -> Tensor:
        """``½‖y‖² − x·y``, shape (m, k)."""
        if self.rows.dtype == torch.bfloat16:
            return others.half_norms - product(self.rows, others.rows.T)
        return affine(others.half_norms, self.rows, others.rows.T, alpha=-1)


@functools.cache
def bfloat16_pays() -> bool:
    """Find out whether this processor multiplies bfloat16 much faster than float32; few do, others far slower."""
    rows = torch.ones(256, 512)
    taken = {}
    for dtype in (torch.float32, torch.bfloat16):
        own = rows.to(dtype)
        product(own, own.T)
        starts = [time.perf_counter()]
        for _ in range(5):
            product(own, own.T)
            starts.append(time.perf_counter())
        taken[dtype] = min(np.diff(starts))
    return bool(_FASTER * taken[torch.bfloat16] < taken[torch.float32])


@dataclass(frozen=True)
class ProjectedRows:
    """Rows on orthonormal axes: no two of them are nearer than their coordinates, but for rounding."""

    coordinates: ComparedRows
    stretch: float  # at most so much longer than it is does a difference become on the axes
    error: float  # at most so far is a row from where it would be without rounding

    @classmethod
    def of(cls, rows: Tensor, axes: PrincipalAxes, *, is_rounded: bool = False) -> ProjectedRows:
        """Project rows (m, d); rounded, their coordinates are in bfloat16."""
        offset = product(axes.mean[None], axes.directions)[0]
        longest = float(torch.linalg.vector_norm(rows, dim=1).max()) if len(rows) else 0.0
        return cls._of(affine(-offset, rows.to(offset.dtype), axes.directions).float(), axes, longest, is_rounded)

    @classmethod
    def of_blocks(cls, blocks: Blocks, axes: PrincipalAxes, *, is_rounded: bool = False) -> ProjectedRows:
        """Project a pool."""
        longest = float(blocks.half_sq_norms().max().mul(2.0).sqrt())
        (coordinates,) = blocks.map_gather(project, axes)
        return cls._of(coordinates, axes, longest, is_rounded)

    @classmethod
    def _of(cls, coordinates: Tensor, axes: PrincipalAxes, longest: float, is_rounded: bool) -> ProjectedRows:
        n_features, n_components = axes.directions.shape
        directions = axes.directions.double()
        gram = directions.T @ directions
        stretch = 1.0 + float(
            torch.linalg.matrix_norm(gram - torch.eye(n_components, dtype=gram.dtype, device=gram.device))
        )
        length = 1.01 * (longest + float(axes.mean.double().norm()))
        error = 2.0 * (n_features + 8) * _UNIT * n_components**0.5 * length
        compared = ComparedRows.in_bfloat16(coordinates) if is_rounded else ComparedRows.of(coordinates)
        return cls(compared, stretch, error)

    def at(self, row_idx: npt.NDArray[np.int64]) -> ProjectedRows:
        return replace(self, coordinates=self.coordinates.at(row_idx))

    def between(self, where: slice) -> ProjectedRows:
        coordinates = self.coordinates
        return replace(self, coordinates=ComparedRows(coordinates.rows[where], coordinates.half_norms[where]))

    def lower_sq_dist(self, others: ProjectedRows) -> Tensor:
        """Bound the squared distances of the rows, float32 of shape (m, k)."""
        return self._without_rounding(self.coordinates.lower_sq_dist(others.coordinates), others)

    def nearest(self, others: ProjectedRows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Find which of the others is nearest on the axes, and bound the squared distance to any, both (m,)."""
        score, position = lowest(self.coordinates.scores(others.coordinates))
        sq_dist = (score + self.coordinates.half_norms).mul_(2.0)
        return position.cpu().numpy(), self._without_rounding(sq_dist, others).cpu().numpy()

    def _without_rounding(self, sq_dist: Tensor, others: ProjectedRows) -> Tensor:
        """Turn squared distances between coordinates, in place, into bounds on those between rows."""
        apart = sq_dist.clamp_(min=0).sqrt_().sub_(self.error + others.error).clamp_(min=0)
        return apart.square_().mul_((1.0 - 4 * _UNIT) / self.stretch**2)

    def pairs_below(
        self, others: ProjectedRows, limits: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Find the pairs with others whose squared distance could be below the limit of the row: positions."""
        apart = np.sqrt(limits) * self.stretch + self.error + others.error
        row_pos, other_pos, _ = self.coordinates.pairs_below(others.coordinates, np.square(apart) * (1.0 + 4 * _UNIT))
        return row_pos, other_pos
