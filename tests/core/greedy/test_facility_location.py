"""Facility location against a dense greedy in plain numpy."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal._core.blocks import Blocks
from skal._core.greedy import RBF, FacilityLocation, LazyGreedy, RowSimilarity, _facility_location, plain_greedy

CPU = torch.device("cpu")


def dense_greedy(similarity, weights, budget, covered_by=()):
    """The oracle: all pairs at once, gains compared in float32, ties to the lowest row."""
    coverage = similarity[:, covered_by].max(axis=1, initial=0.0)
    taken, picks = list(covered_by), []
    for _ in range(budget):
        gains = weights @ np.maximum(similarity - coverage[:, None], 0)
        gains[gains < 1e-12 * (gains + weights @ coverage)] = 0
        gains[taken] = -1
        best = int(gains.astype(np.float32).argmax())
        picks.append(best)
        taken.append(best)
        coverage = np.maximum(coverage, similarity[:, best])
    return picks, weights @ coverage


def rbf(X, sigma):
    return np.exp(-np.square(X[:, None] - X).sum(axis=2) / sigma**2)


POOLS = {
    "normal": lambda n, rng: rng.normal(size=(n, 3)),
    "copies": lambda n, rng: rng.normal(size=(7, 3))[rng.integers(7, size=n)],
    "a grid": lambda n, rng: rng.integers(0, 3, size=(n, 3)) / 7,
    "one row far away": lambda n, rng: np.concatenate([rng.normal(size=(n - 1, 3)), np.full((1, 3), 10.0)]),
    "all alike": lambda n, rng: np.full((n, 2), 0.3),
}


@pytest.mark.parametrize("kind", POOLS)
@given(
    n_rows=st.integers(2, 60),
    sigma=st.sampled_from([0.1, 1.0, 5.0]),
    is_weighted=st.booleans(),
    n_covered=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_exactly_the_dense_greedy(kind, n_rows, sigma, is_weighted, n_covered, seed):
    rng = np.random.default_rng(seed)
    X = POOLS[kind](n_rows, rng)
    weights = rng.integers(0, 4, size=n_rows).astype(float) if is_weighted else np.ones(n_rows)
    covered_by = rng.permutation(n_rows)[: min(n_covered, n_rows - 1)]
    budget = n_rows - len(covered_by)
    picks, value = dense_greedy(rbf(X, sigma), weights, budget, covered_by)
    for optimise in (
        lambda objective: LazyGreedy(objective, excluded=covered_by).pick(budget),
        lambda objective: plain_greedy(objective, budget, excluded=covered_by),
    ):
        similarity = RowSimilarity(Blocks(X, CPU, dtype=torch.float64, tile_rows=16), RBF(sigma))
        objective = FacilityLocation(
            similarity, weights=torch.from_numpy(weights) if is_weighted else None, covered_by=covered_by
        )
        assert optimise(objective).tolist() == picks
        assert objective.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("column_bytes", [1, 150 * 8 * 5, 1 << 27])
@pytest.mark.parametrize("tile_rows", [8, 64, 1024])
def test_the_same_picks_in_any_memory(column_bytes, tile_rows, rng, monkeypatch):
    X = rng.normal(size=(150, 4))
    monkeypatch.setattr(_facility_location, "_COLUMN_BYTES", column_bytes)
    similarity = RowSimilarity(Blocks(X, CPU, dtype=torch.float64, tile_rows=tile_rows), RBF(1.5))
    picks, _ = dense_greedy(rbf(X, 1.5), np.ones(150), 20)
    assert LazyGreedy(FacilityLocation(similarity)).pick(20).tolist() == picks


def test_float32_rows_are_compared_in_float64(rng):
    X = rng.normal(size=(200, 8)).astype(np.float32)
    similarity = RowSimilarity(Blocks(X, CPU), RBF(3.0))
    columns = torch.cat([tile for _, tile in similarity.tiles(np.arange(200))]).numpy()
    np.testing.assert_allclose(columns, rbf(X.astype(float), 3.0), rtol=1e-13)


@dataclass(frozen=True)
class TopHat:
    """1 within a radius, 0 beyond: ProbCover."""

    radius: float

    def __call__(self, products, sq_norms, candidate_sq_norms):
        return (sq_norms + candidate_sq_norms - 2 * products <= self.radius**2).double()


def test_another_kernel_is_a_function(rng):
    X = rng.integers(0, 9, size=(150, 2)).astype(float)
    similarity = RowSimilarity(Blocks(X, CPU, tile_rows=32), TopHat(1.5))
    near = (np.square(X[:, None] - X).sum(axis=2) <= 1.5**2).astype(float)
    picks, _ = dense_greedy(near, np.ones(150), 150)
    assert LazyGreedy(FacilityLocation(similarity)).pick(150).tolist() == picks


class MatrixSimilarity:
    """A kernel that is a matrix: all that facility location asks of it are some columns, some rows at a time."""

    device = CPU

    def __init__(self, matrix):
        self.matrix, self.n_rows = torch.from_numpy(matrix), len(matrix)

    def tiles(self, candidate_idx):
        for start in range(0, self.n_rows, 50):
            yield slice(start, min(start + 50, self.n_rows)), self.matrix[start : start + 50, candidate_idx]


def test_a_kernel_that_is_a_matrix(rng):
    matrix = rng.random((120, 120)) ** 6
    picks, _ = dense_greedy(matrix, np.ones(120), 120)
    assert LazyGreedy(FacilityLocation(MatrixSimilarity(matrix))).pick(120).tolist() == picks
