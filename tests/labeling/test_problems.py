"""Problems found before a label is paid for."""

import shutil

import numpy as np
import pytest
from PIL import Image

from skal.evaluation import coverage_curve
from skal.labeling import RULES, LabelingProject
from skal.labeling._duplicates import Neighborhood


@pytest.fixture
def spoiled(photos, rng):
    """The photos, and one of each kind that a label would be wasted on."""
    for path in photos.rglob("*.png"):
        Image.open(path).resize((80, 80), Image.Resampling.NEAREST).save(path)
    first = Image.open(photos / "bild ü 000.png")
    first.save(photos / "same.bmp")
    noisy = np.clip(np.asarray(first).astype(int) + rng.integers(-1, 2, (80, 80, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(photos / "near.png")
    Image.fromarray(rng.integers(0, 40, (80, 80, 3), dtype=np.uint8)).save(photos / "dark.png")
    Image.new("RGB", (80, 80), (253, 252, 251)).save(photos / "light.png")
    Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(photos / "tiny.png")
    Image.fromarray(rng.integers(0, 255, (900, 900, 3), dtype=np.uint8)).save(photos / "huge.png")
    (photos / "broken.png").write_bytes(b"")
    return photos


def test_each_kind_is_found_and_nothing_else(spoiled, extractor, tmp_path):
    with LabelingProject.create(tmp_path / "p", spoiled) as project:
        before = project.problems()
        assert not before.is_embedded
        assert before.near_duplicates == before.outlying == ()
        with pytest.warns(UserWarning, match="1 of 67 images"):
            project.embed(extractor)
        problems = project.problems()
    names = {kind: [project.images[row].path for row in rows] for kind, rows in problems.by_kind().items()}
    assert names.keys() == RULES.keys()
    (reason,) = problems.unreadable.values()
    assert reason.endswith("broken.png: not an image, or of a kind that Pillow cannot read")
    assert names["unreadable"] == ["broken.png"]
    assert names["same pictures"] == ["same.bmp"]
    assert names["near duplicates"] == ["near.png", "same.bmp"]
    assert names["dark"] == ["dark.png"]
    assert names["light"] == ["light.png"]
    assert names["tiny"] == ["tiny.png"]
    assert names["odd size"] == ["huge.png", "tiny.png"]
    assert {"dark.png", "light.png"} <= set(names["outlying"][:4])  # the farthest first
    assert len(names["outlying"]) <= 6
    assert problems.counts()["near duplicates"] == 2
    assert len(list(spoiled.rglob("*.*"))) == 67


def test_one_label_for_a_group_of_near_duplicates(spoiled, extractor, tmp_path):
    (spoiled / "broken.png").unlink()
    with LabelingProject.create(tmp_path / "p", spoiled) as project:
        project.embed(extractor)
        picked = project.select(64)
        of_group = {project.row_of(name) for name in ("bild ü 000.png", "same.bmp", "near.png")}
        assert len(of_group & set(picked.rows)) == 1


def test_what_was_measured_is_not_decoded_again(project, photos):
    decoded = []
    project.problems(on_image=lambda done, of: decoded.append((done, of)))
    assert decoded == [(number, 60) for number in range(1, 61)]
    decoded.clear()
    assert project.problems().tiny == ()  # all are 8 × 8: that is what is usual here
    Image.new("RGB", (8, 8)).save(photos / "new.png")
    project.update()
    project.problems(on_image=lambda done, of: decoded.append((done, of)))
    assert decoded == [(1, 1)]
    (project.folder / "pictures.json").write_text("damaged")
    assert project.problems().dark == (60,)


def test_the_rules_by_plain_numpy(rng):
    X = rng.normal(size=(50, 6))
    X[10], X[20], X[30] = X[3], X[3] + 1e-4, 100 * X[40]
    units = X / np.linalg.norm(X, axis=1, keepdims=True)
    distances = 1 - units @ units.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, :10]
    found = Neighborhood.of(X)
    np.testing.assert_allclose(found.distances, np.maximum(nearest, 0), atol=1e-6)
    threshold = 0.13 * np.median(nearest[:, 0])
    assert found.threshold == pytest.approx(threshold, rel=1e-5)
    group_of = np.arange(50)
    for _ in range(50):
        for first, second in np.argwhere(distances < threshold):
            group_of[[first, second]] = min(group_of[first], group_of[second])
    np.testing.assert_array_equal(found.groups(), group_of)
    assert group_of[20] == group_of[10] == 3
    assert group_of[40] == 30
    mean = nearest.mean(axis=1)
    lower, upper = np.quantile(mean, [0.25, 0.75])
    assert set(found.outlying().tolist()) == set(np.flatnonzero(mean > upper + 1.7 * (upper - lower)).tolist())


@pytest.mark.parametrize("n_rows", [1, 2])
def test_pools_of_hardly_any_rows(n_rows):
    found = Neighborhood.of(np.eye(n_rows, 3))
    assert found.groups().tolist() == list(range(n_rows))
    assert found.outlying().tolist() == []


def test_a_pool_of_copies_only():
    assert Neighborhood.of(np.ones((12, 3), dtype=np.float32)).groups().tolist() == [0] * 12


def test_neighbours_are_found_again_where_their_file_is_of_another_pool(project, photos, extractor):
    before = project.neighborhood().groups()
    shutil.copy(photos / "bild ü 000.png", photos / "copy.png")
    project.update()
    project.embed(extractor)
    assert project.neighborhood().groups().tolist() == [*before.tolist(), 0]
    (project.folder / "neighbors.npz").write_bytes(b"damaged")
    assert project.neighborhood().groups().tolist() == [*before.tolist(), 0]


def test_a_plan_records_nothing_and_covers_more_than_random_picks(project):
    plan = project.plan(6, holdout=4)
    assert project.ledger.rounds == ()
    assert (plan.n, plan.n_held_out, plan.n_left, plan.mean_distance_now) == (6, 4, 60, None)
    assert 0 < plan.mean_distance < plan.mean_distance_at_random
    assert 1 < plan.knee == coverage_curve(project.pool.X, 24).knee < 12
    assert f"From {plan.knee} labels on" in str(plan)
    assert project.plan(0, holdout=4).knee is None
    picked = project.select(6, holdout=4)
    X = np.asarray(project.pool.X, dtype=np.float64)
    to_train = project.pool.positions(set(picked.rows) - set(picked.held_out))
    assert plan.mean_distance == pytest.approx((1 - (X @ X[to_train].T).max(axis=1)).mean(), abs=1e-6)
    assert project.plan(3).mean_distance_now == pytest.approx(plan.mean_distance)
    assert "6 picks and 4 to test with, of 60 images left" in str(plan)


@pytest.mark.slow
def test_copies_are_found_in_a_pool_too_large_for_all_pairs(rng, monkeypatch):
    monkeypatch.setattr("skal.pool._view._EXACT_UP_TO_ROWS", 16_000)  # 65,536
    X = rng.normal(size=(20_000, 8)).astype(np.float32)
    X[-200:] = X[:200] * 3 + rng.normal(scale=1e-5, size=(200, 8))
    groups = Neighborhood.of(X).groups()
    assert (groups[-200:] == groups[:200]).mean() > 0.95
    assert len(np.unique(groups)) > 0.9 * len(X)
