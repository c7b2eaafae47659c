"""What folders of images do to a project: they move, change, hold links and files that are no images."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skal.labeling import LabelingProject
from skal.labeling._images import scan
from skal.labeling._settings import Settings, read_settings, write_settings


def reopened(project):
    project.close()
    return LabelingProject.open(project.folder)


@pytest.fixture
def closed(project):
    """A project with one label, closed."""
    project.label(5, "red")
    project.close()
    return project


@pytest.mark.slow
def test_ten_kills_lose_no_label_and_double_none(closed, warm_python):
    script = Path(__file__).with_name("killed_labeling.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [warm_python, script, closed.folder, "10"], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "10\n", done.stderr
    lines = (closed.folder.parent / "acknowledged.txt").read_text().splitlines()
    acknowledged = [(int(row), f"label {number}") for row, number in (line.split() for line in lines)]
    assert len(acknowledged) > 50
    with LabelingProject.open(closed.folder) as project:
        kept = [(each.row, each.label) for each in project.ledger.history][1:]
    assert set(acknowledged) <= set(kept)
    assert len(set(kept)) == len(kept)
    assert len(kept) - len(acknowledged) <= 10  # written, and killed before it could say so


def test_project_and_images_that_move_together(closed, tmp_path):
    (tmp_path / "new home").mkdir()
    for name in ("photos", "photos.skal"):
        shutil.move(tmp_path / name, tmp_path / "new home" / name)
    with pytest.warns(UserWarning, match="are at .*new home"):
        project = LabelingProject.open(tmp_path / "new home" / "photos.skal")
    with project:
        assert project.images_folder == tmp_path / "new home" / "photos"
        assert not project.changes()
        assert project.labels == {5: "red"}
        assert len(project.select(3).rows) == 3
    LabelingProject.open(project.folder).close()  # found at once from now on: no warning


def test_images_that_are_renamed_beside_the_project_are_found(closed, tmp_path):
    (tmp_path / "photos").rename(tmp_path / "holiday")
    (tmp_path / "another").mkdir()
    with pytest.warns(UserWarning, match="are at .*holiday now"):
        project = LabelingProject.open(closed.folder)
    project.close()
    assert project.path_of(5).exists()


def test_images_far_away_are_asked_for(closed, tmp_path, extractor):
    far = tmp_path / "a" / "b"
    far.mkdir(parents=True)
    shutil.copytree(tmp_path / "photos", far / "photos")
    for path in far.rglob("*.png"):
        os.utime(path, (1, 1))  # as a copy may have
    shutil.rmtree(tmp_path / "photos")
    with LabelingProject.open(closed.folder) as project:
        project.label(6, "blue")  # needs no images
        assert project.status().next_command == "skal status --images FOLDER"
        with pytest.raises(FileNotFoundError, match="Say where"):
            _ = project.queue or project.images_folder
    with pytest.raises(ValueError, match="does not hold the images of this project"):
        LabelingProject.open(closed.folder, images=tmp_path)
    with LabelingProject.open(closed.folder, images=far / "photos") as project:
        assert not project.changes()
        assert project.embed(extractor) == 0


def test_images_that_are_new_changed_renamed_and_gone(project, photos, extractor):
    picked = project.select(60).rows
    rows = np.array(project.pool.X)
    names = [project.images[row].path for row in range(4)]
    Image.new("RGB", (8, 8), "white").save(photos / "new.png")
    Image.new("RGB", (8, 8), "black").save(photos / names[0])
    (photos / names[1]).rename(photos / "other name.png")
    (photos / names[2]).unlink()
    changes = project.changes()
    assert (changes.changed, changes.missing, changes.new) == ((0,), (2,), ("new.png",))
    assert changes.renamed == ((1, "other name.png"),)
    project.label(0, "red")
    assert project.update() == changes
    assert project.embed(extractor) == 2
    assert [project.images[row].path for row in (60, 61)] == [names[0], "new.png"]
    assert project.row_of(names[0]) == 60
    assert project.row_of("other name.png") == 1
    assert project.labels == {0: "red"}  # of what the file held then, as its embedding is
    np.testing.assert_array_equal(project.pool.X[:60], rows)
    assert set(project.select(2).rows) == {60, 61}
    after = reopened(project)
    with after:
        changes = after.changes()
        assert (changes.missing, changes.changed, changes.new, changes.renamed) == ((2,), (), (), ())
        assert after.status(compare_images=False).n_images == 61
        assert {image.row for image in after.queue} == {*picked, 60, 61} - {0}


def test_images_that_are_gone_are_not_picked(project, photos):
    gone = project.row_of("bild ü 000.png")
    project.path_of(gone).unlink()
    Image.new("RGB", (8, 8)).save(project.path_of(2))
    project.update()
    with pytest.raises(ValueError, match="more than the 58 images left"):
        project.select(59)
    assert not {gone, 2} & set(project.select(48, holdout=10).rows)


def test_a_file_that_changed_before_it_was_embedded(photos, extractor, tmp_path):
    with LabelingProject.create(tmp_path / "p", photos) as project:
        Image.new("RGB", (8, 8), "black").save(photos / "bild ü 002.png")
        with pytest.raises(ValueError, match=r"changed since they were taken in: bild ü 002\.png\. Call update"):
            project.embed(extractor)
        project.update()
        assert project.embed(extractor) == 60
        assert project.row_of("bild ü 002.png") == 60


def test_an_interrupted_update_is_made_good(closed, photos):
    Image.new("RGB", (8, 8)).save(photos / "new.png")
    project = LabelingProject.open(closed.folder)
    project.ledger.grow = lambda n: os.close(-1)  # the process ends between the two
    with pytest.raises(OSError, match="Bad file descriptor"):
        project.update()
    project.close()
    with LabelingProject.open(closed.folder) as project:
        project.label("new.png", "red")
        assert project.ledger.n_samples == 61


def test_an_older_copy_of_the_manifest(closed, photos):
    manifest = closed.folder / "manifest.json"
    older = manifest.read_bytes()
    Image.new("RGB", (8, 8)).save(photos / "new.png")
    with LabelingProject.open(closed.folder) as project:
        project.update()
    manifest.write_bytes(older)
    with pytest.raises(ValueError, match="it is an older copy"):
        LabelingProject.open(closed.folder)


def test_files_that_are_no_images_have_no_embedding_and_are_named(photos, extractor, tmp_path):
    (photos / "empty.png").write_bytes(b"")
    (photos / "text.jpg").write_text("not an image\r\n")
    (photos / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (photos / "itself.png").symlink_to("itself.png")
    (photos / "cut.png").write_bytes((photos / "bild ü 000.png").read_bytes()[:60])
    with LabelingProject.create(tmp_path / "p", photos) as project:
        with pytest.warns(UserWarning, match="5 of 65 images were left out"):
            assert project.embed(extractor) == 60
        status = project.status()
        assert (status.n_images, status.n_embedded, status.n_unread) == (65, 60, 5)
        assert status.next_command.startswith("skal select")
        project.select(9)
        for image in project.queue:
            project.label(image.row, "x")
        project.train()
        problems = {row["path"]: row["problem"] for row in project.predict().rows() if row["problem"]}
        assert problems.keys() == {"empty.png", "text.jpg", "gone.png", "itself.png", "cut.png"}
        assert "there is no such file" in problems["gone.png"]


def test_files_of_the_project_with_windows_line_ends(closed):
    for name in ("ledger.jsonl", "manifest.json", "skal.toml"):
        path = closed.folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with LabelingProject.open(closed.folder) as project:
        assert project.labels == {5: "red"}
        project.label(6, "blue")
        project.add_class("green")
    with LabelingProject.open(closed.folder) as project:
        assert project.labels == {5: "red", 6: "blue"}
        assert project.classes == ("blue", "red", "green")
    assert b"\r\n" in (closed.folder / "skal.toml").read_bytes()


@pytest.mark.slow
def test_20_000_files(tmp_path):
    """Links to a few files, for what is slow is their number. Everything is compared with a plain listing."""
    folders = [tmp_path / "photos" / f"{number:02}" for number in range(50)]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / "0000.png")
        for copy in range(1, 400):
            os.link(folder / "0000.png", folder / f"{copy:04}.png")
    listed = sorted(path.relative_to(tmp_path / "photos").as_posix() for path in (tmp_path / "photos").rglob("*.png"))
    with LabelingProject.create(tmp_path / "p", tmp_path / "photos") as project:
        assert [image.path for image in project.images] == listed
        assert len(listed) == 20_000
        project.label(19_999, "red")
    (folders[3] / "0007.png").unlink()
    (folders[4] / "0007.png").rename(folders[4] / "new name.png")
    (folders[5] / "0007.png").unlink()
    Image.new("RGB", (4, 4), "white").save(folders[5] / "0007.png")
    with LabelingProject.open(tmp_path / "p") as project:
        changes = project.changes()
        gone, changed = project.row_of("03/0007.png"), project.row_of("05/0007.png")
        assert (changes.changed, changes.new) == ((changed,), ())
        assert {*changes.missing, *(row for row, _ in changes.renamed)} == {gone, project.row_of("04/0007.png")}
        assert [path for _, path in changes.renamed] == ["04/new name.png"]
        assert project.status().n_images == 20_000
        assert project.labels == {19_999: "red"}


def test_links_are_followed_and_one_that_leads_back_is_refused(photos, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (8, 8)).save(other / "linked.png")
    (photos / "link").symlink_to(other)
    assert "link/linked.png" in scan(photos)
    (photos / "sub folder" / "loop").symlink_to(photos)
    with pytest.raises(ValueError, match=r"leads back into .* remove the link"):
        LabelingProject.create(tmp_path / "p", photos)
    assert not (tmp_path / "p").exists()


def test_a_folder_that_cannot_be_listed(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    photos.parent.chmod(0o755)
    (photos / "sub folder").chmod(0o000)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(PermissionError, match="make it readable or move it elsewhere"):
            scan(Path("photos"))
    finally:
        os.seteuid(user)
        (photos / "sub folder").chmod(0o755)


def test_settings_of_a_file_and_variables_that_go_before_it(tmp_path):
    path = tmp_path / "skal.toml"
    classes = ("cat", 'a "dog"', "ü\\\n\x7f\t")
    write_settings(path, Settings(classes, "resnet50", image_size=64))
    assert read_settings(path, {}) == Settings(classes, "resnet50", image_size=64)
    assert read_settings(path, {"SKAL_BACKBONE": "resnet34", "SKAL_CLASSES": "a, b"}).backbone == "resnet34"
    assert read_settings(path, {"SKAL_CLASSES": "a, b"}).classes == ("a", "b")
    assert read_settings(tmp_path / "none.toml", {}) == Settings()
    path.write_bytes('\ufeffbackbone = "resnet34"\r\nweights = "w.pt"\r\n'.encode())
    assert read_settings(path, {}) == Settings(backbone="resnet34", weights=str(tmp_path / "w.pt"))
    assert Settings(backbone="a").over(backbone=None, device="cpu") == Settings(backbone="a", device="cpu")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backbone =", "cannot be read"),
        ('bakbone = "x"', "did you mean 'backbone'"),
        ('image_size = "x"', "must be a whole number; found 'x'"),
        ("image_size = true", "must be a whole number"),
        ('classes = "cat"', "must be a list of texts"),
        ("classes = [1]", "must be a list of texts"),
        ("sampler = 1", "must be a text"),
    ],
)
def test_settings_that_are_wrong(tmp_path, text, message):
    path = tmp_path / "skal.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_settings(path, {})
    with pytest.raises(ValueError, match="SKAL_IMAGE_SIZE='x' must be a whole number"):
        read_settings(tmp_path / "none.toml", {"SKAL_IMAGE_SIZE": "x"})
