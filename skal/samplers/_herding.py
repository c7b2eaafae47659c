"""What the herding samplers share: greedy coverage under a kernel, and its bandwidth."""

from __future__ import annotations

import numpy as np
import torch

from skal._core.blocks import Blocks
from skal._core.greedy import RBF, FacilityLocation, LazyGreedy, Linear, RowSimilarity, TopHat
from skal._core.kmeans import partition
from skal._core.purity import kth_distance_to_other_clusters
from skal.samplers._candidates import sampled_candidates
from skal.samplers._kmeans import KMeansSampler

__all__ = ["Herd", "bandwidth", "clusters_of", "pure_radius"]

_KERNELS = {"rbf": RBF, "linear": Linear, "tophat": TopHat}
_NO_RADIUS = 1e-6  # of the first radius: float32 tells no rows apart that are nearer
_ROWS_A_CLUSTER = 4
_PURE_SHARE = 0.95
_BALLS = 4096


class Herd:
    """Greedy coverage of a pool, from what is labelled already.

    Parameters
    ----------
    request : SelectionRequest
    view : PoolView
    kernel : {"rbf", "linear", "tophat"}
    max_references : int or None
        Rows to be covered: all, or a random sample of as many.
    max_candidates : int or None
        Rows that may be picked: all, or the sample that `sampled_candidates` draws.
    """

    def __init__(self, request, view, kernel, max_references, max_candidates):
        self._request, self._kernel = request, kernel
        self._factor = view.frame.factor
        self._references = self._to_candidates = None
        self.reference_idx = np.arange(view.n_rows)
        if max_references is not None and view.n_rows > max_references:
            self.reference_idx = np.sort(request.rng.choice(view.n_rows, size=max_references, replace=False))
            self._references = Blocks(view.blocks.take(self.reference_idx), view.device)
        self._pool_idx, self._labeled_idx, self._blocks = np.arange(view.n_rows), request.labeled_idx, view.blocks
        sampled_idx = sampled_candidates(request, max_candidates)
        if sampled_idx is not None:
            self._pool_idx = np.union1d(sampled_idx, request.labeled_idx)
            self._labeled_idx = np.searchsorted(self._pool_idx, request.labeled_idx)
            self._blocks = Blocks(view.blocks.take(self._pool_idx), view.device)
            if self._references is None:
                self._references = view.blocks

    def pick(self, sigma, weights=None):
        """Pick the budget.

        Parameters
        ----------
        sigma : float
            In the units of the (normalised) rows.
        weights : float64 ndarray, default=None
            One for each of `reference_idx`; None weighs all alike.

        Returns
        -------
        picks : int64 ndarray of shape (budget,)
        coverage : float
            Weighted mean, over the references, of the similarity to the nearest row labelled or picked.
        """
        self._request.progress.begin(None, "batch")
        picks = np.empty(0, dtype=np.int64)
        first = objective = self._objective(sigma, weights, picks)
        if self._kernel == "tophat":
            picks = self._more(objective, picks, goes_on_at_zero=False)
            radius, smallest = sigma, _NO_RADIUS * sigma
            while len(picks) < self._request.budget:
                radius = self._next_radius(radius, picks)
                if radius <= smallest:
                    break
                objective = self._objective(radius, weights, picks)
                picks = np.concatenate([picks, self._more(objective, picks, goes_on_at_zero=False)])
        if len(picks) < self._request.budget:
            picks = np.concatenate([picks, self._more(objective, picks, goes_on_at_zero=True)])
        return self._pool_idx[picks], self._share_covered(first, weights)

    def _more(self, objective, picks, *, goes_on_at_zero):
        """Pick what is missing, or, unless told to go on, as long as something is gained."""
        excluded = np.concatenate([self._labeled_idx, picks])
        greedy = LazyGreedy(objective, excluded=excluded)
        n_missing = self._request.budget - len(picks)
        progress = self._request.progress

        def on_batch(n_picks, gain):
            progress.advance(len(picks) + n_picks, gain, "gain")

        if goes_on_at_zero:
            return greedy.pick(n_missing, on_batch)
        return greedy.pick_while_it_gains(n_missing, on_batch)

    def _objective(self, sigma, weights, picks):
        similarity = RowSimilarity(
            self._blocks, _KERNELS[self._kernel](sigma * self._factor), references=self._references
        )
        return FacilityLocation(
            similarity,
            weights=None if weights is None else torch.from_numpy(weights),
            covered_by=np.concatenate([self._labeled_idx, picks]),
        )

    def _next_radius(self, radius, picks):
        """Halve the radius, or the largest distance of a row to what covers it, until something gains; 0 if nothing.

        Where all rows are candidates, a row that is not covered always is one. Of a sample, a candidate gains by a row
        that is nearer to it than the radius, and no nearer than that to what covers it.
        """
        covering = self._blocks.take(np.concatenate([self._labeled_idx, picks]))
        to_covering = self._distances_to(covering)
        radius = min(radius, to_covering.max()) / 2
        if len(self._pool_idx) == self._request.pool.n_rows:
            return radius
        if self._to_candidates is None:
            self._to_candidates = self._distances_to(self._blocks.whole())
        can_gain = self._to_candidates < to_covering
        if (can_gain & (self._to_candidates < radius) & (to_covering >= radius)).any():
            return radius
        return to_covering[can_gain & (to_covering < radius)].max(initial=0.0)

    def _distances_to(self, rows):
        """Distance of each row that is to be covered to the nearest of some others."""
        references = self._blocks if self._references is None else self._references
        return np.sqrt(partition(references, rows).sq_dist.double().cpu().numpy()) / self._factor

    def _share_covered(self, objective, weights):
        total = len(self.reference_idx) if weights is None else float(weights.sum())
        return objective.value / total if total > 0 else 1.0


def clusters_of(request, metric, device, n_clusters=None):
    """Cluster a pool by K-means, seeded by the request.

    Parameters
    ----------
    n_clusters : int or None
        None means as many as rows picked and labelled. At most a quarter of the rows, at least two where there are two.

    Returns
    -------
    KMeansSampler
        Fitted.
    """
    n_rows = request.pool.n_rows
    wanted = request.budget + len(request.labeled_idx) if n_clusters is None else n_clusters
    n_clusters = min(n_rows, max(2, min(wanted, n_rows // _ROWS_A_CLUSTER)))
    seed = int(request.rng.integers(2**31))
    return KMeansSampler(n_clusters, metric=metric, device=device, random_state=seed).fit(request.pool)


def bandwidth(clusters, n_rows):
    """Return √2 times the root mean squared distance of a row to its centroid; 1 where that is 0."""
    return float(np.sqrt(2.0 * clusters.inertia_ / n_rows)) or 1.0


def pure_radius(clusters, view, rng):
    """Return the largest radius at which 95 % of the balls around rows hold rows of one cluster only.

    A ball is pure as long as it is no larger than the distance to the nearest row of another cluster, so this is a
    quantile of these distances; of at most 4,096 random rows.
    """
    n_rows = view.n_rows
    row_idx = np.arange(n_rows) if n_rows <= _BALLS else np.sort(rng.choice(n_rows, size=_BALLS, replace=False))
    labels = torch.from_numpy(clusters.labels_.astype(np.int64)).to(view.device)
    n_impure = int((1 - _PURE_SHARE) * len(row_idx) + 1e-9)
    radius = kth_distance_to_other_clusters(view.blocks, labels, row_idx, n_impure) / view.frame.factor
    return radius if 0 < radius < np.inf else 1.0
