"""BADGE against k-means++ on gradients that are formed."""

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from skal._core.blocks import Blocks
from skal._core.gradients import GradientSpace
from skal._core.seeding import kmeans_plus_plus
from skal._validation import local_generator
from skal.classifiers import RidgeProbe
from skal.samplers import BADGESampler, KMeansSampler

CPU = torch.device("cpu")


def formed(X, y, labeled):
    """Gradients of all rows, (n, n_classes · d), by their definition."""
    probabilities = RidgeProbe().fit(X[labeled], y[labeled], X_pool=X).predict_proba(X)
    errors = probabilities - np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    return (errors[:, :, None] * normalize(X)[:, None]).reshape(len(X), -1)


def test_distances_are_those_of_the_outer_products(rng):
    errors, X = rng.normal(size=(300, 4)).astype(np.float32), rng.normal(size=(300, 7)).astype(np.float32)
    errors[7], X[7] = errors[9], X[9]
    blocks = Blocks(X, CPU, tile_rows=64)
    space = GradientSpace(torch.from_numpy(errors), blocks)
    gradients = (errors[:, :, None] * X[:, None]).reshape(300, -1).astype(np.float64)
    sq_dist = np.square(gradients[:, None] - gradients).sum(axis=2)
    row_idx = np.array([7, 250, 3, 9])
    np.testing.assert_allclose(space.between(row_idx), sq_dist[row_idx][:, row_idx], rtol=1e-4, atol=1e-4)
    assert space.between(row_idx)[0, 3] == 0
    lowered = space.lower(row_idx.tolist(), torch.full((300,), 3.0))
    expected = np.minimum(sq_dist[:, row_idx].min(axis=1), 3)
    np.testing.assert_allclose(lowered, expected, rtol=1e-4, atol=1e-4)
    assert lowered[9] == 0


def test_the_same_draws_as_k_means_plus_plus_on_formed_gradients(digits):
    X, _, y, _ = digits
    labeled = np.arange(0, 60, 2)
    gradients = formed(X, y, labeled)
    free = np.setdiff1d(np.arange(len(X)), labeled)
    for seed in range(3):
        picks = BADGESampler(15, random_state=seed).fit_select(X, y, labeled_indices=labeled)
        given = torch.from_numpy(gradients[labeled].astype(np.float32))
        blocks = Blocks(gradients.astype(np.float32), CPU)
        blocks.check_finite()
        expected = kmeans_plus_plus(blocks, 15, local_generator(seed), given)
        assert (picks == expected).mean() > 0.9  # float32 may tip a draw
        assert set(picks) <= set(free)


def test_long_gradients_are_drawn_more_often(digits):
    X, _, y, _ = digits
    labeled = np.arange(40)
    norms = np.linalg.norm(formed(X, y, labeled), axis=1)
    sampler = BADGESampler(20)
    picks = np.concatenate(
        [sampler.set_params(random_state=s).fit_select(X, y, labeled_indices=labeled) for s in range(5)]
    )
    assert norms[picks].mean() > 1.1 * np.delete(norms, labeled).mean()


def test_copies_of_labelled_rows_come_last(digits):
    X, _, y, _ = digits
    X, y = np.concatenate([X[:200], X[:50]]), np.concatenate([y[:200], y[:50]])
    picks = BADGESampler(150, random_state=0).fit_select(X, y, labeled_indices=range(50))
    assert set(picks) == set(range(50, 200))


def test_a_classifier_that_is_always_certain_leaves_chance(digits):
    X, _, y, _ = digits
    certain = BADGESampler(15, classifier=KNeighborsClassifier(n_neighbors=1), random_state=0)
    picks = certain.fit_select(X, y, labeled_indices=range(20))
    assert len(set(picks)) == 15
    assert picks.min() >= 20
    assert picks.std() > 100


def test_without_two_classes_it_is_k_means(blobs):
    X, y = blobs
    picks = BADGESampler(6, random_state=0).fit_select(X, y, labeled_indices=np.flatnonzero(y == 1)[:4])
    expected = KMeansSampler(6, random_state=0).fit_select(X, labeled_indices=np.flatnonzero(y == 1)[:4])
    np.testing.assert_array_equal(picks, expected)
