"""TypiClust against plain numpy, given the clusters."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from skal.samplers import KMeansSampler, TypiClustSampler


def mean_distance(X, members, n_neighbors):
    """Of each member to its nearest others; the inverse of typicality."""
    distances = np.sqrt(np.square(X[members, None].astype(float) - X[members].astype(float)).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, : min(n_neighbors, len(members) - 1)].mean(axis=1) if len(members) > 1 else [0]


def plain(X, labels, labeled, budget, n_neighbors=20, min_size=6):
    sizes, n_labels = np.bincount(labels), np.bincount(labels[labeled], minlength=labels.max() + 1)
    is_small = sizes < min_size
    if sizes[~is_small].sum() < len(X) / 2:
        is_small[:] = False
    taken, picks = set(labeled), []
    distance = np.empty(len(X), dtype=np.float32)
    for cluster in range(len(sizes)):
        members = np.flatnonzero(labels == cluster)
        distance[members] = mean_distance(X, members, n_neighbors)
    while len(picks) < budget:
        left = [c for c in range(len(sizes)) if set(np.flatnonzero(labels == c)) - taken]
        cluster = min(left, key=lambda c: (is_small[c], n_labels[c], -sizes[c], c))
        members = [row for row in np.flatnonzero(labels == cluster) if row not in taken]
        picks.append(min(members, key=lambda row: (distance[row], row)))
        taken.add(picks[-1])
        n_labels[cluster] += 1
    return picks


@pytest.mark.slow
@pytest.mark.parametrize(("n_neighbors", "min_size"), [(20, 6), (3, 40), (1, 1)])
@pytest.mark.parametrize("labeled", [[], [5, 17, 18, 300]])
@pytest.mark.parametrize("budget", [4, 30, 250])
def test_exactly_the_most_typical_rows(budget, labeled, n_neighbors, min_size, digits):
    X = digits[0][:400]
    X = np.concatenate([X, X[:50]])  # copies
    labeled = np.array(labeled, dtype=int)
    sampler = TypiClustSampler(budget, n_neighbors=n_neighbors, min_cluster_size=min_size, random_state=0)
    picks = sampler.fit_select(X, labeled_indices=labeled)
    assert len(np.unique(sampler.labels_)) <= budget + len(labeled)
    assert picks.tolist() == plain(normalize(X), sampler.labels_, labeled, budget, n_neighbors, min_size)


def test_there_are_as_many_clusters_as_labels(digits):
    X = digits[0]
    sampler = TypiClustSampler(600, random_state=0).fit(X, labeled_indices=range(50))
    n_clusters = len(np.unique(sampler.labels_))
    assert 640 <= n_clusters <= 650
    assert len(np.unique(sampler.labels_[sampler.selected_indices_])) > 500


def test_clusters_with_a_label_wait_for_those_without(blobs):
    X, y = blobs
    first = np.flatnonzero(y == 0)[:5]
    picks = TypiClustSampler(2, random_state=0, metric="euclidean").fit_select(X, labeled_indices=first)
    assert 0 not in y[picks]


def test_small_clusters_are_left_out_where_the_others_hold_most_of_the_pool(rng):
    X = np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(40, 2)) + 30, [[0, 90], [90, 0], [-90, -90]]])
    sampler = TypiClustSampler(5, metric="euclidean", random_state=0).fit(X)
    assert len(np.unique(sampler.labels_)) == 5
    assert sampler.selected_indices_.max() < 100
    everywhere = TypiClustSampler(5, metric="euclidean", min_cluster_size=1, random_state=0).fit(X)
    assert (everywhere.selected_indices_ >= 100).sum() == 3


def test_it_beats_chance_at_one_label_a_class(digits):
    X, _, y, _ = digits
    n_classes = [len(set(y[TypiClustSampler(10, random_state=seed).fit_select(X)])) for seed in range(5)]
    assert np.mean(n_classes) > 7.5
    kmeans = [len(set(y[KMeansSampler(10, random_state=seed).fit_select(X)])) for seed in range(5)]
    assert np.mean(n_classes) >= np.mean(kmeans) - 1
