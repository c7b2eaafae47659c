"""What the page shows besides the image at hand: grids of images that lie together, and suggestions."""

import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")

from skal.labeling import LabelingProject
from skal.labeling.page._grid import Grid
from skal.labeling.page._session import N_IN_GRID, Session
from tests.labeling.conftest import COLORS, true_label


@pytest.fixture
def with_copies(photos, extractor, tmp_path):
    """The photos, and of each of the first 15 a near copy."""
    for path in sorted(photos.rglob("*.png"))[:15]:
        pixels = np.array(Image.open(path))
        pixels[0, 0, 0] += 1
        Image.fromarray(pixels).save(path.with_name(f"copy of {path.name}"))
    with LabelingProject.create(tmp_path / "p", photos) as project:
        project.embed(extractor)
        assert len(set(project.neighborhood().groups().tolist())) <= 60
        yield project


def allowed_rows(project):
    """Rows that may stand in a grid, in plain loops."""
    rows, groups = project.pool.rows.tolist(), project.neighborhood().groups().tolist()
    group_of = dict(zip(rows, groups, strict=True))
    closed = {*project.held_out, *project.labels, *project.skipped}
    closed_groups = {group_of[row] for row in closed}
    pending, chosen = set(project.ledger.pending.tolist()), {}
    for row in rows:
        if group_of[row] in closed_groups:
            continue
        best = chosen.get(group_of[row])
        if best is None or (row in pending and best not in pending):
            chosen[group_of[row]] = row
    return set(chosen.values())


def test_a_grid_holds_the_nearest_images_that_may_be_labelled_together(with_copies):
    project = with_copies
    picked = project.select(12, holdout=10)
    picks = [row for row in picked.rows if row not in picked.held_out]
    project.label(picks[0], "red")
    project.skip(picks[1], "blurred")
    grid, pool = Grid(project), project.pool
    X = np.asarray(pool.X, dtype=float)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    for row in picks[2:]:
        found = grid.near(row, 9)
        assert found[0] == row
        others = allowed_rows(project) - {row}
        place = pool.position_of
        expected = sorted(others, key=lambda other: (-round(X[place[other]] @ X[place[row]], 12), place[other]))[:8]
        assert found[1:] == expected
        assert not set(found) & {*picked.held_out, picks[0], picks[1]}
    for row in (picked.held_out[0], picks[0], picks[1], 10**6):
        with pytest.raises(ValueError, match="is labelled by itself"):
            grid.near(row, 9)


def test_the_near_copy_of_a_held_out_image_is_in_no_grid(with_copies):
    project = with_copies
    picked = project.select(4, holdout=40)
    groups = dict(zip(project.pool.rows.tolist(), project.neighborhood().groups().tolist(), strict=True))
    closed = {groups[row] for row in picked.held_out}
    copies = {row for row, group in groups.items() if group in closed} - set(picked.held_out)
    assert copies
    row = next(row for row in picked.rows if row not in picked.held_out)
    everything = Grid(project).near(row, 1000)
    assert not copies & set(everything)
    assert len(everything) == len(allowed_rows(project))


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def second_round(project, label_queue, warm_children):
    """A session in its second round."""
    project.select(9, holdout=6)
    label_queue(project)
    project.select(12, holdout=6)
    session = Session(project, "Ada")
    yield session
    session.close()


@pytest.mark.slow
def test_suggestions_are_those_of_the_library_and_follow_the_labels(second_round, project):
    session, second = second_round, project.ledger.rounds[1]
    wait_for(lambda: not session.suggestions()["is_training"])
    expected = project.suggest()
    given = session.suggestions()
    assert (given["number"], given["n_labels"], given["problem"]) == (1, 9, "")
    assert set(given["rows"]) == set(second.rows) - set(second.held_out)
    for row, found in given["rows"].items():
        assert [name for name, _ in found] == [name for name, _ in expected.for_row(row)]
        assert [share for _, share in found] == pytest.approx([share for _, share in expected.for_row(row)])
    assert given["predicted"] == {color: len(expected.predicted(color)) for color in COLORS}
    assert session.suggestions(known=1).keys().isdisjoint({"rows", "predicted"})

    waiting = [row for row in second.rows if row not in second.held_out]
    for row in waiting[:4]:
        session.label(session.version, row, true_label(project.path_of(row)), 1.0)
    assert not session.suggestions()["is_training"]
    session.label(session.version, waiting[4], true_label(project.path_of(waiting[4])), 1.0)
    assert session.suggestions()["is_training"]
    wait_for(lambda: not session.suggestions()["is_training"])
    assert session.suggestions()["n_labels"] == 14
    assert set(session.suggestions()["rows"]) == set(waiting[5:])

    session.suggest(False)
    assert (session.suggestions()["rows"], session.suggestions()["is_on"]) == ({}, False)
    for row in waiting[5:11]:
        session.label(session.version, row, "red", 1.0)
    assert not session.suggestions()["is_training"]
    session.suggest(True)
    wait_for(lambda: session.suggestions()["n_labels"] == 20)


@pytest.mark.slow
def test_one_predicted_class_is_labelled_in_grids_that_pass_over_what_was_not_marked(second_round, project):
    session = second_round
    with pytest.raises(ValueError, match="Nothing is predicted yet"):
        session.grid(label="red")
    wait_for(lambda: session.suggestions()["number"])
    predicted = project.suggest().predicted("red")
    grid = session.grid(label="red")
    assert grid["rows"] == [row for row in predicted if row in allowed_rows(project)][:N_IN_GRID]
    assert grid["n_all"] == len(grid["rows"])
    left, taken = grid["rows"][:2], grid["rows"][2:5]
    changed = session.label_many(session.version, taken, "red", 6.0)["changed"]
    assert [(each["row"], each["is_together"]) for each in changed] == [(row, True) for row in taken]
    assert not {*left, *taken} & set(session.grid(label="red", go_on=True)["rows"])
    assert set(session.grid(label="red")["rows"]) >= set(left)
    assert {each.seconds for each in project.ledger.history[-3:]} == {2.0}
    assert [each["row"] for each in session.undo(session.version)["changed"]] == taken
    assert not set(taken) & set(project.labels)
    with pytest.raises(ValueError, match="is to test with"):
        session.label_many(session.version, [*left, project.ledger.rounds[1].held_out[0]], "red", None)
    unseen = next(row for row in range(60) if not session_shows(session, row))
    with pytest.raises(ValueError, match=f"Image {unseen} was not picked"):
        session.label_many(session.version, [unseen], "red", None)


def session_shows(session, row):
    try:
        session.image(row)
    except KeyError:
        return False
    return True


def test_without_suggestions_nothing_trains(project, label_queue):
    project.select(6)
    label_queue(project)
    project.select(6)
    session = Session(project, suggestions=False)
    for image in project.queue:
        session.label(session.version, image.row, true_label(image.path), 1.0)
    assert (session._suggester._thread, session._suggester._process) == (None, None)
    assert session.suggestions()["rows"] == {}


@pytest.mark.slow
def test_no_training_in_the_first_round_and_one_that_is_killed_is_begun_again(project, label_queue, warm_children):
    picked = project.select(9, holdout=3)
    session = Session(project, "Ada")
    try:
        for row in picked.rows[:-1]:
            session.label(session.version, row, true_label(project.path_of(row)), 1.0)
        assert session._suggester._process is None
        given = session.suggestions()
        assert (given["may"], given["is_training"], given["rows"]) == (False, False, {})
        session.label(session.version, picked.rows[-1], "red", 1.0)  # the last one of the round
        wait_for(lambda: session.suggestions()["number"] == 1)
        assert session.suggestions()["predicted"].keys() == set(COLORS)
        trains = session._suggester._process
        trains.terminate()
        wait_for(lambda: trains.poll() is not None)
        session.suggest(True)
        wait_for(lambda: session.suggestions()["number"] == 2)
        assert "has ended" in session.suggestions()["problem"]
        session.suggest(True)
        wait_for(lambda: session.suggestions()["number"] == 3)
        assert session.suggestions()["problem"] == ""
        (project.folder / "embeddings.npy").rename(project.folder / "elsewhere.npy")
        session.suggest(True)
        wait_for(lambda: session.suggestions()["number"] == 4)
        assert "embeddings.npy is missing" in session.suggestions()["problem"]
        process = session._suggester._process
    finally:
        session.close()
    assert process.poll() is not None
