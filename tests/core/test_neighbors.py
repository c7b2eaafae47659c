"""Exact neighbours, the same from every backend."""

import sys
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal._core import neighbors
from skal._core.blocks import Blocks
from skal._core.exact_products import exact_products
from skal._core.neighbors import NeighborBase, top_k

CPU = torch.device("cpu")


def brute_force(queries, base, k):
    similarity = queries.astype(np.float64) @ base.astype(np.float64).T
    indices = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, indices, axis=1), indices


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def search(queries, base, k, backend):
    prepared = NeighborBase.of(torch.from_numpy(base).double())
    parts = list(top_k(Blocks(queries, CPU, dtype=torch.float64), prepared, k, backend=backend))
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


@given(
    kinds=st.lists(st.sampled_from(["normal", "integers", "zeros", "copies", "cone"]), min_size=1, max_size=4),
    d=st.sampled_from([1, 2, 9, 70]),
    k=st.integers(1, 12),
    backend=st.sampled_from(["torch", "faiss"]),
    rows_for_one_candidate=st.sampled_from([0, 3, 64]),
    seed=st.integers(0, 2**16),
)
def test_any_base_and_queries_against_brute_force(kinds, d, k, backend, rows_for_one_candidate, seed):
    rng = np.random.default_rng(seed)
    base = np.concatenate([unit_or_zero(make_rows(kind, 30, d, rng)) for kind in kinds])
    queries = np.concatenate([unit_or_zero(make_rows(kind, 5, d, rng)) for kind in kinds] + [base[::7]])
    with mock.patch.object(neighbors, "_ROWS_FOR_ONE_CANDIDATE", rows_for_one_candidate):
        similarity, indices = search(queries, base, k, backend)
    expected_similarity, expected = brute_force(queries, base, k)
    np.testing.assert_allclose(similarity, expected_similarity, rtol=0, atol=2e-14)
    differs = indices != expected  # rounding alone may tell apart what numpy's order of summation ties, or the reverse
    found = (queries[:, None] * base[indices]).sum(axis=2)
    np.testing.assert_allclose(found[differs], expected_similarity[differs], rtol=0, atol=2e-14)
    for row, row_similarity in zip(indices, similarity, strict=True):
        assert len(set(row)) == k
        in_order = np.lexsort((row, -row_similarity))
        np.testing.assert_array_equal(in_order, np.arange(k))
        for neighbor in row:  # of copies, the first ones
            copies = np.flatnonzero((base == base[neighbor]).all(axis=1))
            assert set(copies[copies < neighbor]) <= set(row)


def make_rows(kind, n, d, rng):
    if kind == "integers":
        return rng.integers(-2, 3, size=(n, d)).astype(float)
    rows = rng.normal(size=(n, d))
    if kind == "zeros":
        rows[rng.random(n) < 0.5] = 0
    elif kind == "copies":
        rows = rows[rng.integers(3, size=n)]
    elif kind == "cone":
        rows = 1 + 1e-5 * rows
    return rows


def unit_or_zero(X):
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(norms > 0, norms, 1)


@pytest.mark.parametrize("backend", ["torch", "faiss"])
@pytest.mark.parametrize("kind", ["zero queries", "copies"])
def test_ties_take_bounded_work(kind, backend, monkeypatch, rng):
    n_products = []

    def counted(rows, others):
        products = exact_products(rows, others)
        n_products.append(products.numel())
        return products

    monkeypatch.setattr(neighbors, "exact_products", counted)
    base = unit(rng.normal(size=(5000, 9)))[rng.integers(5, size=5000) if kind == "copies" else slice(None)]
    queries = unit(rng.normal(size=(40, 9)))
    if kind == "zero queries":
        queries[:] = 0
    _, indices = search(queries, base, 2, backend)
    assert sum(n_products) <= (0 if kind == "zero queries" else 40 * 5000)
    np.testing.assert_array_equal(indices, brute_force(queries, base, 2)[1])


def test_faiss_asked_for_by_name_and_missing(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r'pip install "skal-al\[faiss-cpu\]"'):
        search(np.zeros((1, 3), dtype=np.float32), np.zeros((1, 3), dtype=np.float32), 1, "faiss")


@pytest.mark.gpu
def test_the_same_neighbours_on_a_gpu(rng):
    queries, base = unit(rng.normal(size=(300, 64))), unit(rng.normal(size=(900, 64)))
    cuda = torch.device("cuda")
    prepared = NeighborBase.of(torch.from_numpy(base)).to(cuda)
    parts = list(top_k(Blocks(queries, cuda, dtype=torch.float64), prepared, 5, backend="torch"))
    np.testing.assert_array_equal(torch.cat([p[2] for p in parts]).cpu(), brute_force(queries, base, 5)[1])
