"""Labels given to many images at once, classes and keys added midway, and what the labels suggest."""

import numpy as np
import pytest

from skal.classifiers import CosineKNNClassifier
from skal.labeling import LabelingProject, NothingToDoError
from skal.labeling._keys import ACTION_KEYS, class_keys
from skal.labeling._settings import Settings, read_settings
from skal.labeling._toml import with_values
from skal.pool import Pool
from tests.labeling.conftest import COLORS, true_label


def test_labels_of_many_images_are_kept_apart(project):
    picked = project.select(6, holdout=2)
    rows = [row for row in picked.rows if row not in picked.held_out][:3]
    project.label(rows[0], "blue", annotator="Ada", source="page")
    project.label_many(rows[1:], "red", annotator="Ada", seconds=5, source="page")
    assert project.labeled_together == tuple(rows[1:])
    assert project.status().n_labeled_together == 2
    assert [(each.source, each.seconds) for each in project.ledger.history[1:]] == [("page, many at once", 2.5)] * 2
    project.label(rows[1], "green", annotator="Ada", source="page")  # looked at by itself after all
    assert project.labeled_together == (rows[2],)
    assert project.disagreements() == {}


def test_who_is_not_named_has_one_vote_however_the_label_was_given(project):
    project.label_many([1, 2], "red", source="page")
    project.label(1, "blue", source="page")
    assert (project.labels, project.disagreements()) == ({1: "blue", 2: "red"}, {})


def test_images_to_test_with_are_never_labelled_many_at_once(project):
    picked = project.select(3, holdout=2)
    with pytest.raises(ValueError, match="is to test with: it is labelled by itself"):
        project.label_many(picked.rows, "red")
    with pytest.raises(ValueError, match="more than once"):
        project.label_many([1, 1], "red")
    project.label_many([], "red")
    assert project.ledger.history == ()


def test_a_draw_that_is_not_of_the_whole_pool_any_more_is_warned_of(project):
    project.label_many([1, 2, 3], "red")
    project.select(2)
    with pytest.warns(UserWarning, match="3 images were labelled many at once"):
        project.select(2, holdout=3)


def test_a_class_added_midway_is_kept(photos, tmp_path):
    with LabelingProject.create(tmp_path / "p", photos, classes=["cat", "dog"]) as project:
        settings = tmp_path / "p" / "skal.toml"
        settings.write_text(settings.read_text() + "# mine\n")
        assert project.add_class(" fox ") == "fox"
        project.add_class("bird", key="B")
        project.label(0, "fox")
        for name, key, message in (
            ("cat", None, "There is a class 'cat' already"),
            (" ", None, "The label is empty"),
            ("cow", "1", "The key '1' is that of 'cat'"),
            ("cow", "b", "The key 'b' is that of 'bird'"),
            ("cow", "s", "The key 's' of 'cow' is that of 'skip'"),
            ("cow", "ab", "must be one character"),
            ("cow", "\t", "must be one character"),
        ):
            with pytest.raises(ValueError, match=message):
                project.add_class(name, key=key)
    with LabelingProject.open(tmp_path / "p") as project:
        assert project.classes == ("cat", "dog", "fox", "bird")
        assert class_keys(project.classes, project.settings.keys) == {"cat": "1", "dog": "2", "fox": "3", "bird": "b"}
    assert "# mine" in settings.read_text()


def test_keys_in_turn():
    names = [f"class {number}" for number in range(40)]
    keys = class_keys(names, {"class 3": "1", "class 7": "Q"})
    assert (keys["class 0"], keys["class 3"], keys["class 7"]) == ("2", "1", "q")
    given = [key for key in keys.values() if key is not None]
    assert len(given) == len(set(given)) == 10 + 26 - sum(key.isalpha() for key in ACTION_KEYS)
    assert not set(given) & ACTION_KEYS.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('keys = {cat = "s"}', "'s' of 'cat' is that of 'skip'"),
        ('[keys]\ncat = "c"\ndog = "C"', "'c' is of 'cat' and of 'dog'"),
        ('classes = ["cat"]\nkeys = {dgo = "d"}', "a key for 'dgo', which is none of the classes cat"),
        ('keys = "c"', "must be a table of texts"),
        ("keys = {cat = 1}", "must be a table of texts"),
        ('price = "much"', "must be a number; found 'much'"),
        ("price = -1", "from 0 on; found -1"),
        ("money = inf", "from 0 on; found inf"),
    ],
)
def test_keys_and_prices_that_are_wrong(tmp_path, text, message):
    path = tmp_path / "skal.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_settings(path, {})


def test_keys_and_prices_of_variables(tmp_path):
    found = read_settings(tmp_path / "none.toml", {"SKAL_KEYS": "a=b=c, dog=d", "SKAL_PRICE": "0.5", "SKAL_MONEY": "9"})
    assert found == Settings(keys={"a=b": "c", "dog": "d"}, price=0.5, money=9.0)
    with pytest.raises(ValueError, match="SKAL_PRICE='x' must be a number"):
        read_settings(tmp_path / "none.toml", {"SKAL_PRICE": "x"})


@pytest.mark.parametrize("end_of_line", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'classes = ["a"]\n'),
        ("# c\nseed = 1", 'classes = ["a"]\n# c\nseed = 1\n'),
        ("x = 1 # x\nclasses = [ # c\n 'b',\n]\ny = 2\n", 'x = 1 # x\nclasses = ["a"]\ny = 2\n'),
        ("[keys]\nb = 'c'", "classes = [\"a\"]\n[keys]\nb = 'c'\n"),
    ],
)
def test_one_setting_is_set_and_the_rest_stays(before, after, end_of_line):
    changed = with_values(before.replace("\n", end_of_line), {"classes": ["a"]})
    expected = after if end_of_line == "\n" or "\n" not in before else after.replace("\n", end_of_line)
    assert changed == expected


def test_a_table_of_keys_grows():
    assert with_values('[keys]\nb = "c"\n', {"keys": {"b": "c", "d e": "f"}}) == '[keys]\n"d e" = "f"\nb = "c"\n'
    with pytest.raises(ValueError, match="set it by hand"):
        with_values('keys.b = "c"\n', {"keys": {"b": "c", "d": "e"}})
    with pytest.raises(ValueError, match="set it by hand"):
        with_values('a = """\nclasses = [1]\n"""\n', {"classes": ["a"]})


def test_suggestions_come_from_the_second_round_on_and_not_for_images_to_test_with(project, label_queue):
    first = project.select(9, holdout=6)
    with pytest.raises(NothingToDoError, match="second round"):
        project.suggest()
    label_queue(project)
    second = project.select(9, holdout=6)
    found = project.suggest()
    assert set(found.rows.tolist()) == set(range(60)) - {*first.rows, *second.held_out}
    assert found.n_labels == 9
    assert all(found.for_row(row) == [] for row in (*first.rows, *second.held_out))
    for row in second.rows:
        if row not in second.held_out:
            names = [name for name, _ in found.for_row(row)]
            assert (names[0], set(names)) == (true_label(project.path_of(row)), set(COLORS))
    assert found.confidence.sum(axis=1) == pytest.approx(1)
    assert (np.diff(found.confidence, axis=1) <= 0).all()
    by_class = {color: found.predicted(color) for color in COLORS}
    assert sorted(row for rows in by_class.values() for row in rows) == sorted(found.rows.tolist())
    for rows in by_class.values():
        assert sorted(-found.for_row(row)[0][1] for row in rows) == [-found.for_row(row)[0][1] for row in rows]
    assert found.predicted("no class") == []
    again = project.suggest(pool=Pool(project.pool.X))
    np.testing.assert_array_equal(again.confidence, found.confidence)


def test_suggestions_are_of_the_classifier_of_the_settings_and_need_two_classes(project):
    project.settings = Settings(classifier="CosineKNNClassifier")
    picked = project.select(2)
    project.label(picked.rows[0], "red")
    project.skip(picked.rows[1], "blurred")
    with pytest.raises(NothingToDoError, match="two classes"):
        project.suggest()
    project.label(picked.rows[1], "blue")
    found, pool = project.suggest(2), project.pool
    plain = CosineKNNClassifier().fit(pool.X[pool.positions(picked.rows)], ["red", "blue"])
    predicted = plain.predict(pool.X[pool.positions(found.rows)])
    assert [found.for_row(row)[0][0] for row in found.rows.tolist()] == predicted.tolist()
