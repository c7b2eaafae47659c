"""Labels handed over and back: files made by hand as each tool documents them, and round trips."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from skal.labeling import LabelingProject, NothingToDoError
from skal.labeling._exchange import ImageFinder
from skal.labeling._images import ImageFile
from skal.labeling._manifest import Manifest
from skal.labeling.formats import FORMATS, ImportedLabel, format_named

GOLDEN = Path(__file__).with_name("golden")
WRITTEN = [each.name for each in FORMATS if each.write is not None]
# What Label Studio itself reads back has other names.
FILE_OF = {"label-studio": "tasks.json", "cvat": "annotations.xml", "fiftyone": "labels.json", "csv": "labels.csv"}


@pytest.fixture
def pets(tmp_path):
    """A project of six images as the files made by hand know them, with the classes cat and dog."""
    photos = tmp_path / "pets"
    (photos / "new york").mkdir(parents=True)
    names = ("a.png", "b.jpg", "c.png", "käse.png", "new york/a 1.png", "new york/b.v2.png")
    for number, name in enumerate(names):
        Image.new("RGB", (20 + number, 10), (40 * number, 0, 0)).save(photos / name)
    with LabelingProject.create(tmp_path / "p", photos, classes=["cat", "dog"]) as project:
        yield project


def labels_by_path(project):
    return {project.images[row].path: label for row, label in project.labels.items()}


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("label_studio.json", "label-studio", {"a.png": "cat", "b.jpg": "dog", "new york/a 1.png": "cat"}),
        ("label_studio_min.json", "label-studio-min", {"a.png": "cat", "b.jpg": "dog", "new york/a 1.png": "cat"}),
        ("label_studio.csv", "label-studio-csv", {"a.png": "cat", "b.jpg": "dog", "new york/a 1.png": "cat"}),
        ("cvat.xml", "cvat", {"a.png": "cat", "käse.png": "dog", "new york/b.v2.png": "cat"}),
        ("datumaro.json", "datumaro", {"a.png": "cat", "käse.png": "dog", "new york/b.v2.png": "cat"}),
        ("fiftyone.json", "fiftyone", {"a.png": "cat", "käse.png": "dog", "new york/b.v2.png": "cat"}),
        ("metadata.csv", "imagefolder", {"a.png": "cat", "käse.png": "dog"}),
        ("metadata.jsonl", "imagefolder", {"a.png": "cat", "käse.png": "dog"}),
        ("windows.csv", "csv", {"a.png": "cat", "käse.png": "dog", "new york/a 1.png": "dog"}),
    ],
)
def test_files_made_by_hand_are_read(pets, name, format, expected):
    report = pets.import_labels(GOLDEN / name, format)
    assert labels_by_path(pets) == expected
    assert report.n_labels >= len(expected)
    again = pets.import_labels(GOLDEN / name, format)
    assert (again.n_labels, again.n_skipped, again.n_known) == (0, 0, report.n_labels + report.n_skipped)
    assert len(pets.ledger.history) == report.n_labels + report.n_skipped


def test_states_and_people_of_label_studio(pets):
    report = pets.import_labels(GOLDEN / "label_studio.json", "label-studio")
    assert (report.n_labels, report.n_skipped, report.n_empty, report.n_unlabeled) == (5, 1, 1, 1)
    assert report.unknown == ["pets/nowhere.png"]
    assert pets.skipped == {pets.row_of("c.png"): "skipped in Label Studio"}
    assert report.disagreements == {
        "b.jpg": {"ada@example.org": "dog", "Label Studio user 2": "cat", "Label Studio user 3": "dog"}
    }
    first = next(each for each in pets.ledger.history if each.row == pets.row_of("a.png"))
    assert (first.annotator, first.seconds, first.source) == ("ada@example.org", 3.25, "label-studio label_studio.json")
    assert str(report).startswith("5 labels recorded, 1 skipped, 1 without label, 1 with an empty answer, 1 of images")
    assert "does not have (pets/nowhere.png), 1 that people label differently (b.jpg)" in str(report)


@pytest.fixture
def labeled(project):
    """Nine labels by two people, one image skipped, three held out, two not labelled."""
    rows = project.select(12, holdout=3).rows
    for row in rows[:12]:
        project.label(row, ("red", "green", "blue")[row % 3], annotator="Ada", seconds=1.5)
    project.label(rows[0], "blue", annotator="Bo")
    project.label(rows[0], "red", annotator="Cy")
    project.skip(rows[12], "blurred", annotator="Ada")
    return project


@pytest.mark.parametrize("format", WRITTEN)
def test_round_trips(labeled, format, tmp_path, extractor):
    target = tmp_path / FILE_OF.get(format, "exported")
    message = labeled.export(target, format)
    assert message.endswith(".")
    with LabelingProject.create(tmp_path / "fresh", labeled.images_folder) as fresh:
        fresh.import_labels(target, format)
        assert fresh.labels == labeled.labels
        again = fresh.import_labels(target, format)
        assert again.n_labels == 0
        if format in ("label-studio", "csv"):  # that keep people apart
            assert fresh.disagreements() == labeled.disagreements()
            assert fresh.skipped.keys() == labeled.skipped.keys()
            assert {each.seconds for each in fresh.ledger.history if each.annotator == "Ada"} >= {1.5}
    assert labeled.import_labels(target, format).n_labels == 0


@pytest.mark.parametrize("format", ["imagefolder", "class-folders"])
@pytest.mark.parametrize("link", [False, True])
def test_folders_hold_the_images_and_keep_those_to_test_with_apart(labeled, format, link, tmp_path):
    labeled.export(tmp_path / "out", format, link=link)
    files = sorted((tmp_path / "out").rglob("*.png"))
    assert len(files) == len(labeled.labels)
    tested = [path for path in files if path.relative_to(tmp_path / "out").parts[0] == "test"]
    assert len(tested) == len(set(labeled.held_out) & set(labeled.labels)) > 0
    assert all(path.is_symlink() == link for path in files)
    sizes = {(tmp_path / "photos" / image.path).read_bytes() for image in labeled.images}
    assert {path.read_bytes() for path in files} <= sizes


READ_BY_DATASETS = """
import json, sys
from datasets import load_dataset
loaded = load_dataset("imagefolder", data_dir=sys.argv[1], cache_dir=sys.argv[2])
print(json.dumps({split: dict(zip(loaded[split]["skal_id"], loaded[split]["label"])) for split in loaded}))
"""


@pytest.mark.slow
def test_datasets_reads_an_imagefolder(labeled, tmp_path):
    pytest.importorskip("datasets")
    labeled.export(tmp_path / "out", "imagefolder")
    # In a process of its own, for datasets leaves files open.
    command = [sys.executable, "-c", READ_BY_DATASETS, tmp_path / "out", tmp_path / "cache"]
    loaded = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for split, is_test in (("train", False), ("test", True)):
        rows = {row for row in labeled.labels if (row in labeled.held_out) == is_test}
        assert loaded[split] == {str(row): labeled.labels[row] for row in rows}


def test_label_studio_gets_tasks_that_it_can_read(labeled, tmp_path):
    labeled.train()
    message = labeled.export(tmp_path / "tasks.json", "label-studio", suggestions=True)
    assert "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true" in message
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    overwritten = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "label"}
    held_out = set(labeled.held_out)
    n_suggestions = 0
    for task in tasks:
        assert not overwritten & task["data"].keys()
        assert task["data"]["image"].startswith("/data/local-files/?d=photos/")
        assert " " not in task["data"]["image"]
        for prediction in task.get("predictions", []):
            n_suggestions += 1
            assert task["data"]["skal_id"] not in held_out
            assert 0 <= prediction["score"] <= 1
            assert prediction["result"][0]["value"]["choices"][0] in labeled.classes
        for annotation in task.get("annotations", []):
            assert annotation["ground_truth"] is False
            assert "completed_by" not in annotation
    waiting = {image.row for image in labeled.queue} - held_out
    assert n_suggestions == len(waiting) + len(set(labeled.skipped) - held_out)
    config = (tmp_path / "tasks.config.xml").read_text()
    assert all(f'<Choice value="{name}"/>' in config for name in labeled.classes)


def test_cvat_numbers_images_in_the_order_of_their_names(pets, tmp_path):
    pets.label("new york/a 1.png", "dog")
    pets.export(tmp_path / "annotations.xml", "cvat", which="all")
    text = (tmp_path / "annotations.xml").read_text()
    places = [text.index(f'<image id="{number}" name="{name}"') for number, name in enumerate(
        ("a.png", "b.jpg", "c.png", "käse.png", "new york/a 1.png", "new york/b.v2.png"))]  # fmt: skip
    assert places == sorted(places)
    assert 'width="24" height="10"' in text[places[4] :]


def test_which_images_are_exported(labeled, tmp_path):
    for which, expected in (("picked", 15), ("pending", 2), ("labeled", 12), ("all", 60)):
        labeled.export(tmp_path / "labels.csv", "csv", which=which)
        rows = list(csv.DictReader((tmp_path / "labels.csv").read_text().splitlines()))
        assert len({row["skal_id"] for row in rows}) == expected
    with pytest.raises(ValueError, match="which='none'"):
        labeled.export(tmp_path / "labels.csv", "csv", which="none")


def test_exports_that_cannot_be(pets, tmp_path):
    with pytest.raises(NothingToDoError, match="no image to export"):
        pets.export(tmp_path / "x.csv", "csv")
    with pytest.raises(ValueError, match="No format 'coco' can be written; there are label-studio, cvat"):
        pets.export(tmp_path / "x", "coco", which="all")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        pets.export(tmp_path / "no" / "x.csv", "csv", which="all")
    shutil.copy(pets.path_of(0), pets.images_folder / "a.bmp.png")
    Image.new("RGB", (3, 3)).save(pets.images_folder / "a.bmp")
    pets.update()
    for format in ("cvat", "datumaro", "fiftyone"):
        with pytest.raises(ValueError, match=r"'a\.bmp' and 'a\.png' are the same|'a\.png' and 'a\.bmp' are the same"):
            pets.export(tmp_path / "x", format, which="all")
    pets.label(0, "../cat", new_class=True)
    with pytest.raises(ValueError, match=r"'\.\./cat' is no name of a folder"):
        pets.export(tmp_path / "x", "class-folders")


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_contradictions_are_refused_whole_and_replaced_on_request(pets, tmp_path):
    first = write(tmp_path / "1.csv", "path,label,annotator\na.png,cat,Ada\nb.jpg,cat,Ada\n")
    second = write(tmp_path / "2.csv", "path,label,annotator\nc.png,cat,Ada\na.png,dog,Ada\n")
    pets.import_labels(first, "csv")
    with pytest.raises(ValueError, match=r"a\.png was 'cat' and is 'dog' now\. Nothing was recorded"):
        pets.import_labels(second, "csv")
    assert labels_by_path(pets) == {"a.png": "cat", "b.jpg": "cat"}
    report = pets.import_labels(second, "csv", replace=True)
    assert (report.n_labels, report.n_replaced) == (2, 1)
    assert labels_by_path(pets)["a.png"] == "dog"
    itself = write(tmp_path / "3.csv", "path,label\nc.png,cat\nc.png,dog\n")
    with pytest.raises(ValueError, match=r"c\.png is 'cat' in row 1 and 'dog' in row 2"):
        pets.import_labels(itself, "csv", annotator="Bo")


def test_files_of_two_people_that_disagree_are_both_kept(pets, tmp_path):
    for who, label in (("ada", "cat"), ("bo", "dog")):
        write(tmp_path / f"{who}.csv", f"path,label\na.png,{label}\n")
        report = pets.import_labels(tmp_path / f"{who}.csv", "csv")
    assert report.disagreements == {"a.png": {"(csv ada.csv)": "cat", "(csv bo.csv)": "dog"}}
    assert labels_by_path(pets) == {"a.png": "dog"}  # a tie goes to the latest


@pytest.mark.parametrize(
    ("format", "text", "message"),
    [
        ("label-studio", "{", "is no JSON"),
        ("label-studio", "{}", "is no list of Label Studio's tasks"),
        ("label-studio", '[{"image": "a.png", "label": "cat"}]', "read it as label-studio-min"),
        ("label-studio-min", '[{"data": {}}]', "read it as label-studio"),
        ("label-studio-min", '[{"image": "a.png", "label": {"choices": ["cat", "dog"]}}]', "2 choices"),
        ("label-studio-csv", "path,label\n", "holds no image"),
        ("label-studio-csv", "path,label\na,b\n", "no column 'image'"),
        ("cvat", "<annotations><image id='0' name='a.png'><tag label='cat'/><tag label='dog'/></image></annotations>",
         r"image 0 \(a.png\): it has 2 tags"),
        ("cvat", "<other/>", "root <other>"),
        ("cvat", "<annotations>", "is no XML"),
        ("cvat", '<!DOCTYPE x [<!ENTITY a "b">]><annotations>&a;</annotations>', "declares a document type"),
        ("datumaro", "{}", "no Datumaro file"),
        ("datumaro", '{"categories": {"label": {"labels": []}}, "items": [{"id": "a", "annotations": '
         '[{"type": "label", "label_id": 3}]}]}', "label_id 3 is none of the 0 labels"),
        ("fiftyone", "[]", "no labels.json"),
        ("fiftyone", '{"classes": ["cat"], "labels": {"a": 7}}', "label 7 is no index"),
        ("imagefolder", "path,label\na,b\n", "no columns file_name and label"),
        ("csv", "path,labels\na.png,cat\n", "needs columns path"),
        ("csv", "path,label,skipped\na.png,cat,blurred\n", "one is meant"),
        ("csv", "path,label,seconds\na.png,cat,long\n", "seconds is 'long'"),
        ("csv", "path,label\na.png,cow\n", "'cow' is none of the classes cat, dog"),
        ("csv", "path,label\nx.png,cat\ny.png,cat\n", "has none of the 2 images"),
        ("csv", "skal_id,path,label\n1,a.png,cat\n", "is of another project"),
        ("csv", 'path,label\n"a.png,cat\n', "is no table"),
    ],
)  # fmt: skip
def test_files_that_are_wrong(pets, tmp_path, format, text, message):
    suffix = {"cvat": ".xml", "csv": ".csv", "label-studio-csv": ".csv", "imagefolder": ".csv"}.get(format, ".json")
    with pytest.raises(ValueError, match=message):
        pets.import_labels(write(tmp_path / f"wrong{suffix}", text), format)
    assert pets.ledger.history == ()


@pytest.mark.parametrize("format", [each.name for each in FORMATS if each.read is not None])
def test_a_file_that_is_not_there(pets, tmp_path, format):
    with pytest.raises((FileNotFoundError, ValueError), match=r"There is no|is a folder|holds no"):
        pets.import_labels(tmp_path / "nowhere", format)


def test_a_path_finds_one_image_or_none(tmp_path):
    names = ("a.png", "x/a.png", "x/b.jpg", "y/b.jpg", "z/c.v2.png", "d.png", "d.jpg")
    finder = ImageFinder(Manifest.new(tmp_path, tmp_path, [ImageFile(name, name, 1, 1) for name in names]))

    def find(path, skal_id=None):
        return finder.find(ImportedLabel("row 1", "labelled", "cat", path=path, skal_id=skal_id))

    assert find("x/a.png") == 1
    assert find("a.png") == 0
    assert find("/mnt/photos/x/a.png") == 1
    assert find("C:\\photos\\x\\b.jpg") == 2
    assert find("b.jpg") is None  # of x or of y
    assert find("b.jpg", 3) == 3
    assert find("x/a") == 1
    assert find("z/c.v2") == find("c.v2") == 4
    assert find("d") is None
    assert find("e.png") is find("e.png", 2) is find("") is find("/") is None
    assert find(None, 5) == 5
    with pytest.raises(ValueError, match="of another project"):
        find("a.png", 1)


def test_every_format_says_what_it_is():
    assert len({each.name for each in FORMATS}) == len(FORMATS) == 9
    assert all(each.read is not None for each in FORMATS)
    assert format_named("csv", to_write=True).target == "labels.csv"
