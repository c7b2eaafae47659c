"""A project from images to predictions, and what it refuses."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from skal.features import TorchFeatureExtractor
from skal.labeling import LabelingProject, NothingToDoError, ProjectInUseError
from skal.labeling._selection import select
from skal.samplers import KMeansSampler, MarginSampler, UniformSampler


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_whole_way(photos, extractor, tmp_path, label_queue):
    before = contents(photos)
    with LabelingProject.create(tmp_path / "p", photos, classes=["red", "green", "blue"]) as project:
        assert project.embed(extractor) == 60
        picked = project.select(9, holdout=6)
        assert len(picked.rows) == 15
        assert len(set(picked.held_out)) == 6
        assert project.next().row == picked.rows[0]
        label_queue(project, annotator="Ada", seconds=1.5)
        assert project.next() is None
        model = project.train()
        assert sorted(model.trained_on.tolist()) == sorted(set(picked.rows) - set(picked.held_out))
        second = project.select(5)
        assert not set(second.rows) & set(picked.rows)
        label_queue(project)
        assert len(project.train().trained_on) == 14
        evaluation = project.evaluate()
        assert (evaluation.n, evaluation.n_correct) == (6, 6)
        assert evaluation.low == pytest.approx(6 / (6 + 1.96**2), abs=1e-4)  # Wilson's, by hand, for all right
        predictions = project.predict()
        truth = [("red", "green", "blue")[int(path[:-4].split()[-1]) % 3] for path in predictions.paths]
        assert np.mean([label == true for label, true in zip(predictions.labels, truth, strict=True)]) > 0.95
    assert contents(photos) == before


def test_every_label_says_who_when_how_long_and_in_which_round(project, label_queue):
    project.select(3, sampler="KMeansSampler")
    label_queue(project, annotator="Ada", seconds=2.5, source="page")
    project.close()
    with LabelingProject.open(project.folder) as again:
        assert {(each.annotator, each.seconds, each.source) for each in again.ledger.history} == {("Ada", 2.5, "page")}
        assert again.ledger.rounds[0].rows == tuple(again.labels)
        assert all("KMeansSampler" in why for why in again.ledger.rounds[0].why)


def test_held_out_images_are_spread_over_the_queue(project):
    picked = project.select(20, holdout=5)
    places = [place for place, row in enumerate(picked.rows) if row in picked.held_out]
    assert places == [2, 7, 12, 17, 22]
    why = dict(zip(picked.rows, picked.why, strict=True))
    assert {why[row] for row in picked.held_out} == {"drawn at random, to test with"}


def test_held_out_labels_are_never_trained_on(project, label_queue):
    project.select(0, holdout=10)
    label_queue(project)
    with pytest.raises(NothingToDoError, match="no label to train on"):
        project.train()


def test_the_draw_of_held_out_images_takes_every_image_alike(project):
    pool = project.pool
    rows = [select(pool, project._standing(pool), 0, 10, KMeansSampler(), seed).rows for seed in range(150)]
    counts = np.bincount(np.concatenate(rows), minlength=60)  # 25 expected, with a standard deviation of 4.6
    assert counts.min() > 8
    assert counts.max() < 45


def test_a_sampler_that_learns_from_labels_sees_those_to_train_on_only(project, label_queue, monkeypatch):
    picked = project.select(6, holdout=6)
    label_queue(project)
    project.select(2)  # asked and not labelled yet
    requests, select_rows = [], MarginSampler._select_rows

    def noting(self, request):
        requests.append(request)
        return select_rows(self, request)

    monkeypatch.setattr(MarginSampler, "_select_rows", noting)
    later = project.select(4, sampler="MarginSampler")
    assert sorted(requests[0].labels) == sorted(project.labels[row] for row in set(picked.rows) - set(picked.held_out))
    assert requests[0].pool.n_rows == 60 - 6 - 2
    assert not set(later.rows) & set(project.labels)


def test_samplers_that_a_project_cannot_use(project):
    with pytest.raises(ValueError, match="needs the label of every image"):
        project.select(3, sampler=UniformSampler())
    with pytest.raises(ValueError, match="There is no sampler 'KMeans'"):
        project.select(3, sampler="KMeans")
    assert project.ledger.rounds == ()


def test_more_images_than_there_are(project, label_queue):
    with pytest.raises(ValueError, match=r"61 picks and 0 images to test with are more than the 60 images left"):
        project.select(61)
    project.select(60)
    with pytest.raises(NothingToDoError, match="Every image"):
        project.select(1)
    with pytest.raises(NothingToDoError):
        project.select(0)


def test_undo_and_skip(project):
    rows = project.select(3).rows
    project.label(rows[0], "red")
    project.skip(rows[1], "blurred")
    assert project.next().row == rows[2]
    assert project.skipped == {rows[1]: "blurred"}
    assert project.undo().reason == "blurred"
    assert project.next().row == rows[1]
    assert project.undo(rows[0]).label == "red"
    assert project.labels == {}
    with pytest.raises(ValueError, match="nothing to undo"):
        project.undo()
    with pytest.raises(ValueError, match="Say why"):
        project.skip(rows[0], " ")


def test_labels_that_are_none(photos, tmp_path):
    with LabelingProject.create(tmp_path / "p", photos, classes=["cat", "dog"]) as project:
        for label, fault in ((7, TypeError), (None, TypeError), ("", ValueError), ("cow", ValueError)):
            with pytest.raises(fault):
                project.label(0, label)
        project.label(0, "cow", new_class=True)
        project.label("bild ü 002.png", "cat")
        project.label(photos / "sub folder" / "bild ü 003.png", "dog")
        assert project.classes == ("cat", "dog", "cow")
        assert list(project.labels.values()) == ["cow", "cat", "dog"]
        for image in ("no.png", 60, -1):
            with pytest.raises(ValueError, match=r"no image"):
                project.label(image, "cat")


def test_most_votes_win_and_a_tie_goes_to_the_latest(project):
    for who, label in (("Ada", "red"), ("Bo", "blue"), ("Cy", "red"), ("Bo", "green")):
        project.label(0, label, annotator=who)
    assert project.labels[0] == "red"
    assert project.disagreements() == {0: {"Ada": "red", "Bo": "green", "Cy": "red"}}
    project.label(1, "red", annotator="Ada")
    project.label(1, "blue", annotator="Bo")
    assert project.labels[1] == "blue"
    project.skip(1, "blurred", annotator="Cy")
    assert project.labels[1] == "blue"
    project.label(2, "red", annotator="Ada")
    project.label(2, "blue", annotator="Ada")
    assert 2 not in project.disagreements()


def test_two_writers_at_once(project):
    with pytest.raises(ProjectInUseError, match="open in another process"):
        LabelingProject.open(project.folder)
    looking = LabelingProject.open(project.folder, read_only=True)
    assert looking.status().n_embedded == 60
    for refused in (lambda: looking.label(0, "red"), looking.update, lambda: looking.select(3), looking.train):
        with pytest.raises(RuntimeError, match="read_only"):
            refused()


def test_what_is_no_project(photos, tmp_path):
    with pytest.raises(FileNotFoundError, match="is no project"):
        LabelingProject.open(photos)
    LabelingProject.create(tmp_path / "p", photos).close()
    with pytest.raises(ValueError, match="is a project already"):
        LabelingProject.create(tmp_path / "p", photos)
    (tmp_path / "p" / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        LabelingProject.open(tmp_path / "p")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        LabelingProject.create(tmp_path / "q", tmp_path / "nowhere")
    assert not (tmp_path / "q").exists()


def test_labels_come_before_embeddings_and_stay_when_they_are_made_again(photos, extractor, tmp_path):
    with LabelingProject.create(tmp_path / "p", photos) as project:
        project.label(3, "red")
        with pytest.raises(ValueError, match="Nothing is embedded yet"):
            project.select(3)
        project.embed(extractor)
        with pytest.raises(ValueError, match="an extractor of your own"):
            project.embed()
        other = TorchFeatureExtractor(torch.nn.Flatten(), image_size=4)
        assert project.embed(other, again=True) == 60
        assert project.pool.X.shape == (60, 48)
        assert project.labels == {3: "red"}


def test_another_backbone_is_refused_and_the_same_goes_on(photos, tmp_path):
    with LabelingProject.create(tmp_path / "p", photos, backbone="resnet18-cifar", image_size=8) as project:
        with pytest.warns(UserWarning, match="random weights"):
            assert project.embed() == 60
        with pytest.raises(ValueError, match="image_size: 8 then, 16 now"):
            project.embed(image_size=16)
        with pytest.warns(UserWarning, match="random weights"):
            assert project.embed() == 0
        project.label(0, "red")
        project.label(1, "green")
        project.train()
        with pytest.warns(UserWarning, match="random weights"):
            again = project.predict(photos)
        np.testing.assert_allclose(again.confidence, project.predict().confidence, atol=1e-3)
        with pytest.raises(ValueError, match="What differs"), pytest.warns(UserWarning, match="random weights"):
            project.predict(photos, extractor=TorchFeatureExtractor("resnet18-cifar", image_size=8, random_state=7))


def test_predictions_as_a_table(project, photos, tmp_path, extractor, label_queue):
    project.select(12)
    label_queue(project)
    project.train("LinearProbe")
    (photos / "broken.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="left out"):
        predictions = project.predict(photos, extractor=extractor, abstain_below=0.9)
    text = predictions.to_csv(tmp_path / "predictions.csv")
    assert (tmp_path / "predictions.csv").read_bytes().decode() == text
    lines = text.splitlines()
    assert lines[0] == "path,label,confidence,abstain,problem"
    assert len(lines) == 62
    broken = next(line for line in lines if line.startswith("broken.png"))
    assert broken.startswith("broken.png,,,1,")
    assert "broken.png: " in broken
    limit = float(np.median(project.predict().confidence))
    unsure = project.predict(abstain_below=limit)
    assert 0 < unsure.abstain.sum() < 60
    np.testing.assert_array_equal(unsure.abstain, unsure.confidence < limit)
    assert [row["abstain"] for row in unsure.rows()] == unsure.abstain.astype(int).tolist()
    assert not list(project.folder.glob("predict-*"))


@pytest.mark.parametrize("classifier", ["LinearProbe", "RidgeProbe", "CosineKNNClassifier", "GraphClassifier"])
def test_a_model_is_read_without_running_code(project, label_queue, classifier):
    project.select(9)
    label_queue(project)
    kept, read = project.train(classifier), project.model
    X = np.asarray(project.pool.X)
    np.testing.assert_array_equal(kept.probabilities(X), read.probabilities(X))
    assert type(read.classifier).__name__ == classifier
    assert read.classifier.get_params() == kept.classifier.get_params()
    with np.load(project.folder / "model.npz", allow_pickle=False) as members:
        assert json.loads(members["model.json"])["classifier"] == classifier
        assert all(members[name].dtype.kind in "iufU" for name in members.files if name != "model.json")


def test_models_that_are_none(project, label_queue):
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(FileNotFoundError, match=r"train\(\) first"):
        _ = project.model
    project.select(9)
    label_queue(project)
    with pytest.raises(TypeError, match=r"no class of skal\.classifiers"):
        project.train(LogisticRegression())
    with pytest.raises(ValueError, match="There is no classifier 'SVM'"):
        project.train("SVM")
    np.savez(project.folder / "model.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="no model of skal, or damaged"):
        _ = project.model


@pytest.mark.parametrize("name", ["predict_proba", "__class__", "__dict__", "no name"])
def test_a_model_file_that_would_replace_a_method(project, label_queue, name):
    project.select(9)
    label_queue(project)
    project.train("LinearProbe")
    path = project.folder / "model.npz"
    with np.load(path) as members:
        content = {member: members[member] for member in members.files}
    facts = json.loads(content.pop("model.json"))
    facts["fitted"][name] = {}
    np.savez(path, **content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.json", json.dumps(facts))
    with pytest.raises(ValueError, match="which is no fitted attribute"):
        _ = project.model


def test_a_near_duplicate_of_a_held_out_image_is_not_trained_on(photos, extractor, tmp_path, label_queue):
    for number in range(10):
        shutil.copy(photos / f"bild ü {2 * number:03}.png", photos / f"copy ü {2 * number:03}.png")
    with LabelingProject.create(tmp_path / "p", photos) as project:
        project.embed(extractor)
        assert len(np.unique(project.neighborhood().groups())) == 60
        picked = project.select(50, holdout=10)
        groups, pool = project.neighborhood().groups(), project.pool
        assert len(set(groups[pool.positions(picked.rows)].tolist())) == 60
        with pytest.raises(NothingToDoError):
            project.select(1)
        copied = next(row for row in picked.held_out if "copy" in project.images[row].path)
        name = project.images[copied].path
        twin = name.replace("copy", "bild")
        project.label(twin, "red")  # by an import, say
        assert project.labels.keys() == {project.row_of(twin)}
        assert project.training_labels() == {}


def test_status_says_what_to_do_next(photos, extractor, tmp_path, label_queue):
    with LabelingProject.create(tmp_path / "p", photos) as project:
        assert project.status().next_command == "skal embed"
        project.embed(extractor)
        assert project.status().next_command.startswith("skal select")
        project.select(6, holdout=3)
        assert project.status().next_command.startswith("skal label")
        label_queue(project)
        assert project.status().next_command == "skal train"
        project.train()
        status = project.status()
        assert status.next_command.startswith("skal report")
        assert (status.n_labeled, status.n_held_out_labeled, status.n_labels_of_model) == (6, 3, 6)
        Image.new("RGB", (8, 8)).save(photos / "new.png")
        assert project.status().next_command == "skal update"
        json.dumps(project.status().to_dict())
        assert os.fspath(photos) == project.status().images_folder


def test_a_seed_decides_the_picks(photos, extractor, tmp_path):
    picks = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        with LabelingProject.create(tmp_path / name, photos, random_state=seed) as project:
            project.embed(extractor)
            picks.append(project.select(5, holdout=5, sampler=KMeansSampler()).rows)
    assert picks[0] == picks[1] != picks[2]


def test_a_notebook_shows_where_a_project_stands(photos, tmp_path):
    evil = "<script>alert(1)</script>"
    with LabelingProject.create(tmp_path / "project", photos) as project:
        assert "none yet" in project._repr_html_()
        project.label(0, evil)
        project.label(1, evil)
        for thing in (project, project.status()):
            page = thing._repr_html_()
            assert "<script" not in page
            assert "&lt;script&gt;alert(1)&lt;/script&gt;: 2" in page
        shutil.rmtree(photos)  # a look neither needs the images nor looks for them
        assert "<td>60</td>" in project._repr_html_()
