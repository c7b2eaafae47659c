"""Core-set against the sequential greedy in plain numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer

from skal._core.greedy import _k_center, _sq_dist
from skal.samplers import CoreSetSampler
from skal.testing._pools import DRAWN_KINDS, drawn_pool


def as_defined(X, metric):
    """Rows as Core-set is defined on them: as given, in float64, L2-normalised there under "cosine"."""
    rows = np.ascontiguousarray(X, dtype=np.float64)
    if metric == "euclidean":
        return rows
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)


def sequential_greedy(rows, budget, labeled=()):
    """The oracle: one pick at a time, float64 differences, ties to the lowest row."""
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    picks = []
    if len(labeled) == 0:
        total = np.cumsum(rows, axis=0)[-1]
        picks = [int(((len(rows) * rows - total) ** 2).sum(axis=1).argmin())]
    centers = [*labeled, *picks]
    sq_dist = ((rows[:, None] - rows[centers]) ** 2).sum(axis=2).min(axis=1)
    sq_dist[centers] = -1
    while len(picks) < budget:
        farthest = int(sq_dist.argmax())
        picks.append(farthest)
        sq_dist = np.minimum(sq_dist, ((rows - rows[farthest]) ** 2).sum(axis=1))
        sq_dist[farthest] = -1
    return picks, np.sqrt(max(sq_dist.max(), 0))


def assert_sequential(X, metric, budget, labeled=()):
    sampler = CoreSetSampler(budget, metric=metric).fit(X, labeled_indices=labeled)
    picks, radius = sequential_greedy(as_defined(X, metric), budget, labeled)
    np.testing.assert_array_equal(sampler.selected_indices_, picks)
    assert sampler.radius_ == radius


N_ROWS = 160  # more than twice as many as distances are computed ahead for
INTEGER_POOLS = {
    "few values, many ties": lambda rng: rng.integers(0, 3, size=(N_ROWS, 4)),
    "many values": lambda rng: rng.integers(-200, 200, size=(N_ROWS, 6)),
    "three distinct rows": lambda rng: rng.integers(-9, 9, size=(3, 5))[rng.integers(3, size=N_ROWS)],
    "all the same": lambda rng: np.full((N_ROWS, 2), 7),
    "constant columns and an offset": lambda rng: rng.integers(0, 9, size=(N_ROWS, 3)) * [0, 1, 2] + 1_000_003,
    "zero rows": lambda rng: rng.integers(0, 9, size=(N_ROWS, 3)) * rng.integers(0, 2, size=(N_ROWS, 1)),
    "a line": lambda rng: np.arange(N_ROWS)[:, None],
}


@pytest.mark.parametrize("n_labeled", [0, 1, 25])
@pytest.mark.parametrize("candidates", [pytest.param(1, marks=pytest.mark.slow), 2, 7, 1024])
@pytest.mark.parametrize("kind", INTEGER_POOLS)
def test_exactly_the_sequential_greedy_on_integers(kind, candidates, n_labeled, rng, monkeypatch):
    monkeypatch.setattr(_k_center, "_N_CANDIDATES", candidates)
    X = INTEGER_POOLS[kind](rng)
    labeled = rng.permutation(N_ROWS)[:n_labeled]
    for budget in (1, 50, N_ROWS - n_labeled) if candidates > 2 else (1, 50):  # by one or two they take long
        assert_sequential(X, "euclidean", budget, labeled)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_sequential_greedy_on_real_rows(metric, digits):
    X = digits[0]
    picks, _ = sequential_greedy(as_defined(X, metric), 150)
    assert_sequential(X, metric, 150)
    assert_sequential(X, metric, 110, picks[:40])


def tight_groups(rng):
    return rng.normal(size=(5, 16))[np.repeat(np.arange(5), 100)] + 1e-5 * rng.normal(size=(500, 16))


def test_the_sequential_greedy_within_tight_groups(rng):
    """From the sixth pick on, all rows left are nearer a center than float32 products can see."""
    for metric in ("cosine", "euclidean"):
        assert_sequential(tight_groups(rng), metric, 200)


def test_the_sequential_greedy_on_a_table_that_cosine_flattens():
    X = load_breast_cancer().data
    assert_sequential(X, "cosine", 500)


@pytest.mark.parametrize("kind", DRAWN_KINDS)
@given(
    n_rows=st.integers(1, 80),
    n_features=st.sampled_from([1, 2, 5, 40]),
    dtype=st.sampled_from([np.float64, np.float32]),
    metric=st.sampled_from(["cosine", "euclidean"]),
    n_labeled=st.integers(0, 5),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_sequential_greedy_on_any_pool(kind, n_rows, n_features, dtype, metric, n_labeled, share, seed):
    rng = np.random.default_rng(seed)
    X = drawn_pool(kind, n_rows, n_features, rng)
    X = X if X.dtype == bool else X.astype(dtype)
    labeled = rng.permutation(n_rows)[: min(n_labeled, n_rows - 1)]
    n_left = n_rows - len(labeled)
    assert_sequential(X, metric, max(1, round(share * n_left)), labeled)


@pytest.mark.parametrize("scale", [1e20, 1e-23, 1e155, 1e-160])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_scale_of_the_rows_changes_nothing(scale, metric, rng):
    exponent = np.frexp(scale)[1]
    X = rng.normal(size=(80, 4))
    picks, radius = sequential_greedy(as_defined(X, metric), 40)
    sampler = CoreSetSampler(40, metric=metric).fit(np.ldexp(X, exponent))
    np.testing.assert_array_equal(sampler.selected_indices_, picks)
    assert sampler.radius_ == (radius if metric == "cosine" else np.ldexp(radius, exponent))


def test_the_number_of_threads_changes_nothing(rng):
    """Products differ in their last digits, and near ties are everywhere."""
    pools = [rng.normal(size=(3000, 300)).astype(np.float32), tight_groups(rng), rng.random((2500, 1))]
    picks = {}
    for n_threads in (1, 2, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            picks[n_threads] = [CoreSetSampler(300).fit_select(X).tolist() for X in pools]
        finally:
            torch.set_num_threads(before)
    assert picks[1] == picks[2] == picks[3]


def test_a_copy_of_a_pick_is_no_distance_away(rng):
    X = rng.normal(size=(30, 64)).astype(np.float32)[rng.integers(30, size=N_ROWS)]
    for metric in ("cosine", "euclidean"):
        sampler = CoreSetSampler(60, metric=metric).fit(X)
        assert sampler.radius_ == 0
        assert (np.diff(sampler.selected_indices_[-20:]) > 0).all()  # copies only, from the lowest row on


def nearly_tied_rows():
    """Twelve rows in orthogonal directions whose distances from the first row float32 products cannot rank."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(64, 64)))[0][:12]
    far = directions * (100 + 2e-6 * rng.permutation(12))[:, None]
    return np.concatenate([np.zeros((1, 64)), far]).astype(np.float32)


def test_float64_decides_what_float32_cannot_tell_apart():
    X = nearly_tied_rows()
    expected, _ = sequential_greedy(X, 12, labeled=[0])
    sampler = CoreSetSampler(12, metric="euclidean")
    np.testing.assert_array_equal(sampler.fit_select(X, labeled_indices=[0]), expected)


def test_many_centers_are_compared_in_chunks(monkeypatch, rng):
    X = rng.integers(0, 50, size=(300, 3))
    expected = CoreSetSampler(100, metric="euclidean").fit_select(X)
    monkeypatch.setattr(_sq_dist, "_CENTERS_AT_ONCE", 3)
    np.testing.assert_array_equal(CoreSetSampler(100, metric="euclidean").fit_select(X), expected)


def test_smaller_budgets_are_prefixes(rng):
    X = rng.normal(size=(200, 5))
    largest = CoreSetSampler(200).fit_select(X)
    for budget in (1, 30, 199):
        np.testing.assert_array_equal(CoreSetSampler(budget).fit_select(X), largest[:budget])


def test_a_common_offset_costs_no_digits(rng):
    X = np.rint(rng.normal(size=(300, 4)) * 1024) / 1024  # so that the shifted rows are exact
    picks, _ = sequential_greedy(X, 60)
    np.testing.assert_array_equal(CoreSetSampler(60, metric="euclidean").fit_select(X + 2.0**30), picks)


def test_entries_whose_squares_overflow_still_give_a_selection(rng):
    X = rng.normal(size=(60, 3)) * np.logspace(-30, 30, 60)[:, None]
    assert len(set(CoreSetSampler(60, metric="euclidean").fit_select(X))) == 60


def test_a_random_first_row(rng):
    X = rng.normal(size=(50, 3))
    firsts = {int(CoreSetSampler(1, init="random", random_state=seed).fit_select(X)[0]) for seed in range(60)}
    assert len(firsts) > 25
    picks = CoreSetSampler(20, init="random", random_state=0).fit_select(X)
    rest, _ = sequential_greedy(as_defined(X, "cosine"), 19, picks[:1])
    np.testing.assert_array_equal(picks[1:], rest)


def test_verbose_prints_each_batch(rng, capsys):
    CoreSetSampler(5, verbose=1).fit(rng.normal(size=(50, 3)))
    assert capsys.readouterr().out.startswith("[CoreSetSampler] batch ")
