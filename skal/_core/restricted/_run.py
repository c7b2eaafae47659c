"""The phases of the algorithm: seeds on a sample, passes on a few principal coordinates, passes on all features."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks, power_of_two_below
from skal._core.distances import row_sq_dist
from skal._core.kmeans import KMeansResult, Partition, lloyd
from skal._core.products import product, total
from skal._core.projection import PrincipalAxes, principal_axes, project
from skal._core.restricted._descent import Descent, OnIteration
from skal._core.restricted._moves import map_pieces
from skal._core.restricted._neighborhoods import Surroundings, assign_by_groups, group_means
from skal._core.run_state import Keep, RunState, keep_nothing
from skal._core.seeding import kmeans_plus_plus
from skal._core.workers import map_on, on_workers

__all__ = [
    "Sketch",
    "enough_passes",
    "restricted_kmeans",
    "sketch_axes",
    "sketch_pool",
    "sketch_tile_rows_of",
    "tile_rows_of",
]

_SEED_SAMPLE = (8192, 1.5)  # rows at least, rows a centroid
_ROWS_TO_START_ON, _MOST_TO_START_ON = 100, 16384  # rows a centroid and rows of a sample on which seeds get passes
_START_PASSES, _TWO_STARTS_UP_TO = 4, 64  # of more centroids the better of two starts ended no lower than one
_LEAST_COMPONENTS, _MOST_COMPONENTS = 64, 128
_MOST_OF_THE_VARIANCE = 0.8
_LEAST_LOOKED_UP, _ROWS_TO_ONE_LOOKED_UP = 64, 512
_TILE_ROWS_TO_PROJECT = {"cpu": 2048, "cuda": 65536}
_TILE_ELEMENTS = 1 << 25
_SKETCH_TILE_ELEMENTS = 1 << 23  # with four times as many, a fit took as long


@dataclass(frozen=True)
class Sketch:
    """A pool on its leading principal directions."""

    axes: PrincipalAxes
    coordinates: Blocks  # (n, n_components) float32

    @property
    def n_bytes(self) -> int:
        return 4 * self.coordinates.n_rows * self.coordinates.n_features


def sketch_axes(pool: Blocks) -> PrincipalAxes:
    """Find as many principal axes as a quarter of the features, within 64 and 128."""
    return principal_axes(pool, _n_components_of(pool.n_features))


def sketch_pool(pool: Blocks, axes: PrincipalAxes | None = None) -> Sketch:
    """Project the pool to its `sketch_axes`, in one pass, which checks every row."""
    axes = axes or sketch_axes(pool)
    in_small_tiles = pool.in_tiles_of(_TILE_ROWS_TO_PROJECT[pool.device.type])
    return Sketch(axes, in_small_tiles.cached(project, axes, sketch_tile_rows_of(pool.n_features)))


def _n_components_of(n_features: int) -> int:
    return min(n_features, max(_LEAST_COMPONENTS, min(n_features // 4, _MOST_COMPONENTS)))


def enough_passes(n_rows: int, n_clusters: int) -> int:
    """Six passes for clusters of up to 25 rows, eight for 50, six more for each factor of ten above."""
    return round(max(6, 8 + 6 * math.log10(n_rows / n_clusters / 50)))


def tile_rows_of(n_features: int) -> int:
    """Rows a tile: many, so that the rows of a group lie together in few products; a power of two."""
    return max(2048, power_of_two_below(_TILE_ELEMENTS // n_features))


def sketch_tile_rows_of(n_features: int) -> int:
    """Rows a tile of the sketch of a pool with so many features; a power of two."""
    return max(2048, power_of_two_below(_SKETCH_TILE_ELEMENTS // _n_components_of(n_features)))


@on_workers()
def restricted_kmeans(
    pool: Blocks,
    sketch: Sketch,
    n_clusters: int,
    rng: np.random.Generator,
    *,
    init: str | Tensor = "k-means++",
    max_iter: int,
    min_improvement: float,
    anchors: Tensor | None = None,
    on_iteration: OnIteration = lambda iteration, inertia: None,
    resume: RunState | None = None,
    keep: Keep = keep_nothing,
) -> KMeansResult:
    """Cluster a pool into many clusters.

    Parameters
    ----------
    pool : Blocks of shape (n, d)
        With `tile_rows_of` rows a tile.
    sketch : Sketch
        Of the same pool.
    n_clusters : int
    rng : numpy.random.Generator
    init : "k-means++", "random" or Tensor of shape (n_clusters, d)
    max_iter : int
        Passes at the most: an eighth by Lloyd's rule on the sketch, then by Hartigan's; the last eighth
        in all dimensions, or half the share of the variance that the sketch leaves out if that is more.
        Groups of centers mislead some rows, more of them where the sketch leaves out much: in the first pass
        of each phase the costliest rows, half the square of that share and some hundred at least, are compared
        with all centers. Where these are many, with those of the 24 nearest groups, and from the second phase on:
        in the first it takes more time than it lowers the inertia.
    min_improvement : float
        A phase ends with a pass that lowers its inertia by less than this fraction.
    anchors : Tensor of shape (m, d), default=None
        The anchors of the first m clusters (`skal._core.anchors`), whose cost is lowered in place of their inertia.
    on_iteration : callable of (pass, inertia after it in the space it works in)
    resume : RunState, default=None
        What `keep` got from a run of the same pool and parameters; `init` does not count then.
    keep : callable of a function that returns a RunState
        Called before each pass and each round of swaps.

    Returns
    -------
    KMeansResult
        Centers are the means of their rows, drawn to their anchors if they have some; that of an empty cluster
        is its anchor or a copy of the largest cluster's. A row's label need not be the nearest of all centers.
        Memory beside pool and sketch: 60 bytes a row and five arrays of n_clusters × d.
    """
    small = sketch.coordinates
    small_anchors = None if anchors is None else on_axes(anchors, sketch.axes)
    n_done = first_phase = 0
    if resume is None:
        centers = first_centers(small, sketch.axes, n_clusters, init, rng)
        surroundings = Surroundings(centers)
        (labels,) = small.map_gather(assign_by_groups, group_means(centers, surroundings.near))
    else:
        n_done, first_phase = resume.facts["n_done"], resume.facts["phase"]
    n_lloyd = max(1, max_iter // 8)
    n_full = max(n_lloyd, round(max_iter * (1 - sketch.axes.captured) / 2))
    n_misled = round(pool.n_rows * (1 - sketch.axes.captured) ** 2 / 2)
    n_looked_up = min(pool.n_rows, max(n_misled, pool.n_rows // _ROWS_TO_ONE_LOOKED_UP + _LEAST_LOOKED_UP))
    earlier: Descent | None = None
    phases = (
        (small, min(n_lloyd, max_iter - 1), False),
        (small, max(0, max_iter - n_lloyd - n_full), True),
        (pool, n_full, True),
    )
    for phase, (space, n_passes, hartigan) in enumerate(phases[first_phase:], first_phase):
        anchors_here = small_anchors if space is small else anchors
        if resume is not None and phase == first_phase:
            descent = Descent.of_state(space, resume, n_looked_up, anchors_here)
            surroundings = descent.surroundings
        else:
            known = earlier.clusters if earlier is not None and earlier.pool is space else None
            descent = Descent(space, labels, n_clusters, surroundings, n_looked_up, anchors_here, known)
        n_before = n_done - descent.n_passes
        keep_here = partial(_keep_phase, keep, descent, phase, n_before)
        if not descent.has_begun:
            if hartigan and (space is small or sketch.axes.captured < _MOST_OF_THE_VARIANCE):
                descent.swap(rng, keep_here)
            elif space is pool and earlier is not None:
                descent.take_over(earlier)
        n_done = n_before + descent.run(n_passes, hartigan, min_improvement, n_before, on_iteration, keep_here)
        labels, earlier = descent.labels, descent
    counts = descent.clusters.counts  # where there are fewer distinct rows than clusters, some stay empty
    is_placed = (counts > 0) | descent.clusters.are_anchored()
    centers = torch.where(is_placed[:, None], descent.centers, descent.centers[counts.argmax()])
    (sq_dist,) = pool.map_gather(measure, centers, [labels])
    return KMeansResult(centers, Partition(labels, sq_dist, total(sq_dist)), n_done)


def _keep_phase(keep: Keep, descent: Descent, phase: int, n_before: int, make: Callable[[], RunState]) -> None:
    keep(lambda: make().plus(phase=phase, n_done=n_before + descent.n_passes))


def first_centers(
    small: Blocks, axes: PrincipalAxes, n_clusters: int, init: str | Tensor, rng: np.random.Generator
) -> Tensor:
    """Choose first centers on the sketch, by k-means++ on a sample of its rows."""
    if isinstance(init, Tensor):
        return on_axes(init, axes)
    if init == "random":
        return small.take(rng.choice(small.n_rows, size=n_clusters, replace=False))
    n_to_start_on = _ROWS_TO_START_ON * n_clusters
    gets_passes = n_to_start_on <= min(small.n_rows, _MOST_TO_START_ON)
    at_least, per_center = _SEED_SAMPLE
    n_sampled = n_to_start_on if gets_passes else min(small.n_rows, max(at_least, int(per_center * n_clusters)))
    sample = small.take(rng.choice(small.n_rows, size=n_sampled, replace=False))
    sample_pool = Blocks(sample, small.device)
    leading = Blocks(sample[:, -_LEAST_COMPONENTS:].contiguous(), small.device)
    if not gets_passes:
        return sample_pool.take(kmeans_plus_plus(leading, n_clusters, rng))

    def start(own_rng: np.random.Generator) -> KMeansResult:
        drawn = kmeans_plus_plus(leading, n_clusters, own_rng)
        return lloyd(sample_pool, sample_pool.take(drawn), max_iter=_START_PASSES, max_sq_shift=0.0)

    runs = map_on(small.device, start, rng.spawn(2 if n_clusters <= _TWO_STARTS_UP_TO else 1))
    return min(runs, key=lambda run: run.partition.inertia).centers


def on_axes(points: Tensor, axes: PrincipalAxes) -> Tensor:
    """Principal coordinates of a few points, (k, d) → (k, n_components)."""
    return product(points - axes.mean, axes.directions)


def measure(block: Block, per_row: tuple[Tensor, ...], centers: Tensor) -> tuple[Tensor]:
    """Exact squared distance of each row of a block to the center of its cluster, shape (m,)."""
    (labels,) = per_row
    sq_dist = torch.empty(block.n_rows, dtype=torch.float32, device=block.device)

    def measure_piece(where: slice, rows: Tensor) -> None:
        sq_dist[where] = row_sq_dist(rows, centers.index_select(0, labels[where]))

    map_pieces(block, measure_piece)
    return (sq_dist,)
