"""The graph of nearest neighbours of a pool, and what is computed on it."""

from skal._core.graph._cells import Cells, neighbors_by_cells
from skal._core.graph._consensus import clusterings_of, count_parts
from skal._core.graph._coverage import coverage_kernel, levels_of, pick_on_level
from skal._core.graph._exact import exact_neighbors
from skal._core.graph._neighbors import Neighbors
from skal._core.graph._of_sample import neighbors_of_sample
from skal._core.graph._propagation import poisson_learning, spread_labels
from skal._core.graph._search import nearest_in_pool
from skal._core.graph._shares import ClassShares
from skal._core.graph._solve import solve_on_graph
from skal._core.graph._sparse_spreading import spread_sparsely
from skal._core.graph._weights import affinity, edge_weights, normalized_affinity

__all__ = [
    "Cells",
    "ClassShares",
    "Neighbors",
    "affinity",
    "clusterings_of",
    "count_parts",
    "coverage_kernel",
    "edge_weights",
    "exact_neighbors",
    "levels_of",
    "nearest_in_pool",
    "neighbors_by_cells",
    "neighbors_of_sample",
    "normalized_affinity",
    "pick_on_level",
    "poisson_learning",
    "solve_on_graph",
    "spread_labels",
    "spread_sparsely",
]
