"""Near pairs against all squared distances."""

import numpy as np
import pytest
import torch

from skal._core.blocks import Blocks
from skal._core.greedy import RBF, FacilityLocation, LazyGreedy, Linear, RowSimilarity, TopHat, _near_pairs
from skal._core.greedy._near_pairs import near_pairs

CPU = torch.device("cpu")


def all_sq_dist(X, others):
    return np.square(X[:, None].astype(float) - others).sum(axis=2)


def elongated(n_rows, rng):
    """Rows whose leading coordinates say most of their distances."""
    return (rng.normal(size=(n_rows, 200)) * 0.95 ** np.arange(200) / 3).astype(np.float32)


@pytest.fixture(params=["rows", "projections", "bfloat16", "projections in bfloat16"])
def compared(request, monkeypatch):
    monkeypatch.setattr(_near_pairs, "_TILE_ROWS", 32)
    monkeypatch.setattr(_near_pairs, "_SAMPLED", 64)
    monkeypatch.setattr(_near_pairs, "bfloat16_pays", lambda: "bfloat16" in request.param)
    if "projections" in request.param:
        monkeypatch.setattr(_near_pairs, "_LEAST_NUMBERS_TO_PREPARE", 0)
        monkeypatch.setattr(_near_pairs, "_MOST_TO_PROJECT", 1.0)
        monkeypatch.setattr(_near_pairs, "PRODUCTS_FOR_ONE_PAIR", 0.0)
    if request.param == "bfloat16":
        monkeypatch.setattr(_near_pairs, "_LEAST_NUMBERS_TO_PREPARE", 0)
        monkeypatch.setattr(_near_pairs, "_MOST_TO_PROJECT", -1.0)
    return request.param


@pytest.mark.parametrize("are_same", [True, False], ids=["the same rows", "other rows"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_near_pair_and_hardly_another(compared, are_same, dtype, rng):
    X = elongated(300, rng)
    candidates = Blocks(X.astype(str(dtype)[6:]), CPU, dtype=dtype, tile_rows=64)
    others = X if are_same else elongated(170, rng)
    references = candidates if are_same else Blocks(others.astype(str(dtype)[6:]), CPU, dtype=dtype, tile_rows=64)
    limits = rng.choice([-np.inf, 0.0, 0.3, 0.6, 0.7], size=len(others))
    limits[5] = np.inf
    sq_dist = all_sq_dist(others, X)
    is_near = sq_dist < limits[:, None]
    found = near_pairs(candidates, references, limits, most_share=1.0, most_pairs=10**6)
    is_found = np.zeros_like(is_near)
    is_found[found.references, found.candidates] = True
    assert len(found.candidates) == is_found.sum()  # each once
    assert is_found[is_near].all()
    width = 0.05 if compared == "bfloat16" else 2e-3
    assert not is_found[sq_dist > limits[:, None] + width].any()
    of_found = sq_dist[found.references, found.candidates]
    assert (found.sq_dist <= of_found).all()
    np.testing.assert_allclose(found.sq_dist, of_found, atol=width)


def test_projections_leave_little_to_compare(compared, rng, monkeypatch):
    asked = []
    compare = _near_pairs.ComparedRows.lower_sq_dist_of_pairs

    def count(rows, others, row_pos, other_pos):
        asked.append(len(row_pos))
        return compare(rows, others, row_pos, other_pos)

    monkeypatch.setattr(_near_pairs.ComparedRows, "lower_sq_dist_of_pairs", count)
    blocks = Blocks(elongated(300, rng), CPU)
    found = near_pairs(blocks, blocks, np.full(300, 0.5), most_share=1.0, most_pairs=10**6)
    if "projections" not in compared:
        assert not asked
    else:
        assert len(found.candidates) / 2 <= sum(asked) < 0.2 * 300**2


def test_no_more_than_so_many(compared, rng):
    blocks = Blocks(elongated(300, rng), CPU)
    limits = np.full(300, 0.5)
    n_pairs = len(near_pairs(blocks, blocks, limits, most_share=1.0, most_pairs=10**6).candidates)
    assert near_pairs(blocks, blocks, limits, most_share=1.0, most_pairs=n_pairs) is not None
    assert near_pairs(blocks, blocks, limits, most_share=1.0, most_pairs=n_pairs - 1) is None
    assert near_pairs(blocks, blocks, 4 * limits, most_share=0.01, most_pairs=10**6) is None
    assert len(near_pairs(blocks, blocks, np.zeros(300), most_share=0.0, most_pairs=0).candidates) == 0


@pytest.mark.parametrize("are_same", [True, False], ids=["the same rows", "other rows"])
@pytest.mark.parametrize("kernel", [RBF(0.5), TopHat(0.7), Linear(0.4)], ids=str)
def test_what_is_near_is_all_that_the_greedy_needs(compared, kernel, are_same, rng):
    X = elongated(300, rng)
    blocks = Blocks(X, CPU, tile_rows=64)
    references = blocks if are_same else Blocks(elongated(170, rng), CPU, tile_rows=64)
    similarity = RowSimilarity(blocks, kernel, references=references)
    covered_by = np.arange(0, 300, 5)
    matrix = torch.cat([tile for _, tile in similarity.tiles(np.arange(300))]).numpy()
    objective = FacilityLocation(similarity, covered_by=covered_by)
    picks = LazyGreedy(objective, excluded=covered_by).pick(40)
    assert objective._open.are_known(np.arange(300)).all()
    coverage = matrix[:, covered_by].max(axis=1)
    excluded = set(covered_by.tolist())
    for pick in picks:
        gains = np.maximum(matrix - coverage[:, None], 0).sum(axis=0).astype(np.float32)
        gains[list(excluded)] = -1
        gains[gains < 1e-12 * coverage.sum()] = np.minimum(gains, 0)[gains < 1e-12 * coverage.sum()]
        assert pick == gains.argmax()
        excluded.add(pick)
        coverage = np.maximum(coverage, matrix[:, pick])


@pytest.mark.parametrize("kernel", [RBF(0.5), TopHat(0.7), Linear(0.4)], ids=str)
def test_a_kernel_reaches_as_far_as_it_says(kernel):
    sq_dist = torch.linspace(0.0, 1.2, 1001, dtype=torch.float64)
    similarity = kernel(torch.zeros(1001, 1, dtype=torch.float64), sq_dist[:, None], torch.zeros(1))[:, 0]
    for limit in (0.0, 0.2, 0.9, 1.0):
        reach = kernel.sq_reach(torch.full((1,), limit, dtype=torch.float64))
        assert (similarity[sq_dist >= reach] <= limit).all()
        assert (similarity[sq_dist < reach - 1e-9] > limit).all()
