"""Equal shares of clusters against plain numpy, given the centroids."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from skal.samplers import KMeansSampler, UniformKMeansSampler


def round_robin(rows, centers, labeled, budget):
    """One pick at a time for a cluster with the fewest labelled rows and one left; nearest first."""
    sq_dist = ((rows[:, None] - centers[None]) ** 2).sum(axis=2)
    cluster = sq_dist.argmin(axis=1)
    size = np.bincount(cluster, minlength=len(centers))
    taken = np.bincount(cluster[labeled], minlength=len(centers))
    free = [
        sorted(set(np.flatnonzero(cluster == c)) - set(labeled), key=lambda row, c=c: (sq_dist[row, c], row))
        for c in range(len(centers))
    ]
    picks = []
    for _ in range(budget):
        c = min((c for c in range(len(centers)) if free[c]), key=lambda c: (taken[c], -size[c], c))
        picks.append(free[c].pop(0))
        taken[c] += 1
    return picks


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("budget", "n_labeled"), [(3, 0), (20, 0), (23, 0), (50, 37), (900, 0)])
def test_the_oracle_given_the_centroids(metric, budget, n_labeled, digits, rng):
    X = digits[0]
    rows = (normalize(X) if metric == "cosine" else X).astype(np.float64)
    labeled = rng.permutation(len(X))[:n_labeled]
    sampler = UniformKMeansSampler(budget, n_clusters=7, labeled_rows="skip", metric=metric, random_state=0)
    sampler.fit(X, labeled_indices=labeled)
    expected = round_robin(rows, sampler.kmeans_.cluster_centers_.astype(np.float64), labeled, budget)
    assert set(sampler.selected_indices_) == set(expected)
    if n_labeled == 0:  # labelled rows let some clusters start later than in the oracle's order
        np.testing.assert_array_equal(sampler.selected_indices_, expected)


def test_the_clusters_are_those_of_kmeans(blobs):
    X, y = blobs
    sampler = UniformKMeansSampler(12, n_clusters=3, random_state=5).fit(X)
    centers = KMeansSampler(3, random_state=5).fit(X).cluster_centers_
    np.testing.assert_array_equal(sampler.kmeans_.cluster_centers_, centers)
    assert np.bincount(y[sampler.selected_indices_]).tolist() == [4, 4, 4]


def test_another_pool_and_a_common_offset(blobs):
    X, y = blobs
    X = np.rint(64 * X) / 64
    near = UniformKMeansSampler(9, n_clusters=3, metric="euclidean", random_state=0).fit(X.astype(np.float64))
    far = UniformKMeansSampler(9, n_clusters=3, metric="euclidean", random_state=0).fit(X.astype(np.float64) + 1e9)
    np.testing.assert_array_equal(near.selected_indices_, far.selected_indices_)
    np.testing.assert_array_equal(near.select(X.astype(np.float64)), near.selected_indices_)
    assert np.bincount(y[:60][near.select(X[:60].astype(np.float64))]).tolist() == [3, 3, 3]


def test_more_clusters_than_rows(rng):
    X = rng.normal(size=(6, 3))
    assert set(UniformKMeansSampler(6, n_clusters=100).fit_select(X)) == set(range(6))


def test_bad_parameters(blobs):
    with pytest.raises(ValueError, match="n_clusters"):
        UniformKMeansSampler(n_clusters=0).fit(blobs[0])


def test_verbose_prints_what_kmeans_reached(blobs, capsys):
    sampler = UniformKMeansSampler(verbose=1, random_state=0).fit(blobs[0])
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"inertia {sampler.kmeans_.inertia_:.6g}")
