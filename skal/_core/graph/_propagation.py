"""Labels spread over a graph, a block of classes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from skal._core.graph._solve import solve_on_graph
from skal._core.graph._weights import normalized_affinity

__all__ = ["ClassBlock", "poisson_learning", "spread_labels"]

_ELEMENTS_AT_ONCE = 1 << 25  # of rows × classes


@dataclass(frozen=True)
class ClassBlock:
    """Scores of rows for some classes; other rows have the score 0."""

    classes: slice
    rows: slice | npt.NDArray[np.int64]  # m of them
    scores: npt.NDArray[np.float64]  # (m, c)
    n_iter: int
    has_converged: bool


def spread_labels(weights: Any, labels: Any, *, alpha: float, tol: float, max_iter: int) -> Iterator[ClassBlock]:
    """Yield ``F = (1 − alpha) (I − alpha S)⁻¹ Y``, with ``S = D^-½ W D^-½``.

    Parameters
    ----------
    weights : CSR array W of shape (n, n)
        Symmetric, not negative.
    labels : CSC array Y of shape (n, n_classes)
    alpha : float
        In (0, 1).
    tol, max_iter
        Of the conjugate gradients.

    Notes
    -----
    For some classes at a time only the connected components that hold a label of theirs are solved.

    References
    ----------
    .. [1] Zhou et al., "Learning with local and global consistency", NeurIPS 2003, section 3.
    """
    affinity, _ = normalized_affinity(weights)
    _, component_of = connected_components(weights, directed=False)
    for classes in _blocks(labels):
        sources = labels[:, classes]
        is_reached = np.zeros(component_of.max() + 1, dtype=bool)
        is_reached[component_of[sources.indices]] = True
        rows = np.flatnonzero(is_reached[component_of])
        is_all = len(rows) == len(component_of)
        part = affinity if is_all else affinity[rows][:, rows]
        right = (1.0 - alpha) * (sources if is_all else sources[rows]).toarray()
        found = solve_on_graph(part, alpha, right, tol=tol, max_iter=max_iter)
        yield ClassBlock(classes, rows, found.values, found.n_iter, found.has_converged)


def poisson_learning(weights: Any, labels: Any, mass: Any, *, tol: float, max_iter: int) -> Iterator[ClassBlock]:
    """Yield the solution of ``L u = Y − mass · mean``, L = D − W, whose degree-weighted mean is 0.

    Each connected component has an equation of its own: its mean is that of its labels, and where those are of one
    class, u is zero there.

    Parameters
    ----------
    weights : CSR array W of shape (n, n)
    labels : CSC array Y of shape (n, n_classes)
    mass : ndarray of shape (n,)
        Of labels at each row, whatever their class.
    tol, max_iter
        Of the conjugate gradients.

    References
    ----------
    .. [1] Calder, Cook, Thorpe and Slepčev, "Poisson learning: graph based semi-supervised learning at very low
       label rates", ICML 2020, equation 1.
    """
    affinity, degrees = normalized_affinity(weights)
    scale = np.divide(1.0, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)[:, None]
    n_components, component_of = connected_components(weights, directed=False)
    in_component = sparse.csr_array(
        (np.ones(len(degrees)), (component_of, np.arange(len(degrees)))), shape=(n_components, len(degrees))
    )
    component_mass = in_component @ mass
    share = mass * np.divide(1.0, component_mass, out=np.zeros(n_components), where=component_mass > 0)[component_of]
    for classes in _blocks(labels):
        sources = labels[:, classes].toarray()
        sources -= share[:, None] * (in_component @ sources)[component_of]
        found = solve_on_graph(affinity, 1.0, scale * sources, tol=tol, max_iter=max_iter)
        yield ClassBlock(classes, slice(None), scale * found.values, found.n_iter, found.has_converged)


def _blocks(labels: Any) -> Iterator[slice]:
    n_rows, n_classes = labels.shape
    at_once = max(1, _ELEMENTS_AT_ONCE // max(n_rows, 1))
    for first in range(0, n_classes, at_once):
        yield slice(first, min(first + at_once, n_classes))
