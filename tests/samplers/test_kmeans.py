"""The paper's baseline."""

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import normalize

from skal import LowBudgetClassifier
from skal._core.restricted import _run as restricted_module
from skal.classifiers import CosineKNNClassifier
from skal.pool import _view as view_module
from skal.samplers import KMeansSampler
from skal.testing._pools import drawn_pool


def test_the_picks_are_the_members_nearest_their_centroids(digits):
    X = digits[0]
    sampler = KMeansSampler(budget=40, random_state=0).fit(X)
    unit = normalize(X).astype(np.float64)
    sq_dist = ((unit[:, None] - sampler.cluster_centers_[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(sampler.labels_, sq_dist.argmin(axis=1))
    assert sampler.inertia_ == pytest.approx(sq_dist.min(axis=1).sum(), rel=1e-6)
    sizes = np.bincount(sampler.labels_)
    largest_first = np.argsort(-sizes, kind="stable")
    expected = [np.flatnonzero(sampler.labels_ == c)[sq_dist[sampler.labels_ == c, c].argmin()] for c in largest_first]
    np.testing.assert_array_equal(sampler.selected_indices_, expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_inertia_is_as_low_as_scikit_learns(metric, digits):
    X = digits[0]
    rows = normalize(X) if metric == "cosine" else X
    ours = [KMeansSampler(budget=30, metric=metric, random_state=seed).fit(X).inertia_ for seed in range(10)]
    theirs = [KMeans(30, n_init=1, init="random", random_state=seed).fit(rows).inertia_ for seed in range(10)]
    assert np.median(ours) <= 1.01 * np.median(theirs)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_given_centroids_lead_where_scikit_learn_goes(metric, blobs):
    X, _ = blobs
    rows = normalize(X) if metric == "cosine" else X
    init = rows[:5].astype(np.float64)
    ours = KMeansSampler(budget=5, metric=metric, init=init, tol=0, max_iter=300).fit(X)
    theirs = KMeans(5, init=init, n_init=1, tol=0, algorithm="lloyd").fit(rows.astype(np.float64))
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-4)
    again = KMeansSampler(budget=5, metric=metric, init=lambda X, n_clusters, random_state: init, tol=0, max_iter=300)
    np.testing.assert_array_equal(again.set_params(n_init=1).fit(X).labels_, ours.labels_)


def make_cone(rng, spread, n_samples=3000):
    """Eighty groups of rows that all point nearly one way: the rows, their directions in float64, and their middle."""
    base = normalize(rng.normal(size=(1, 48)))
    structure = rng.normal(size=(80, 48))[rng.integers(0, 80, n_samples)] + 0.1 * rng.normal(size=(n_samples, 48))
    X = (base + spread * structure) * rng.uniform(0.5, 2, size=(n_samples, 1))
    return X, normalize(X), normalize(X).mean(axis=0)


@pytest.mark.parametrize("algorithm", ["lloyd", "restricted"])
@pytest.mark.parametrize("spread", [3e-4, 3e-6])
def test_a_tight_cone_under_cosine_is_clustered_as_its_differences_are(algorithm, spread, rng):
    X, unit, middle = make_cone(rng, spread)
    sampler = KMeansSampler(budget=80, algorithm=algorithm, random_state=0).fit(X)
    spread_out = KMeansSampler(budget=80, metric="euclidean", algorithm=algorithm, random_state=0)
    spread_out.fit((unit - middle) / spread)
    members = [unit[sampler.labels_ == cluster] for cluster in range(80)]
    inertia = sum(((rows - rows.mean(axis=0)) ** 2).sum() for rows in members if len(rows))
    assert inertia <= 1.02 * spread_out.inertia_ * spread**2
    assert sampler.inertia_ == pytest.approx(inertia, rel=1e-4)
    np.testing.assert_allclose(sampler.cluster_centers_[0], members[0].mean(axis=0), atol=1e-7)


def test_a_tight_cone_keeps_its_frame_for_other_pools(rng):
    X, unit, _ = make_cone(rng, 3e-5)
    half = len(X) // 2
    sampler = KMeansSampler(budget=100, algorithm="lloyd", random_state=0).fit(X[:half])
    labels, distances = sampler.assign(X[half:])
    n_clusters = len(sampler.cluster_centers_)
    centers = np.stack([unit[:half][sampler.labels_ == cluster].mean(axis=0) for cluster in range(n_clusters)])
    exact = np.sqrt(((unit[half:, None] - centers) ** 2).sum(axis=2))
    np.testing.assert_array_equal(labels, exact.argmin(axis=1))
    np.testing.assert_allclose(distances, exact.min(axis=1), rtol=1e-3)


def test_given_centroids_work_in_a_tight_cone(rng):
    X, unit, _ = make_cone(rng, 3e-5)
    ours = KMeansSampler(budget=5, init=unit[:5], tol=0, max_iter=300).fit(X)
    theirs = KMeans(5, init=unit[:5], n_init=1, tol=0, algorithm="lloyd", max_iter=300).fit(unit)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-4)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)


def test_a_sampler_that_joblib_maps_assigns_without_a_warning(blobs, tmp_path):
    X, _ = blobs
    sampler = KMeansSampler(budget=5, random_state=0).fit(X)
    joblib.dump(sampler, tmp_path / "sampler.joblib")
    mapped = joblib.load(tmp_path / "sampler.joblib", mmap_mode="r")
    np.testing.assert_array_equal(mapped.assign(X)[0], sampler.assign(X)[0])
    assert not mapped._centers.flags.writeable


def test_a_common_offset_costs_no_digits(blobs):
    X, _ = blobs
    X = np.rint(64 * X) / 64  # so that the shifted rows are exact
    near = KMeansSampler(budget=5, metric="euclidean", random_state=0).fit(X.astype(np.float64))
    far = KMeansSampler(budget=5, metric="euclidean", random_state=0).fit(X.astype(np.float64) + 1e9)
    np.testing.assert_array_equal(near.selected_indices_, far.selected_indices_)
    assert far.inertia_ == pytest.approx(near.inertia_, rel=1e-5)


def test_integers_keep_every_digit_under_an_offset(rng):
    X = rng.integers(0, 50, size=(500, 4))
    far = KMeansSampler(budget=9, metric="euclidean", random_state=0).fit(X + 10**9)
    near = KMeansSampler(budget=9, metric="euclidean", random_state=0).fit((X + 10**9).astype(np.float64))
    assert far.inertia_ == near.inertia_


@pytest.mark.parametrize("exponent", [-900, -83, 83, 500])
@pytest.mark.parametrize("algorithm", ["lloyd", "restricted"])
def test_a_scale_that_float32_cannot_square_changes_no_pick(exponent, algorithm, rng):
    X = rng.normal(size=(200, 16)) + 3
    plain, scaled = (
        KMeansSampler(70, metric="euclidean", algorithm=algorithm, random_state=0).fit(rows)
        for rows in (X, X * 2.0**exponent)
    )
    np.testing.assert_array_equal(plain.selected_indices_, scaled.selected_indices_)
    np.testing.assert_allclose(scaled.cluster_centers_ * 2.0**-exponent, plain.cluster_centers_, rtol=1e-5)
    if abs(exponent) < 500:  # beyond, its square is no float64
        assert scaled.inertia_ == pytest.approx(plain.inertia_ * 2.0 ** (2 * exponent), rel=1e-5)


def test_one_pick_in_each_group(blobs):
    X, y = blobs
    for seed in range(5):
        assert set(y[KMeansSampler(budget=3, random_state=seed, n_init=5).fit_select(X)]) == {0, 1, 2}


def test_scale_does_not_matter_to_cosine(blobs, rng):
    X, _ = blobs
    scaled = X * np.exp2(rng.integers(-9, 9, size=(len(X), 1))).astype(np.float32)
    picks = [KMeansSampler(budget=8, random_state=0).fit_select(rows) for rows in (X, scaled)]
    np.testing.assert_array_equal(*picks)


def test_skipping_labelled_rows_a_cluster_gives_its_nearest_that_is_not_labelled(blobs):
    X, _ = blobs
    first = KMeansSampler(budget=4, random_state=0).fit(X)
    later = KMeansSampler(budget=4, labeled_rows="skip", random_state=0)
    second = later.fit(X, labeled_indices=first.selected_indices_)
    np.testing.assert_array_equal(first.labels_, second.labels_)  # all rows are clustered, labelled or not
    unit = normalize(X).astype(np.float64)
    distance = np.linalg.norm(unit - second.cluster_centers_[second.labels_], axis=1)
    distance[first.selected_indices_] = np.inf
    for pick in second.selected_indices_:
        cluster = second.labels_ == second.labels_[pick]
        assert distance[pick] == distance[cluster].min()


def test_select_from_the_same_pool_gives_the_same_rows(digits):
    X_pool, X_other, *_ = digits
    sampler = KMeansSampler(budget=20, random_state=0).fit(X_pool)
    np.testing.assert_array_equal(sampler.select(X_pool), sampler.selected_indices_)
    assert len(set(sampler.select(X_other))) == 20


def test_more_runs_never_end_higher(digits):
    X = digits[0]
    one = KMeansSampler(budget=20, n_init=1, random_state=0).fit(X).inertia_
    assert KMeansSampler(budget=20, n_init=8, random_state=0).fit(X).inertia_ <= one


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metric": "cosin"}, "metric"),
        ({"init": "kmeans"}, "init"),
        ({"init": np.zeros((3, 2))}, r"shape \(3, 2\)"),
        ({"init": np.full((10, 6), np.nan)}, "NaN"),
        ({"n_init": 0}, "n_init"),
        ({"max_iter": 0}, "max_iter"),
        ({"tol": -1}, "tol"),
    ],
)
def test_bad_parameters(parameters, message, blobs):
    with pytest.raises(ValueError, match=message):
        KMeansSampler(**parameters).fit(blobs[0])


def test_verbose_prints_each_iteration(blobs, capsys):
    sampler = KMeansSampler(budget=5, random_state=0, verbose=1).fit(blobs[0])
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == sampler.n_iter_
    assert printed[0].startswith("[KMeansSampler] lloyd 1: inertia ")


def test_scikit_learns_callbacks_see_each_iteration(blobs):
    pytest.importorskip("sklearn.callback")

    class Recorder:
        def __init__(self):
            self.events = []

        def setup(self, estimator, context):
            self.events.append("setup")

        def teardown(self, estimator, context):
            self.events.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.events.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context):
            self.events.append(f"end {context.task_name}")

    recorder = Recorder()
    sampler = KMeansSampler(budget=5, random_state=0)
    sampler.set_callbacks(recorder)
    sampler.fit(blobs[0])
    assert recorder.events[:2] == ["setup", "begin fit"]
    assert recorder.events[-2:] == ["end fit", "teardown"]
    assert recorder.events.count("end lloyd") == sampler.n_iter_


def test_auto_takes_restricted_where_it_pays(digits, rng):
    def resolved(n_samples, n_features, budget, is_later=False):
        return KMeansSampler(budget)._resolve_algorithm(n_samples, n_features, budget, is_later=is_later)

    assert resolved(1200, 512, 50) == "lloyd"
    assert resolved(1_000_000, 512, 7) == "lloyd"
    assert resolved(50_000, 8, 100) == "lloyd"
    assert resolved(50_000, 512, 10) == "restricted"
    assert resolved(50_000, 512, 50, is_later=True) == "lloyd"
    assert resolved(50_000, 512, 100, is_later=True) == "restricted"
    few, many = rng.normal(size=(1000, 16)), rng.normal(size=(9000, 16)).astype(np.float32)
    np.testing.assert_array_equal(
        KMeansSampler(120, random_state=0).fit_select(many),
        KMeansSampler(120, random_state=0, algorithm="restricted").fit_select(many),
    )
    np.testing.assert_array_equal(
        KMeansSampler(120, random_state=0).fit_select(few),
        KMeansSampler(120, random_state=0, algorithm="lloyd").fit_select(few),
    )


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_restricted_keeps_the_contract_on_nasty_pools(metric, rng):
    pools = {
        "plain": rng.normal(size=(300, 6)),
        "duplicates": np.ones((300, 6)),
        "zero rows": rng.normal(size=(300, 6)) * (np.arange(300) % 2)[:, None],
        "far away": rng.normal(size=(300, 6)) + 1e7,
        "float16": rng.normal(size=(300, 6)).astype(np.float16),
        "one column": rng.normal(size=(300, 1)),
    }
    for name, X in pools.items():
        for budget in (1, 80, 290):
            sampler = KMeansSampler(budget, metric=metric, algorithm="restricted", random_state=0)
            picks = sampler.fit_select(X, labeled_indices=range(10))
            assert len(set(picks)) == budget, name
            assert picks.min() >= 10, name


def test_restricted_picks_are_the_nearest_members(digits):
    sampler = KMeansSampler(90, algorithm="restricted", random_state=0).fit(digits[0])
    unit = normalize(digits[0]).astype(np.float64)
    distance = np.linalg.norm(unit - sampler.cluster_centers_[sampler.labels_], axis=1)
    assert sampler.inertia_ == pytest.approx((distance**2).sum(), rel=1e-5)
    for pick in sampler.selected_indices_:
        assert distance[pick] == pytest.approx(distance[sampler.labels_ == sampler.labels_[pick]].min(), rel=1e-5)


def test_restricted_picks_are_the_same_under_any_memory_budget(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(restricted_module, "_TILE_ELEMENTS", 1 << 12)  # several tiles
    np.save(tmp_path / "pool.npy", rng.normal(size=(9000, 20)).astype(np.float16))
    reference = None
    for working_memory in (1e-6, 0.2, 1024):
        with config_context(working_memory=working_memory):
            mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
            picks = KMeansSampler(120, random_state=0).fit_select(mapped)
        reference = picks if reference is None else reference
        np.testing.assert_array_equal(picks, reference)


def test_the_projection_is_paid_for_once_over_budgets(monkeypatch, rng):
    X, n_sketches = rng.normal(size=(9000, 12)).astype(np.float32), []
    original = view_module.sketch_pool
    monkeypatch.setattr(view_module, "sketch_pool", lambda *args: n_sketches.append(1) or original(*args))
    search = GridSearchCV(
        LowBudgetClassifier(KMeansSampler(algorithm="restricted"), CosineKNNClassifier(), random_state=0),
        {"sampler__budget": [70, 90, 110]},
        cv=2,
        refit=False,
    )
    search.fit(X, np.arange(9000) % 2)
    assert len(n_sketches) == 2  # one a fold, not one a fold and budget
    X[0, 0] += 1
    KMeansSampler(70, algorithm="restricted").fit(X)
    KMeansSampler(70, algorithm="restricted", metric="euclidean").fit(X)
    assert len(n_sketches) == 4  # other content, other metric


def test_restricted_passes_are_limited_and_reported(digits, capsys):
    sampler = KMeansSampler(90, algorithm="restricted", max_iter=7, tol=0, random_state=0, verbose=1).fit(digits[0])
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == sampler.n_iter_ <= 7
    assert printed[0].startswith("[KMeansSampler] restricted 1: inertia ")


@pytest.mark.parametrize("seed", [2, 1151])
def test_restricted_works_where_float32_finds_no_principal_directions(seed):
    X = drawn_pool("signs", 2, 40, np.random.default_rng(seed))
    sampler = KMeansSampler(1, algorithm="restricted", random_state=seed).fit(X)
    assert sampler.inertia_ == pytest.approx(((normalize(X) - normalize(X).mean(axis=0)) ** 2).sum(), rel=1e-5)
