"""Pairs of a candidate and a row to be covered, against all pairs in plain numpy."""

import numpy as np
import pytest
import torch

from skal._core.blocks import Blocks
from skal._core.greedy import RBF, FacilityLocation, LazyGreedy, RowSimilarity, TopHat
from skal._core.greedy._open_pairs import OpenPairs

CPU = torch.device("cpu")


def put_all(pairs, row_idx, similarity, coverage):
    references, positions = np.nonzero(similarity[:, row_idx] > coverage[:, None])
    pairs.put(row_idx, positions, references, similarity[references, row_idx[positions]])


@pytest.mark.parametrize("most_pairs", [0, 900, 1 << 20])
def test_sums_over_what_is_open_while_coverage_rises(most_pairs, rng):
    similarity = (rng.random((80, 60)) ** 4).astype(np.float32)
    weights = rng.integers(0, 3, size=80).astype(float)
    coverage = np.full(80, 0.3)
    pairs, had_no_room = OpenPairs(60, most_pairs), False
    for step in range(12):
        some = np.sort(rng.choice(60, size=15, replace=False))
        unknown = some[~pairs.are_known(some)]
        put_all(pairs, unknown, similarity, coverage)
        had_no_room |= not pairs.are_known(unknown).all()
        known = np.flatnonzero(pairs.are_known(np.arange(60)))
        asked = known[:: 1 + step % 2]
        expected = weights @ np.maximum(similarity[:, asked] - coverage[:, None], 0)
        np.testing.assert_allclose(pairs.upper_bounds(asked, coverage, weights), expected, rtol=1e-12)
        for row in asked:
            assert set(pairs.references_of(row)) == set(np.flatnonzero(similarity[:, row] > coverage))
        coverage = np.maximum(coverage, similarity[:, step])
    assert (len(known) == 0) == (most_pairs == 0)
    assert had_no_room == (most_pairs < 1 << 20)


@pytest.mark.parametrize("kernel", [RBF(0.4), TopHat(0.5)], ids=str)
def test_rows_are_compared_with_all_others_once(kernel, rng, monkeypatch):
    """After one pass the same picks follow from the pairs, whose bounds hold."""
    X = rng.normal(size=(600, 3))
    everything, labeled = np.arange(600), np.arange(60)
    similarity = RowSimilarity(Blocks(X, CPU, dtype=torch.float64, tile_rows=128), kernel)
    expected = LazyGreedy(FacilityLocation(similarity, covered_by=labeled), excluded=labeled).pick(40)
    objective = FacilityLocation(similarity, covered_by=labeled)
    greedy = LazyGreedy(objective, excluded=labeled)
    is_open = objective._open.are_known(everything)
    monkeypatch.setattr(similarity, "map_upper_tiles", None)
    monkeypatch.setattr(similarity, "_similarities", None)
    assert is_open.all()
    assert greedy.pick(40).tolist() == expected.tolist()
    monkeypatch.undo()
    gains, upper = objective.gains_in_parts(everything), objective.upper_bounds(everything)
    assert (upper >= gains).all()
    assert (upper <= gains * (1 + 1e-4) + 1e-3).all()
