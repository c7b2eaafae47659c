"""Exact neighbours, the same from every backend."""

import sys

import numpy as np
import pytest
import torch

from skal._core.blocks import Blocks
from skal._core.neighbors import top_k

CPU = torch.device("cpu")


def brute_force(queries, base, k):
    similarity = queries.astype(np.float64) @ base.astype(np.float64).T
    indices = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, indices, axis=1), indices


def unit(X):
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def search(queries, base, k, backend):
    parts = list(top_k(Blocks(queries, CPU), torch.from_numpy(base), k, backend=backend))
    return torch.cat([p[1] for p in parts]).numpy(), torch.cat([p[2] for p in parts]).numpy()


@pytest.mark.parametrize("backend", ["torch", "faiss"])
@pytest.mark.parametrize(("m", "k"), [(1, 1), (50, 1), (50, 7), (50, 50), (9000, 3)])
def test_against_brute_force(backend, m, k, rng):
    queries, base = unit(rng.normal(size=(300, 9))), unit(rng.normal(size=(m, 9)))
    similarity, indices = search(queries, base, k, backend)
    expected_similarity, expected = brute_force(queries, base, k)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(similarity, expected_similarity, atol=1e-12)


@pytest.mark.parametrize("backend", ["torch", "faiss"])
def test_copies_in_the_base_are_ranked_by_lowest_index(backend, rng):
    distinct = unit(rng.normal(size=(5, 9)))
    which = rng.integers(5, size=400)
    queries = unit(rng.normal(size=(60, 9)))
    _, indices = search(queries, distinct[which], 3, backend)
    nearest = brute_force(queries, distinct, 1)[1][:, 0]
    expected = np.stack([np.flatnonzero(which == nearest[i])[:3] for i in range(60)])
    np.testing.assert_array_equal(indices, expected)


def test_backends_agree_where_rounding_alone_decides(rng):
    base = unit(np.ones((200, 64)) + 1e-7 * rng.normal(size=(200, 64)))
    queries = unit(rng.normal(size=(50, 64)) + 1)
    for backend_pair in (("torch", "faiss"), ("auto", "faiss")):
        left, right = (search(queries, base, 5, backend) for backend in backend_pair)
        np.testing.assert_array_equal(left[1], right[1])
        np.testing.assert_array_equal(left[0], right[0])


def test_zero_queries_take_the_lowest_rows(rng):
    _, indices = search(np.zeros((3, 9), dtype=np.float32), unit(rng.normal(size=(50, 9))), 2, "torch")
    np.testing.assert_array_equal(indices, [[0, 1]] * 3)


def test_faiss_asked_for_by_name_and_missing(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install skal\[cpu\]"):
        search(np.zeros((1, 3), dtype=np.float32), np.zeros((1, 3), dtype=np.float32), 1, "faiss")


@pytest.mark.gpu
def test_the_same_neighbours_on_a_gpu(rng):
    queries, base = unit(rng.normal(size=(300, 64))), unit(rng.normal(size=(900, 64)))
    cuda = torch.device("cuda")
    parts = list(top_k(Blocks(queries, cuda), torch.from_numpy(base).to(cuda), 5, backend="torch"))
    np.testing.assert_array_equal(torch.cat([p[2] for p in parts]).cpu(), brute_force(queries, base, 5)[1])
