"""Facility location against a dense greedy in plain numpy."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skal._core.blocks import Blocks
from skal._core.greedy import (
    RBF,
    FacilityLocation,
    LazyGreedy,
    Linear,
    RowSimilarity,
    TopHat,
    _facility_location,
    plain_greedy,
)

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


@pytest.mark.slow
@pytest.mark.parametrize("kind", POOLS)
@settings(max_examples=max(10, settings.default.max_examples // 2))
@given(
    n_rows=st.integers(2, 40),
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
class Triangle:
    """Falls evenly to 0 at a reach; says nothing that would allow for bounds."""

    reach: float

    def __call__(self, products, sq_norms, candidate_sq_norms):
        return (1 - (sq_norms + candidate_sq_norms - 2 * products).clamp_(min=0).sqrt() / self.reach).clamp_(min=0)


def test_another_kernel_is_a_function(rng):
    X = rng.integers(0, 9, size=(150, 2)).astype(float)
    similarity = RowSimilarity(Blocks(X, CPU, tile_rows=32), Triangle(1.5))
    near = np.maximum(0, 1 - np.sqrt(np.square(X[:, None] - X).sum(axis=2)) / 1.5)
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


@pytest.mark.parametrize(
    ("kernel", "of_sq_dist"),
    [(TopHat(1.5), lambda sq_dist: sq_dist < 1.5**2), (Linear(0.8), lambda sq_dist: 1 - sq_dist / (4 * 0.8**2))],
    ids=["top hat", "linear"],
)
def test_kernels_by_their_definition(kernel, of_sq_dist, rng):
    X = rng.integers(0, 9, size=(150, 2)).astype(float)
    matrix = np.maximum(0, of_sq_dist(np.square(X[:, None] - X).sum(axis=2)).astype(float))
    picks, _ = dense_greedy(matrix, np.ones(150), 150)
    similarity = RowSimilarity(Blocks(X, CPU, tile_rows=32), kernel)
    assert similarity.has_upper_bounds()
    assert LazyGreedy(FacilityLocation(similarity)).pick(150).tolist() == picks


@pytest.mark.parametrize("kernel", [RBF(0.3), RBF(2.0), TopHat(0.9), Linear(0.5)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bounds_hold_and_are_close(kernel, dtype, rng):
    X = rng.normal(size=(300, 40)) / 5
    X[150:] = X[:150] + 1e-5 * rng.normal(size=(150, 40))
    similarity = RowSimilarity(Blocks(X.astype(str(dtype)[6:]), CPU, dtype=dtype, tile_rows=64), kernel)
    assert similarity.has_upper_bounds()
    objective = FacilityLocation(similarity, covered_by=np.arange(20))
    everything = np.arange(300)
    gains, upper = objective.gains_in_parts(everything), objective.upper_bounds(everything)
    assert (upper >= gains).all()
    if isinstance(kernel, RBF):
        assert (upper <= gains * 1.01 + 1e-3 * objective.value).all()


@pytest.mark.parametrize("n_references", [1, 70])
def test_other_rows_may_be_covered_than_candidates(n_references, rng):
    X, others = rng.normal(size=(150, 3)), rng.normal(size=(n_references, 3))
    similarity = RowSimilarity(Blocks(X, CPU, tile_rows=32), RBF(1.5), references=Blocks(others, CPU, tile_rows=16))
    kernel = np.exp(-np.square(others.astype(np.float32)[:, None] - X.astype(np.float32)).sum(axis=2) / 1.5**2)
    picks, value = dense_greedy(kernel, np.ones(n_references), 20)
    objective = FacilityLocation(similarity)
    assert LazyGreedy(objective).pick(20).tolist() == picks
    assert objective.value == pytest.approx(value, rel=1e-6)


def test_distances_that_float32_cannot_see_are_left_to_float64(rng):
    X = rng.normal(size=(60, 3)) * 1e-5 + 1.0
    similarity = RowSimilarity(Blocks(X, CPU, dtype=torch.float64, tile_rows=16), RBF(1e-5))
    assert not similarity.has_upper_bounds()
    picks, _ = dense_greedy(rbf(X, 1e-5), np.ones(60), 20)
    assert LazyGreedy(FacilityLocation(similarity)).pick(20).tolist() == picks


def test_a_similarity_keeps_its_tiles(rng):
    matrix = rng.random((60, 60))
    similarity = MatrixSimilarity(matrix.copy())
    similarity.tiles = lambda candidate_idx: [
        (slice(0, 60), similarity.matrix[:, candidate_idx[0] : candidate_idx[-1] + 1])
    ]
    FacilityLocation(similarity).gains(np.arange(60))
    np.testing.assert_array_equal(similarity.matrix.numpy(), matrix)
