"""Multi K-means against plain numpy, given the centroids."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from skal.rounds import MultiKMeansSampler
from skal.samplers import KMeansSampler


def nearest_unlabelled(rows, centers, labeled):
    """In each cluster the nearest row that is not labelled, largest cluster first; None where there is no such row."""
    sq_dist = ((rows[:, None] - centers[None]) ** 2).sum(axis=2)
    cluster = sq_dist.argmin(axis=1)
    picks = []
    for c in np.argsort(-np.bincount(cluster, minlength=len(centers)), kind="stable"):
        free = [row for row in np.flatnonzero(cluster == c) if row not in labeled]
        if not free:
            return None
        picks.append(min(free, key=lambda row: (sq_dist[row, c], row)))
    return picks


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_each_round_is_the_oracle_given_the_centroids(metric, digits):
    X = digits[0]
    rows = (normalize(X) if metric == "cosine" else X).astype(np.float64)
    labeled = []
    for total in (10, 20, 45):
        budgets = (10, 20, 45)[: 1 + (10, 20, 45).index(total)]
        rounds = MultiKMeansSampler(budgets, labeled_rows="skip", metric=metric, random_state=1).fit(X)
        centers = rounds.sampler_.cluster_centers_.astype(np.float64)
        assert len(centers) == total - len(labeled)
        np.testing.assert_array_equal(rounds.rounds_[-1], nearest_unlabelled(rows, centers, labeled))
        labeled = rounds.selected_indices_.tolist()


def test_a_round_is_kmeans_with_what_is_labelled(blobs):
    X, _ = blobs
    rounds = MultiKMeansSampler((4, 9, 30), random_state=2).fit(X)
    picked = np.empty(0, dtype=int)
    for budget, found in zip((4, 5, 21), rounds.rounds_, strict=True):
        by_hand = KMeansSampler(budget, random_state=2).fit_select(X, labeled_indices=picked)
        np.testing.assert_array_equal(found, by_hand)
        picked = np.concatenate([picked, found])


@pytest.mark.parametrize("kind", ["copies", "few distinct rows", "zeros", "constant columns"])
def test_nasty_pools_give_every_total(kind, rng):
    X = rng.normal(size=(60, 4))
    X = {
        "copies": np.repeat(X[:1], 60, axis=0),
        "few distinct rows": X[rng.integers(3, size=60)],
        "zeros": np.zeros((60, 4)),
        "constant columns": X * [1, 0, 0, 0] + 5,
    }[kind]
    rounds = MultiKMeansSampler((1, 2, 20, 60), random_state=0).fit(X)
    assert [len(rows) for rows in rounds.rounds_] == [1, 1, 18, 40]
    assert len(set(rounds.selected_indices_)) == 60
