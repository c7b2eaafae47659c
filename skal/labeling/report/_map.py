"""The pool as a map and as clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from skal.labeling._pool import ProjectPool
from skal.samplers import KMeansSampler

__all__ = ["WIDTH", "Cluster", "Mark", "PoolMap", "clusters_of", "map_of"]

WIDTH, _HEIGHT, _MARGIN = 800, 520, 12
_MAX_FITTED, _MAX_DOTS, _N_COLORS = 8192, 4000, 10
_N_CLUSTERS, _LEAST_ROWS, _N_NEAREST, _MAX_COMPARED = 16, 8, 5, 512


@dataclass(frozen=True)
class Mark:
    """An image on the map that was picked or labelled."""

    x: float
    y: float
    row: int
    kind: str
    color: int


@dataclass(frozen=True)
class PoolMap:
    """The embeddings on their two leading principal components.

    Parameters
    ----------
    dots : tuple of (int, str)
        A color, and the path that draws all images of that color.
    marks : tuple of Mark
    legend : tuple of (int, str)
        Colors, and the classes that have them.
    share : float
        Of the variance that the two components hold.
    n_drawn, n_all : int
    height : int
    """

    dots: tuple[tuple[int, str], ...]
    marks: tuple[Mark, ...]
    legend: tuple[tuple[int, str], ...]
    share: float
    n_drawn: int
    n_all: int
    height: int


def map_of(
    pool: ProjectPool, kind_of: Mapping[int, str], class_of: Mapping[int, str], predicted: Mapping[int, str]
) -> PoolMap | None:
    """Draw the images with an embedding; None for fewer than three.

    Parameters
    ----------
    pool : ProjectPool
    kind_of : mapping of row to str
        What each picked or labelled image is.
    class_of : mapping of row to str
        Labels.
    predicted : mapping of row to str
        What the model says of each image; empty without one.

    Notes
    -----
    The components are those of at most 8,192 evenly spaced rows, and at most 4,000 images are drawn beside the marked.
    """
    shown = np.array(sorted(pool.position_of.values()), dtype=np.int64)
    if len(shown) < 3:
        return None
    fitted = _evenly(shown, _MAX_FITTED)
    pca = PCA(n_components=2, svd_solver="covariance_eigh").fit(_unit_rows(pool.X, fitted))
    marked = np.array([position for row, position in pool.position_of.items() if row in kind_of], dtype=np.int64)
    background = np.setdiff1d(_evenly(shown, _MAX_DOTS), marked)
    places = _in_frame(pca.transform(_unit_rows(pool.X, np.concatenate([background, marked]))))
    colors = _colors(class_of, predicted)
    rows = pool.rows[background].tolist()
    paths: dict[int, list[str]] = {}
    for row, (x, y) in zip(rows, places[: len(background)].tolist(), strict=True):
        color = colors.get(predicted.get(row, ""), _N_COLORS)
        paths.setdefault(color, []).append(f"M{x:.1f} {y:.1f}h0")
    marks = [
        Mark(round(x, 1), round(y, 1), row, kind_of[row], colors.get(class_of.get(row, ""), _N_COLORS))
        for row, (x, y) in zip(pool.rows[marked].tolist(), places[len(background) :].tolist(), strict=True)
    ]
    legend = tuple((color, name) for name, color in colors.items())
    n_others = len({*class_of.values(), *predicted.values()}) - len(legend)
    if n_others:
        legend = (*legend, (_N_COLORS, f"{n_others} other classes"))
    share = float(pca.explained_variance_ratio_.sum())
    share = share if np.isfinite(share) else 1.0  # all images alike
    drawn = tuple((color, "".join(paths[color])) for color in sorted(paths, reverse=True))
    return PoolMap(drawn, tuple(marks), legend, share, len(places), len(shown), _HEIGHT)


def _colors(class_of: Mapping[int, str], predicted: Mapping[int, str]) -> dict[str, int]:
    """Colors of the most frequent classes, in the order of their names."""
    counts = Counter(class_of.values()) + Counter(predicted.values())
    most = sorted(counts, key=lambda name: (-counts[name], name))[:_N_COLORS]
    return {name: number for number, name in enumerate(sorted(most))}


def _evenly(positions: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    return positions[np.unique(np.linspace(0, len(positions) - 1, min(n, len(positions))).astype(np.int64))]


def _unit_rows(X: npt.NDArray[Any], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    unit: npt.NDArray[np.float64] = normalize(np.asarray(X[positions], dtype=np.float64))
    return unit


def _in_frame(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fit into the frame; both axes by the same factor would waste the frame, so each has its own."""
    low, high = places.min(axis=0), places.max(axis=0)
    extent = np.where(high > low, high - low, 1.0)
    size = np.array([WIDTH, _HEIGHT]) - 2 * _MARGIN
    inside: npt.NDArray[np.float64] = _MARGIN + (places - low) / extent * size
    return inside


@dataclass(frozen=True)
class Cluster:
    """Images that are like each other.

    Parameters
    ----------
    size : int
    rows : tuple of int
        Some, the nearest to the centre first.
    n_picked : int
    labels, predicted : tuple of (str, int)
        Classes and how often each occurs, the most frequent first.
    """

    size: int
    rows: tuple[int, ...]
    n_picked: int
    labels: tuple[tuple[str, int], ...]
    predicted: tuple[tuple[str, int], ...]


def clusters_of(
    pool: ProjectPool,
    kind_of: Mapping[int, str],
    class_of: Mapping[int, str],
    predicted: Mapping[int, str],
    seed: int,
) -> tuple[Cluster, ...]:
    """Divide the images into at most 16 clusters by K-means, the largest first; none for fewer than 16 images."""
    shown = np.array(sorted(pool.position_of.values()), dtype=np.int64)
    n_clusters = min(_N_CLUSTERS, len(shown) // _LEAST_ROWS)
    if n_clusters < 2:
        return ()
    sampler = KMeansSampler(n_clusters, random_state=seed).fit(pool.part(shown))
    found = []
    for number, center in enumerate(sampler.cluster_centers_):
        members = shown[sampler.labels_ == number]
        rows = pool.rows[members].tolist()
        compared = _evenly(members, _MAX_COMPARED)
        order = np.argsort(-(_unit_rows(pool.X, compared) @ np.asarray(center, dtype=np.float64)), kind="stable")
        nearest = pool.rows[compared[order[:_N_NEAREST]]].tolist()
        found.append(
            Cluster(
                len(rows),
                tuple(nearest),
                sum(row in kind_of for row in rows),
                _most_frequent(class_of[row] for row in rows if row in class_of),
                _most_frequent(predicted[row] for row in rows if row in predicted),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.size, each.rows)))


def _most_frequent(names: Any) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(names).items(), key=lambda each: (-each[1], each[0])))
