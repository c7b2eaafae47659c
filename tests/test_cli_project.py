"""The command line of a project, as a user types it."""

import csv
import json
import os
import subprocess
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from skal.cli import app
from skal.labeling import LabelingProject

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Thirty noisy red and green images in a folder whose name is not plain; the working directory holds it."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "my photos ü"
    (folder / "more").mkdir(parents=True)
    for number in range(30):
        picture = rng.integers(0, 60, (8, 8, 3)) + 150 * np.eye(3, dtype=int)[number % 2]
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{'more/' * (number % 3 == 0)}{number:02}.png")
    monkeypatch.chdir(tmp_path)
    return folder


def run(*arguments, status=0, **environment):
    finished = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200", **environment})
    assert finished.exit_code == status, finished.output + repr(finished.exception)
    return finished


def from_json(*arguments, **options):
    return json.loads(run(*arguments, "--json", **options).stdout)


@pytest.fixture
def embedded(photos):
    run("init", photos.name, "--backbone", "resnet18-cifar", "--image-size", "8", "--classes", "red, green")
    run("embed")
    return photos


def fill_in(path):
    rows = list(csv.DictReader(StringIO(path.read_text())))
    for row in rows:
        row["label"] = ("red", "green")[int(Path(row["path"]).stem) % 2]
    text = StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode("utf-8-sig"))  # as Excel leaves it


@pytest.mark.slow
def test_the_whole_way(photos):
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    made = run("init", photos.name, "--backbone", "resnet18-cifar", "--image-size", "8", "--classes", "red, green")
    assert made.stdout == ""
    assert "30 images" in made.stderr
    assert "Next: skal embed" in made.stderr
    assert "random weights" in run("embed").stderr
    assert "All 30 images" in run("embed", status=3).stderr
    table = list(csv.DictReader(StringIO(run("select", "-n", "8", "--holdout", "6").stdout)))
    assert len(table) == 14
    assert sum(int(row["held_out"]) for row in table) == 6
    assert "fill" in run("export", "labels.csv", "--to", "csv").stderr.lower()
    fill_in(Path("labels.csv"))
    assert "14 labels recorded" in run("import", "labels.csv", "--from", "csv", "--annotator", "Ada").stderr
    assert "0 labels recorded, 14 there already" in run("import", "labels.csv", "--from", "csv").stderr
    assert "trained on 8 labels of 2 classes" in run("train").stderr
    found = from_json("evaluate")
    assert (found["n"], found["classes"]) == (6, ["green", "red"])
    assert 0 <= found["low"] <= found["accuracy"] <= found["high"] <= 1
    assert "of 6 held-out labels" in run("evaluate").stdout
    assert run("predict", "-o", "predictions.csv").stdout == ""
    assert len(Path("predictions.csv").read_text().splitlines()) == 31
    assert run("predict").stdout == Path("predictions.csv").read_text()
    elsewhere = run("predict", photos / "more")
    assert len(elsewhere.stdout.splitlines()) == 11
    status = from_json("status")
    assert (status["n_labeled"], status["n_held_out_labeled"], status["n_labels_of_model"]) == (8, 6, 8)
    assert status["next_command"] in run("status").stdout
    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == before


def test_the_project_is_found_from_where_one_stands(embedded, monkeypatch, tmp_path):
    expected = from_json("status")["n_images"]
    for folder in (embedded, tmp_path / f"{embedded.name}.skal"):
        monkeypatch.chdir(folder)
        assert from_json("status")["n_images"] == expected
    monkeypatch.chdir("/")
    assert from_json("status", "-p", embedded)["n_images"] == expected
    assert from_json("status", SKAL_PROJECT=os.fspath(embedded))["n_images"] == expected
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert "There is no project here" in run("status", status=1).stderr
    monkeypatch.chdir(tmp_path)
    LabelingProject.create("other.skal", embedded).close()
    assert "several projects here" in run("status", status=1).stderr


def test_a_flag_goes_before_a_variable_and_that_before_the_file(embedded):
    settings = Path(f"{embedded.name}.skal/skal.toml")
    settings.write_text(settings.read_text() + 'sampler = "RandomSampler"\n')
    for environment, flags, sampler in (
        ({}, (), "RandomSampler"),
        ({"SKAL_SAMPLER": "CoreSetSampler"}, (), "CoreSetSampler"),
        ({"SKAL_SAMPLER": "CoreSetSampler"}, ("--sampler", "KMeansSampler"), "KMeansSampler"),
    ):
        picks = from_json("select", "-n", "3", *flags, **environment)["picks"]
        assert all(sampler in pick["why"] for pick in picks)


def test_errors_are_lines_on_standard_error(embedded):
    for arguments, message in (
        (("evaluate",), "There is no model"),
        (("export", "x", "--to", "coco"), "No format 'coco' can be written"),
        (("import", "x.csv", "--from", "csv"), "There is no file x.csv"),
        (("select", "-n", "31"), "more than the 30 images left"),
        (("select", "-n", "3", "--sampler", "KMeans"), "There is no sampler 'KMeans'"),
        (("embed", "--backbone", "resnet34"), "backbone: 'resnet18-cifar' then, 'resnet34' now"),
        (("init", embedded.name), "is a project already"),
    ):
        finished = run(*arguments, status=1)
        assert message in finished.stderr
        assert finished.stdout == ""
        assert "Traceback" not in finished.output
    for arguments in (("select",), ("train",), ("update",)):
        assert run(*arguments, status=3).stdout == ""
    for arguments in (
        ("select", "-n", "many"),
        ("export", "x"),
        ("predict", "--abstain-below", "2"),
        ("report", "--price", "-1"),
    ):
        run(*arguments, status=2)


def test_two_processes_at_once(embedded):
    with LabelingProject.open(f"{embedded.name}.skal"):
        assert "open in another process" in run("select", "-n", "2", status=1).stderr
        assert from_json("status")["n_embedded"] == 30


def test_problems_and_plan(embedded):
    Image.new("RGB", (8, 8)).save(embedded / "black.png")
    assert "1 new: black.png" in run("update").stderr
    assert from_json("problems")["images"]["dark"] == ["black.png"]
    assert "black.png" in run("problems").stdout
    run("embed")
    assert from_json("select", "-n", "3", "--plan")["n_left"] == 31
    assert "3 picks" in run("select", "-n", "3", "--plan").stdout
    assert from_json("status")["n_picked"] == 0


def test_picks_from_an_array(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    np.save("pool.npy", rng.normal(size=(200, 4)).astype(np.float32))
    run("select", "pool.npy", "-n", "20", "-o", "picks.csv")
    rows = [int(line) for line in Path("picks.csv").read_text().splitlines()[1:]]
    assert len(set(rows)) == 20
    assert [pick["row"] for pick in from_json("select", "pool.npy", "-n", "20")["picks"]] == rows
    assert run("select", "pool.npy", "-n", "20").stdout == Path("picks.csv").read_text()
    run("select", "pool.npy", status=2)
    run("select", "pool.npy", "-n", "3", "--holdout", "2", status=2)
    assert "There is no file" in run("select", "none.npy", "-n", "3", status=1).stderr
    assert "no sampler that picks without labels" in run(
        "select", "pool.npy", "-n", "3", "--sampler", "MarginSampler", status=1
    ).stderr  # fmt: skip
    Path("text.npy").write_text("row\n")
    assert "is no .npy" in run("select", "text.npy", "-n", "3", status=1).stderr


@pytest.mark.slow
def test_what_a_program_reads_stays_clean(embedded, warm_python):
    command = [warm_python, "-m", "skal", "select", "-n", "2", "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert len(json.loads(finished.stdout)["picks"]) == 2
    assert "Round 1: 2 images" in finished.stderr


def test_an_interruption(embedded, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(LabelingProject, "train", interrupted)
    assert "the same command goes on" in run("train", status=130).stderr
