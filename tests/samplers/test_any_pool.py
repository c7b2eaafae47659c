"""What every sampler, and K-means besides, keeps on any pool."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skal.registry import samplers
from skal.samplers import KMeansSampler
from skal.testing._pools import DRAWN_KINDS, drawn_pool

POOL_SAMPLERS = [entry for entry in samplers() if not entry.runs_rounds and entry.name != "VAALSampler"]
KINDS = st.sampled_from(DRAWN_KINDS)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.filterwarnings("ignore:scaling=None takes the features as they are")
@pytest.mark.slow
@pytest.mark.parametrize("entry", POOL_SAMPLERS, ids=lambda entry: entry.name)
@settings(max_examples=max(20, settings.default.max_examples * 2 // 3))
@given(
    kind=KINDS,
    n_rows=st.integers(2, 60),
    n_features=st.sampled_from([1, 2, 5, 40]),
    dtype=st.sampled_from([np.float64, np.float32, np.float16]),
    metric=st.sampled_from(["cosine", "euclidean"]),
    n_labeled=st.integers(0, 20),
    share=st.floats(0, 1),
    seed=SEEDS,
)
def test_exactly_the_budget_of_distinct_rows_that_are_not_labelled(
    entry, kind, n_rows, n_features, dtype, metric, n_labeled, share, seed
):
    rng = np.random.default_rng(seed)
    X = drawn_pool(kind, n_rows, n_features, rng)
    with np.errstate(over="ignore"):
        X = X if X.dtype == bool or not np.isfinite(X.astype(dtype)).all() else X.astype(dtype)
    labeled_idx = rng.permutation(n_rows)[: min(n_labeled, n_rows - 1)]
    budget = max(1, round(share * (n_rows - len(labeled_idx))))
    y = rng.integers(0, 3, size=n_rows)
    sampler = entry.make(budget=budget)
    known = sampler.get_params()
    options = {"metric": metric, "random_state": seed, "n_clusterings": 6}
    sampler.set_params(**{name: value for name, value in options.items() if name in known})
    picks = sampler.fit_select(X, y, labeled_indices=labeled_idx)
    assert picks.dtype == np.int64
    assert len(set(picks.tolist())) == len(picks) == budget
    assert set(picks.tolist()) <= set(range(n_rows)) - set(labeled_idx.tolist())
    again = sampler.fit_select(X, y, labeled_indices=labeled_idx)
    np.testing.assert_array_equal(again, picks)


def as_clustered(X, metric):
    """Rows in float64, L2-normalised under "cosine", and their scale."""
    rows = X.astype(np.float64)
    if metric == "cosine":
        rows = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(float).tiny)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(norms > 0, norms, 1.0)
    return rows


@given(
    kind=KINDS,
    n_rows=st.integers(2, 400),
    n_features=st.sampled_from([1, 2, 5, 40]),
    metric=st.sampled_from(["cosine", "euclidean"]),
    algorithm=st.sampled_from(["lloyd", "restricted"]),
    share=st.floats(0, 0.5),
    seed=SEEDS,
)
def test_what_k_means_says_of_its_clusters_is_so(kind, n_rows, n_features, metric, algorithm, share, seed):
    X = drawn_pool(kind, n_rows, n_features, np.random.default_rng(seed))
    budget = max(1, round(share * n_rows))
    sampler = KMeansSampler(budget, metric=metric, algorithm=algorithm, random_state=seed).fit(X)
    rows = as_clustered(X, metric)
    rounding = rows.size * (2.0**-50 * np.abs(rows).max()) ** 2  # of float64, in the sampler's rows and in these
    rows = rows - rows.mean(axis=0)
    members = [rows[sampler.labels_ == cluster] for cluster in np.unique(sampler.labels_)]
    lowest = sum(((each - each.mean(axis=0)) ** 2).sum() for each in members)  # with these labels
    spread = (rows**2).sum()
    assert sampler.inertia_ >= (1 - 1e-3) * lowest - 1e-9 * spread - rounding
    if algorithm == "restricted":  # its centers are the means; Lloyd's labels belong to the centers before
        assert sampler.inertia_ <= (1 + 1e-3) * lowest + 1e-6 * spread + rounding
    assert lowest <= (1 + 1e-6) * spread


@pytest.mark.slow
@settings(max_examples=max(3, settings.default.max_examples // 10))
@given(
    n_modes=st.integers(80, 200),
    n_rows=st.integers(2**14, 20_000),
    n_features=st.sampled_from([16, 40, 100]),
    noise=st.sampled_from([0.0, 1e-3, 0.1, 0.5, 1.0]),
    k_over_modes=st.sampled_from([0.8, 1.0, 1.3]),
    metric=st.sampled_from(["cosine", "euclidean"]),
    seed=SEEDS,
)
def test_k_means_ends_no_higher_than_lloyds(n_modes, n_rows, n_features, noise, k_over_modes, metric, seed):
    rng = np.random.default_rng(seed)
    mode = rng.integers(n_modes, size=n_rows)
    X = rng.normal(size=(n_modes, n_features))[mode] + noise * rng.normal(size=(len(mode), n_features))
    k = round(k_over_modes * n_modes)
    ours, lloyds = (
        KMeansSampler(k, metric=metric, algorithm=algorithm, random_state=seed).fit(X).inertia_
        for algorithm in ("auto", "lloyd")
    )
    assert ours <= 1.01 * lloyds + 1e-9 * (X**2).sum()
