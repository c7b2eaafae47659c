"""Core-set against the sequential greedy in plain numpy."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from skal._core.greedy import _k_center, _sq_dist
from skal.samplers import CoreSetSampler


def sequential_greedy(rows, budget, labeled=()):
    """The oracle: one pick at a time, float64 differences, ties to the lowest row."""
    rows = np.asarray(rows, dtype=np.float64)
    picks = []
    if len(labeled) == 0:
        picks = [int(((len(rows) * rows - rows.sum(axis=0)) ** 2).sum(axis=1).argmin())]
    centers = [*labeled, *picks]
    sq_dist = ((rows[:, None] - rows[centers]) ** 2).sum(axis=2).min(axis=1)
    sq_dist[centers] = -1
    while len(picks) < budget:
        farthest = int(sq_dist.argmax())
        picks.append(farthest)
        sq_dist = np.minimum(sq_dist, ((rows - rows[farthest]) ** 2).sum(axis=1))
        sq_dist[farthest] = -1
    return picks, np.sqrt(max(sq_dist.max(), 0))


INTEGER_POOLS = {
    "few values, many ties": lambda rng: rng.integers(0, 3, size=(400, 4)),
    "many values": lambda rng: rng.integers(-200, 200, size=(400, 6)),
    "three distinct rows": lambda rng: rng.integers(-9, 9, size=(3, 5))[rng.integers(3, size=400)],
    "all the same": lambda rng: np.full((400, 2), 7),
    "constant columns and an offset": lambda rng: rng.integers(0, 9, size=(400, 3)) * [0, 1, 2] + 1_000_003,
    "zero rows": lambda rng: rng.integers(0, 9, size=(400, 3)) * rng.integers(0, 2, size=(400, 1)),
    "a line": lambda rng: np.arange(400)[:, None],
}


@pytest.mark.parametrize("n_labeled", [0, 1, 60])
@pytest.mark.parametrize("candidates", [1, 2, 7, 1024])
@pytest.mark.parametrize("kind", INTEGER_POOLS)
def test_exactly_the_sequential_greedy_on_integers(kind, candidates, n_labeled, rng, monkeypatch):
    monkeypatch.setattr(_k_center, "_N_CANDIDATES", candidates)
    X = INTEGER_POOLS[kind](rng)
    labeled = rng.permutation(400)[:n_labeled]
    for budget in (1, 50, 400 - n_labeled):
        sampler = CoreSetSampler(budget, metric="euclidean").fit(X, labeled_indices=labeled)
        picks, radius = sequential_greedy(X, budget, labeled)
        np.testing.assert_array_equal(sampler.selected_indices_, picks)
        assert sampler.radius_ == pytest.approx(radius, rel=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_sequential_greedy_on_real_rows(metric, digits):
    X = digits[0]
    rows = normalize(X.astype(np.float64)) if metric == "cosine" else X
    sampler = CoreSetSampler(150, metric=metric).fit(X)
    picks, radius = sequential_greedy(rows, 150)
    np.testing.assert_array_equal(sampler.selected_indices_, picks)
    assert sampler.radius_ == pytest.approx(radius, rel=1e-5)
    labeled = sampler.selected_indices_[:40]
    more = CoreSetSampler(110, metric=metric).fit_select(X, labeled_indices=labeled)
    np.testing.assert_array_equal(more, picks[40:])


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
    rest, _ = sequential_greedy(normalize(X), 19, picks[:1])
    np.testing.assert_array_equal(picks[1:], rest)


def test_verbose_prints_each_batch(rng, capsys):
    CoreSetSampler(5, verbose=1).fit(rng.normal(size=(50, 3)))
    assert capsys.readouterr().out.startswith("[CoreSetSampler] batch ")
