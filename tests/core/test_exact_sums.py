"""Sums that do not depend on the order of addition."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal._core.blocks import Blocks
from skal._core.cluster_sums import ClusterSums, SumsOfMoves
from skal._core.exact_sums import round_to, steps_for

CPU = torch.device("cpu")


def pool_of(seed, n_rows, kind):
    """Rows as they come: unit rows, rows of one scale, and ones of which a few are a million times longer."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 5)).astype(np.float32)
    if kind == "unit":
        return X / np.linalg.norm(X, axis=1, keepdims=True)
    if kind == "tails":
        X[rng.integers(n_rows, size=3)] *= 1e6
    return X * np.float32(rng.choice([1e-4, 1.0, 1e4]))


def sums_of(X, labels, steps, parts):
    sums = ClusterSums(4, X.shape[1], CPU, steps=steps)
    for rows in parts:
        part = ClusterSums(4, X.shape[1], CPU, steps=steps)
        part.add(torch.from_numpy(X[rows]), torch.from_numpy(labels[rows]))
        sums = sums.plus(part)
    return sums


@given(st.integers(0, 10**6), st.integers(1, 300), st.sampled_from(["unit", "scaled", "tails"]), st.integers(1, 9))
def test_any_order_and_any_parts_give_the_same_bits(seed, n_rows, kind, n_parts):
    X, rng = pool_of(seed, n_rows, kind), np.random.default_rng(seed)
    labels = rng.integers(4, size=n_rows)
    steps = steps_for(0.5 * torch.from_numpy(X).square().sum(dim=1), X.shape[1])
    straight = sums_of(X, labels, steps, [np.arange(n_rows)])
    shuffled = sums_of(X, labels, steps, np.array_split(rng.permutation(n_rows), n_parts))
    np.testing.assert_array_equal(straight.sums, shuffled.sums)
    np.testing.assert_array_equal(straight.counts, shuffled.counts)
    for label in range(4):
        exact = [math.fsum(column) for column in X[labels == label].astype(np.float64).T]
        np.testing.assert_allclose(straight.sums[label], exact, rtol=0, atol=n_rows * steps[-1])


@given(st.integers(0, 10**6), st.sampled_from(["unit", "tails"]), st.integers(1, 5))
def test_moves_in_any_parts_give_the_sums_of_the_labels_after_them(seed, kind, n_parts):
    X, rng = pool_of(seed, 200, kind), np.random.default_rng(seed)
    labels, steps = rng.integers(40, size=200), Blocks(X, CPU).sum_steps()
    moved = np.sort(rng.choice(200, size=30, replace=False))
    after = labels.copy()
    after[moved] = rng.integers(40, size=30)
    before, expected = (ClusterSums(40, 5, CPU, steps=steps) for _ in range(2))
    before.add(torch.from_numpy(X), torch.from_numpy(labels))
    expected.add(torch.from_numpy(X), torch.from_numpy(after))
    changes = []
    for part in np.array_split(rng.permutation(moved), n_parts):
        rows, sources, goals = (torch.from_numpy(each[part]) for each in (X, labels, after))
        change = SumsOfMoves.between(sources, goals, 40, 5, steps)
        change.sums.add_few(rows, (change.places(sources), -1), (change.places(goals), 1))
        changes.append(pickle.loads(pickle.dumps(change)))
    total, *others = changes
    for other in others:
        total += other
    before.put(total.touched, before.changed(total.touched, total.sums))
    assert set(total.touched.tolist()) == {*labels[moved].tolist(), *after[moved].tolist()}
    np.testing.assert_array_equal(before.sums, expected.sums)
    np.testing.assert_array_equal(before.counts, expected.counts)


@pytest.mark.parametrize("kind", ["unit", "scaled", "tails"])
def test_rounding_is_below_that_of_float32(kind):
    X = pool_of(0, 5000, kind)
    steps = Blocks(X, CPU).sum_steps()
    assert len(steps) == (2 if kind == "tails" else 1)
    left_over = torch.from_numpy(X).double()
    for step in steps:
        left_over -= round_to(step, left_over.clone())
    ordinary = np.median(np.linalg.norm(X, axis=1)) / X.shape[1] ** 0.5
    assert float(left_over.abs().max()) <= steps[-1] / 2 <= ordinary * 2.0**-20


def test_rows_that_go_where_they_came_from_leave_no_trace(rng):
    X = torch.from_numpy(pool_of(0, 1000, "scaled"))
    labels = torch.from_numpy(rng.integers(4, size=1000))
    sums = ClusterSums(4, 5, CPU, steps=Blocks(X, CPU).sum_steps())
    sums.add(X, labels)
    before = sums.sums.clone()
    for sign in (-1, 1):
        sums.add(X[200:700], labels[200:700], sign=sign)
    np.testing.assert_array_equal(sums.sums, before)


def test_a_pool_of_zeros_has_steps():
    steps = Blocks(np.zeros((3, 2), dtype=np.float32), CPU).sum_steps()
    np.testing.assert_array_equal(sums_of(np.zeros((3, 2), np.float32), np.zeros(3, int), steps, [[0, 1, 2]]).sums, 0.0)


def test_sums_travel_as_the_clusters_that_were_touched(rng):
    X = torch.from_numpy(rng.normal(size=(50, 64)).astype(np.float32))
    sums = ClusterSums(1000, 64, CPU, steps=Blocks(X, CPU).sum_steps())
    sums.add(X, torch.from_numpy(rng.integers(3, size=50)))
    sums.add(X[:1], torch.tensor([7]))
    sums.add(X[1:2], torch.tensor([7]), sign=-1)  # no row more, and other sums
    content = pickle.dumps(sums)
    again = pickle.loads(content)
    assert len(content) < 10 * 64 * 8
    np.testing.assert_array_equal(again.sums, sums.sums)
    np.testing.assert_array_equal(again.counts, sums.counts)
    assert again.sums[7].any()
    assert again.counts[7] == 0


@pytest.mark.parametrize(
    ("steps", "dtypes"),
    [
        ((2.0**-20,), [torch.int32]),
        ((2.0**-40,), [torch.float64]),
        ((2.0**-20, 2.0**-45), [torch.int32, torch.int32]),
        ((), [torch.float64]),
    ],
    ids=["few_steps", "many_steps", "coarse_and_fine", "none"],
)
def test_sums_travel_as_whole_numbers_of_steps_where_these_are_few(steps, dtypes):
    X = torch.from_numpy(pool_of(0, 400, "unit"))
    sums = ClusterSums(4, 5, CPU, steps=steps)
    sums.add(X, torch.arange(400) % 3, sign=-1)
    assert [part.dtype for part in sums.__getstate__()["_parts"]] == dtypes
    sent = pickle.loads(pickle.dumps(sums))
    assert torch.equal(sent.counts, sums.counts)
    for part, expected in zip(sent._parts, sums._parts, strict=True):
        assert part.dtype == torch.float64
        assert torch.equal(part, expected)
