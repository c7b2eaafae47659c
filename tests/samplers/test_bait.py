"""BAIT against inverting every matrix anew in plain numpy."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from skal._core.blocks import Blocks
from skal._core.fisher import least_trace
from skal.classifiers import RidgeProbe
from skal.samplers import BAITSampler, KMeansSampler

CPU = torch.device("cpu")


def plain(rows, weights, labeled, budget, regularization, left_out=()):
    """Forward to twice the budget and back, each trace from its own inverse."""
    vectors = np.sqrt(weights)[:, None] * rows
    of_pool = vectors.T @ vectors / len(rows)
    ridge = regularization * (np.trace(of_pool) or 1.0) * np.eye(rows.shape[1])

    def trace(selected):
        return np.trace(np.linalg.inv(ridge + vectors[selected].T @ vectors[selected]) @ of_pool)

    picks, free = [], [row for row in range(len(rows)) if row not in labeled and row not in left_out]
    while len(picks) < min(2 * budget, len(free)):
        left = [row for row in free if row not in picks]
        picks.append(min(left, key=lambda row: round(trace([*labeled, *picks, row]), 9)))
    while len(picks) > budget:
        without = [round(trace([*labeled, *(p for p in picks if p != row)]), 9) for row in picks]
        del picks[len(picks) - 1 - int(np.argmin(without[::-1]))]
    return picks


@pytest.mark.parametrize("budget", [1, 6, 40])
@pytest.mark.parametrize("labeled", [[0, 5, 33], list(range(20))])
@pytest.mark.parametrize("regularization", [0.05, 3.0])
def test_exactly_the_rows_of_least_trace(regularization, labeled, budget, rng):
    rows = rng.normal(size=(80, 6)).astype(np.float32)
    weights = rng.uniform(0.05, 0.25, size=80)
    blocks = Blocks(rows, CPU, tile_rows=16)
    picks = least_trace(blocks, torch.from_numpy(weights), np.array(labeled), budget, regularization)
    assert picks.tolist() == plain(rows.astype(float), weights, labeled, budget, regularization)


def test_a_sample_may_be_picked_for_the_information_of_all(rng):
    rows, weights = rng.normal(size=(80, 6)).astype(np.float32), rng.uniform(0.05, 0.25, size=80)
    labeled, candidates = [0, 5, 33], np.arange(1, 80, 4)
    blocks = Blocks(rows, CPU, tile_rows=16)
    picks = least_trace(
        blocks, torch.from_numpy(weights), np.array(labeled), 6, 3.0, candidate_idx=candidates[candidates != 5]
    )
    others = np.setdiff1d(np.arange(80), candidates).tolist()
    assert picks.tolist() == plain(rows.astype(float), weights, labeled, 6, 3.0, left_out=others)


def test_eight_times_the_budget_are_drawn_of_a_large_pool(digits):
    X, _, y, _ = digits
    labeled = np.arange(0, 60, 3)
    few, many = (
        BAITSampler(20, max_candidates=most, random_state=0).fit(X, y, labeled_indices=labeled) for most in (1, None)
    )
    assert len(np.setdiff1d(few.selected_indices_, many.selected_indices_)) > 5
    again = BAITSampler(20, max_candidates=160, random_state=0).fit(X, y, labeled_indices=labeled)
    np.testing.assert_array_equal(few.selected_indices_, again.selected_indices_)


def test_the_information_is_that_of_the_highest_probability(digits):
    X, _, y, _ = digits
    X, y, labeled = X[:300], y[:300], np.arange(0, 60, 3)
    sampler = BAITSampler(8, random_state=0).fit(X, y, labeled_indices=labeled)
    highest = RidgeProbe().fit(X[labeled], y[labeled], X_pool=X).predict_proba(X).max(axis=1)
    weights = np.maximum(highest * (1 - highest), 0.0125)
    blocks = Blocks(normalize(X), CPU)
    expected = least_trace(blocks, torch.from_numpy(weights), labeled, 8, 1.0)
    np.testing.assert_array_equal(sampler.selected_indices_, expected)


def test_copies_of_picks_and_of_labelled_rows_gain_least(rng):
    X = np.repeat(np.eye(12), 5, axis=0) + 1e-3 * rng.normal(size=(60, 12))
    y = np.arange(60) // 5 % 3
    picks = BAITSampler(9, random_state=0).fit_select(X, y, labeled_indices=[0, 5, 10])
    assert len(set(picks // 5) | {0, 1, 2}) == 12


def test_rows_of_no_doubt_do_not_collapse_it(digits):
    X, _, y, _ = digits
    certain = BAITSampler(15, classifier=KNeighborsClassifier(n_neighbors=1), random_state=0)
    picks = certain.fit_select(X, y, labeled_indices=range(20))
    assert len(set(y[picks])) >= 7
    longer = X * np.where(np.arange(len(X)) < 600, 1000.0, 1.0)[:, None]
    np.testing.assert_array_equal(certain.fit_select(longer, y, labeled_indices=range(20)), picks)


def test_without_two_classes_it_is_k_means(blobs):
    X, y = blobs
    picks = BAITSampler(6, random_state=0).fit_select(X, y)
    np.testing.assert_array_equal(picks, KMeansSampler(6, random_state=0).fit_select(X))
