"""K-means for many centroids: each row is compared with the centroids around its own, not with all.

Centroids are grouped, some forty neighbours a group. The rows of a group are compared with the centroids of the
group and those nearest to them, as one dense product, so that a pass costs ``2·n·c·d`` operations with c ≈ 200 in
place of k. The first passes run on a few principal coordinates. Rows move by the rule of Hartigan, which leaves
optima in which Lloyd's iterations stop.
"""

from skal._core.restricted._run import (
    Sketch,
    enough_passes,
    restricted_kmeans,
    sketch_axes,
    sketch_pool,
    sketch_tile_rows_of,
    tile_rows_of,
)

__all__ = [
    "Sketch",
    "enough_passes",
    "restricted_kmeans",
    "sketch_axes",
    "sketch_pool",
    "sketch_tile_rows_of",
    "tile_rows_of",
]
