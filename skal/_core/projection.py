"""The leading principal directions of a pool, and its rows on them."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks, Tile
from skal._core.memory import empty_rows
from skal._core.products import affine, product, total
from skal._core.workers import on_workers, one_thread, parallel_map

__all__ = ["PrincipalAxes", "principal_axes", "project"]

_LEAST_SAMPLED, _MOST_SAMPLED, _SAMPLED_A_FEATURE = 4096, 8192, 8  # rows
_WIDEST_FOR_EIGH = 1024
_COLUMNS_AT_ONCE = 128
_SPARE_DIRECTIONS, _SUBSPACE_ITERATIONS = 16, 3
_MOST_OF_THE_VARIANCE = 0.5


class PrincipalAxes(NamedTuple):
    """Coordinates of a row x are ``(x - mean) @ directions``."""

    mean: Tensor  # (d,)
    directions: Tensor  # (d, n_components), orthonormal
    captured: float  # share of the variance along them


@on_workers()
def principal_axes(pool: Blocks, n_components: int) -> PrincipalAxes:
    """Fit directions to evenly spaced rows of the pool: the leading principal ones.

    Where these hold less than half of the variance, the second half of them is random instead: every direction
    then keeps its share, and groups that the leading directions do not tell apart stay apart (Johnson and
    Lindenstrauss, 1984).

    For a sample of m = 4096 rows, up to 8192 for more than 512 features, ``m·d²`` operations and an eigendecomposition
    of d × d up to d = 1024; beyond, ``14·m·d·n_components`` by subspace iteration, and memory of d × n_components.
    """
    n_sampled = min(pool.n_rows, max(_LEAST_SAMPLED, min(_MOST_SAMPLED, _SAMPLED_A_FEATURE * pool.n_features)))
    sample = pool.take(np.linspace(0, pool.n_rows - 1, n_sampled).astype(np.int64))
    mean = sample.mean(dim=0)
    centered = sample - mean
    if pool.n_features > _WIDEST_FOR_EIGH:
        scatter = total(centered.square())
        directions = _by_subspace_iteration(centered, n_components)
        captured = _variance_along(centered, directions) / scatter if scatter > 0 else 1.0
    else:
        covariance = _gram(centered) / n_sampled
        scatter = n_sampled * total(covariance.diagonal())
        with one_thread():  # as in the other decompositions: more round differently
            variances, directions = _eigh(covariance)
        directions = directions[:, -n_components:]
        captured = n_sampled * total(variances[-n_components:]) / scatter if scatter > 0 else 1.0
    if captured < _MOST_OF_THE_VARIANCE:
        directions = _half_random(directions)
        captured = _variance_along(centered, directions) / scatter
    return PrincipalAxes(mean, directions.contiguous(), min(captured, 1.0))


def _gram(rows: Tensor) -> Tensor:
    """``rows.T @ rows``, by squares of so many columns on workers; what lies below the diagonal is what lies above."""
    if rows.device.type != "cpu":
        return rows.T @ rows
    parts = [slice(start, start + _COLUMNS_AT_ONCE) for start in range(0, rows.shape[1], _COLUMNS_AT_ONCE)]
    gram = rows.new_empty((rows.shape[1], rows.shape[1]))

    def fill(pair: tuple[slice, slice]) -> None:
        first, second = pair
        gram[first, second] = product(rows[:, first].T, rows[:, second])
        if first != second:
            gram[second, first] = gram[first, second].T

    parallel_map(fill, combinations_with_replacement(parts, 2))
    return gram


def _eigh(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """In float64 where float32 fails or gives NaN, as it may where many directions hold the same variance."""
    try:
        variances, directions = torch.linalg.eigh(covariance)
        if bool(torch.isfinite(directions).all()):
            return variances, directions
    except torch.linalg.LinAlgError:
        pass
    variances, directions = torch.linalg.eigh(covariance.double())
    return variances.to(covariance.dtype), directions.to(covariance.dtype)


def _by_subspace_iteration(centered: Tensor, n_components: int) -> Tensor:
    """Leading right singular vectors, the last the largest (Halko, Martinsson and Tropp, 2011)."""
    width = min(n_components + _SPARE_DIRECTIONS, *centered.shape)
    basis = _random_directions(centered.shape[1], width, centered.device)
    for _ in range(_SUBSPACE_ITERATIONS):
        basis = _orthonormal(product(centered.T, product(centered, basis)))
    coordinates = product(centered, basis)
    with one_thread():
        _, _, rotation = torch.linalg.svd(coordinates, full_matrices=False)
    leading = product(basis, rotation.T)[:, :n_components].flip(1)
    if leading.shape[1] == n_components:
        return leading
    n_missing = n_components - leading.shape[1]  # fewer rows than components
    drawn = _random_directions(centered.shape[1], n_missing, centered.device)
    filled = torch.cat([leading.flip(1), drawn], dim=1)
    return _orthonormal(filled).flip(1)


def _half_random(directions: Tensor) -> Tensor:
    """Keep the last half of orthonormal directions (the leading ones) and make the others random."""
    n_components = directions.shape[1]
    leading = directions[:, n_components // 2 :].flip(1)
    drawn = _random_directions(len(directions), n_components - leading.shape[1], directions.device)
    return _orthonormal(torch.cat([leading, drawn], dim=1)).flip(1)


def _orthonormal(columns: Tensor) -> Tensor:
    with one_thread():
        basis: Tensor = torch.linalg.qr(columns)[0]
    return basis


def _random_directions(n_features: int, n_directions: int, device: torch.device) -> Tensor:
    """Normally distributed columns, the same at each call."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((n_features, n_directions), generator=generator, dtype=torch.float32).to(device)


def _variance_along(centered: Tensor, directions: Tensor) -> float:
    return total(product(centered, directions).square())


def project(block: Block, per_row: tuple[Tensor, ...], axes: PrincipalAxes) -> tuple[Tensor]:
    """Coordinates of the rows of a block on the axes, float32 of shape (m, n_components)."""
    (offset,) = product(axes.mean[None], axes.directions)
    coordinates = empty_rows((block.n_rows, axes.directions.shape[1]), torch.float32, block.device)

    def project_tile(tile: Tile) -> None:
        coordinates[tile.slice] = affine(-offset, tile.rows, axes.directions)

    block.map_tiles(project_tile)
    return (coordinates,)
