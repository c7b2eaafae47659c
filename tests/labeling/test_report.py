"""The report: one file that asks nobody, with the same bytes for the same project, in which names are names."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from skal.classifiers import CosineKNNClassifier, GraphClassifier
from skal.cli import app
from skal.labeling import LabelingProject
from skal.labeling.report._answers import answers_of
from skal.labeling.report._map import clusters_of, map_of
from skal.labeling.report._rounds import kinds_of
from skal.labeling.report._training import Lessons, RoundGain

from .conftest import picture, true_label

VOID = {"meta", "img", "path", "rect", "circle", "br"}
TAGS = VOID | {
    "a", "bdi", "body", "caption", "code", "dd", "div", "dl", "dt", "figcaption", "figure", "g", "h1", "h2", "h3",
    "head", "header", "html", "li", "main", "nav", "p", "pre", "section", "small", "span", "style", "svg", "table",
    "tbody", "td", "th", "thead", "title", "tr", "ul",
}  # fmt: skip


class Page(HTMLParser):
    """Tags, attributes and text, as a browser would see them."""

    def __init__(self, content):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self._open = set(), [], [], []
        self.style = ""
        self.feed(content.decode())
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def values(self, name):
        return [value for _, each, value in self.attributes if each == name]


def page_of(project, **options):
    return Page(project.report(**options).read_bytes())


@pytest.fixture
def labeled(project, label_queue):
    """Two rounds, held-out labels, two annotators, a skip, a model."""
    project.select(9, holdout=6)
    project.skip(project.queue[0].row, "blurred", annotator="Bo", seconds=4.0)
    label_queue(project, annotator="Ada", seconds=2.5)
    project.select(5, sampler="KMeansSampler")
    label_queue(project, annotator="Bo", seconds=1.5)
    project.train()
    return project


def test_it_needs_nothing_else(labeled):
    page = page_of(labeled)
    assert page.tags <= TAGS
    for name in ("src", "href"):
        values = page.values(name)
        assert values
        assert all(value.startswith(("data:image/webp;base64,", "#")) for value in values)
    policy = dict(part.strip().split(" ", 1) for part in page.values("content")[0].split(";"))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'", "img-src": "data:", "style-src": f"'sha256-{digest}'", "base-uri": "'none'",
        "form-action": "'none'",
    }  # fmt: skip
    assert not re.search(r"url\(|@import|https?:", page.style + labeled.report().read_text())
    assert not [name for _, name, _ in page.attributes if name == "style" or name.startswith("on")]
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in page.values("href")} <= set(ids)


@pytest.mark.slow
def test_the_same_bytes_in_another_place_time_zone_language_and_hash_seed(labeled, tmp_path):
    expected = labeled.report(price=0.5).read_bytes()
    assert labeled.report(tmp_path / "again.html", price=0.5).read_bytes() == expected
    shutil.copytree(labeled.folder, tmp_path / "elsewhere/photos.skal")
    shutil.copytree(labeled.images_folder, tmp_path / "elsewhere/photos")
    code = (
        "import sys; from skal.labeling import LabelingProject as P; p = P.open(sys.argv[1], read_only=True); "
        "p.report(sys.argv[2], price=0.5)"
    )
    written = tmp_path / "elsewhere.html"
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "1"}
    environment["OMP_NUM_THREADS"] = str(torch.get_num_threads() + 1)
    command = [sys.executable, "-W", "ignore", "-c", code, tmp_path / "elsewhere/photos.skal", written]
    subprocess.run(command, check=True, env=environment)
    assert written.read_bytes() == expected


HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'; --", "{{ 7 * 7 }}", "שלום עולם", "猫 🐈",
    "a&amp;b", "</style><svg onload=alert(1)>", "javascript:alert(1)",
)  # fmt: skip


@pytest.mark.slow
def test_names_are_names(tmp_path, extractor):
    rng, folder = np.random.default_rng(0), tmp_path / "<i>photos & co's"
    folder.mkdir()
    names = [f"{number} {name.replace('/', '∕')}.png" for number, name in enumerate(HOSTILE * 4)]
    for number, name in enumerate(names):
        Image.fromarray(picture(rng, number % 3)).save(folder / name)
    turned, line, bytes_only = "abc\u202egnp.exe.png", "two\nlines\x1b[31m.png", os.fsdecode(b"caf\xe9.png")
    for name in (turned, line, bytes_only):
        Image.new("RGB", (8, 8)).save(folder / name)  # dark, so shown among the problems
    with LabelingProject.create(tmp_path / "p", folder) as project:
        project.embed(extractor)
        project.select(18, holdout=9)
        for number, image in enumerate(project.queue):
            if number % 9 == 8:
                project.skip(image.row, HOSTILE[number % 7], annotator=HOSTILE[1])
            else:
                project.label(image.row, HOSTILE[number % 9], annotator=HOSTILE[number % 3])
        project.train()
        content = project.report().read_bytes()
    page = Page(content)
    assert page.tags <= TAGS
    assert not [name for _, name, _ in page.attributes if name == "style" or name.startswith("on")]
    assert {"#", "d"} >= {value[0] for name in ("src", "href") for value in page.values(name)}
    for name in HOSTILE[:8]:
        assert any(text == name for text in page.texts), name
    assert folder.name in page.texts
    assert set(names[:3]) & set(page.values("title")) or set(names) & set(page.values("alt"))
    text = content.decode()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", text)
    assert "abc\ufffdgnp.exe.png" in page.texts
    assert "two\ufffdlines\ufffd[31m.png" in page.texts
    assert "caf\ufffd.png" in page.texts
    assert "49" not in [each.strip() for each in page.texts]


def test_what_it_counts(labeled):
    answers = answers_of(labeled)
    assert {row.name: row.total for row in answers.classes} == labeled.counts()
    assert answers.columns == ("round 1", "round 2", "to test with")
    held_out, first = set(labeled.held_out), set(labeled.ledger.rounds[0].rows)
    for row in answers.classes:
        rows = {each for each, label in labeled.labels.items() if label == row.name}
        assert row.counts == (len(rows & first - held_out), len(rows - first), len(rows & held_out))
    who = {each.name: each for each in answers.annotators}
    assert (who["Ada"].n_labels, who["Ada"].n_skipped, who["Ada"].seconds) == (14, 0, 35.0)
    assert (who["Bo"].n_labels, who["Bo"].n_skipped, who["Bo"].seconds) == (5, 1, 11.5)
    assert (who["Bo"].median_seconds, answers.everybody.seconds) == (1.5, 46.5)
    page = page_of(labeled, price=0.25)
    assert "20 answers, skips included, at 0.25 each: 5.00" in page.text
    found = labeled.evaluate()
    assert f"{found.n_correct} of {found.n} held-out labels" in page.text
    assert f"{found.low:.1%} and {found.high:.1%}" in page.text
    assert "Skipped: blurred 1." in page.text.replace(" 1 .", " 1.")
    with pytest.raises(ValueError, match="price=-1"):
        labeled.report(price=-1)


def test_labels_given_to_many_images_at_once_are_told_apart(labeled):
    assert "many at once" not in page_of(labeled).text
    rows = [row for row in range(60) if row not in labeled.labels and row not in labeled.skipped]
    red = [row for row in rows if true_label(labeled.path_of(row)) == "red"][:4]
    labeled.label_many(red, "red", annotator="Cy", seconds=2.0)
    labeled.settings = labeled.settings.over(price=0.5)
    who = {each.name: each for each in answers_of(labeled).annotators}
    assert (who["Cy"].n_labels, who["Cy"].n_together, who["Cy"].seconds) == (4, 4, 2.0)
    assert (who["Ada"].n_together, answers_of(labeled).everybody.n_together) == (0, 4)
    page = page_of(labeled)
    assert "many at once" in page.text
    assert "24 answers, skips included, at 0.5 each: 12.00" in page.text  # the price of the settings


def test_what_rounds_bought(labeled):
    classifier = CosineKNNClassifier(1)
    gains = Lessons(labeled, classifier).gains()
    assert [gain.number for gain in gains] == [1, 2]
    labels, pool, held_out = labeled.training_labels(), labeled.pool, list(labeled.held_out)
    X = np.asarray(pool.X) / np.linalg.norm(pool.X, axis=1, keepdims=True)
    held_out = [row for row in held_out if row in labeled.labels]
    is_right = []
    for gain, rounds in zip(gains, (labeled.ledger.rounds[:1], labeled.ledger.rounds), strict=True):
        rows = [row for each in rounds for row in each.rows if row in labels]
        distances = 1 - X @ X[pool.positions(rows)].T
        assert gain.n_labels == len(rows)
        assert gain.mean_distance == pytest.approx(distances.min(axis=1).mean(), abs=1e-6)
        nearest = [rows[each] for each in distances[pool.positions(held_out)].argmin(axis=1)]
        is_right.append(
            np.array([labels[near] == labeled.labels[row] for near, row in zip(nearest, held_out, strict=True)])
        )
        assert gain.estimate.accuracy == is_right[-1].mean()
    assert gains[1].n_better == (is_right[1] & ~is_right[0]).sum()
    assert gains[1].n_worse == (is_right[0] & ~is_right[1]).sum()


@pytest.mark.parametrize(
    ("n_better", "n_worse", "is_clear"), [(0, 0, False), (2, 2, False), (5, 0, False), (6, 0, True), (9, 1, True)]
)
def test_what_chance_may_explain(n_better, n_worse, is_clear):
    assert RoundGain(2, 10, 2, 0.5, None, n_better, n_worse).is_clear == is_clear


def test_a_wrong_label_is_the_most_suspect(labeled):
    assert Lessons(labeled, GraphClassifier()).suspects().found == ()
    row = next(iter(labeled.training_labels()))
    truth = labeled.labels[row]
    wrong = next(label for label in ("red", "green", "blue") if label != truth)
    labeled.label(row, wrong, annotator="Bo" if row in labeled.ledger.rounds[1].rows else "Ada")
    suspects = Lessons(labeled, GraphClassifier()).suspects()
    assert (suspects.found[0].row, suspects.found[0].label, suspects.found[0].predicted) == (row, wrong, truth)
    assert suspects.n_compared + suspects.n_left_out == len(labeled.training_labels())
    labeled.train()
    text = page_of(labeled).text
    assert f"labelled {wrong} others say {truth}" in text


def test_the_map_and_the_clusters(labeled):
    pool, kinds, labels = labeled.pool, kinds_of(labeled), labeled.labels
    predicted = dict.fromkeys(range(60), "red")
    drawn = map_of(pool, kinds, labels, predicted)
    assert {mark.row: mark.kind for mark in drawn.marks} == kinds
    assert sum(path.count("M") for _, path in drawn.dots) + len(drawn.marks) == drawn.n_drawn == 60
    assert all(0 <= mark.x <= 800 and 0 <= mark.y <= drawn.height for mark in drawn.marks)
    assert dict(drawn.legend) == {0: "blue", 1: "green", 2: "red"}
    X = np.asarray(pool.X, dtype=float) / np.linalg.norm(pool.X, axis=1, keepdims=True)
    centered = X - X.mean(axis=0)
    variances = np.linalg.svd(centered, compute_uv=False) ** 2
    assert drawn.share == pytest.approx(variances[:2].sum() / variances.sum())
    clusters = clusters_of(pool, kinds, labels, predicted, 0)
    assert sum(each.size for each in clusters) == 60
    assert [each.size for each in clusters] == sorted((each.size for each in clusters), reverse=True)
    assert sum(each.n_picked for each in clusters) == len(kinds)
    for each in clusters:
        colors = {true_label(labeled.path_of(row)) for row in each.rows}
        assert len(colors) == 1
        assert {name for name, _ in each.labels} <= colors


STAGES = {
    "nothing": ("Nothing is embedded yet", "No image was picked yet", "There is no label yet", "There is no model yet"),
    "embedded": ("No image was picked yet", "There is no label to train on yet", "Nobody has answered yet"),
    "picked": ("There is no model yet", "no answer yet", "wait for an answer"),
    "one class": ("None of the 4 images to test with is labelled", "At least four labels of two classes"),
    "no held out": (
        "No image is held out to test with",
        "There are labels of one round only",
        "accuracies are not known",
    ),
    "gone": ("The folder of images was not found", "The images were not found"),
    "old model": ("train again: skal train",),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The images were at")
@pytest.mark.parametrize("stage", STAGES)
def test_what_is_missing_is_said_in_a_sentence(stage, photos, extractor, tmp_path):
    with LabelingProject.create(tmp_path / "p", photos) as project:
        if stage != "nothing":
            project.embed(extractor)
        if stage == "picked":
            project.select(6, holdout=4)
        if stage == "one class":
            picked = project.select(6, holdout=4)
            for row in set(picked.rows) - set(picked.held_out):
                project.label(row, "a color")
            project.train()
        if stage in ("no held out", "old model", "gone"):
            for image in (project.select(8), project.queue)[1]:
                project.label(image.row, true_label(image.path))
            project.train()
        if stage == "old model":
            project.select(3)
            project.label(project.queue[0].row, "red")
    if stage == "gone":
        shutil.move(photos, tmp_path / "away" / "deeper" / "photos")
    with LabelingProject.open(tmp_path / "p", read_only=True) as project:
        page = page_of(project)
    for sentence in STAGES[stage]:
        assert sentence in page.text
    assert not re.search(r"\b(None|nan|Undefined|inf)\b(?! of)", re.sub(r"autocast None|None of", "", page.text))
    assert os.fspath(tmp_path) not in page.text
    assert (tmp_path / "p" / "report.html").exists()


def test_a_file_that_holds_something_else_now_is_not_shown(labeled):
    row = labeled.ledger.rounds[0].rows[0]
    before = page_of(labeled)
    Image.new("RGB", (9, 9), "white").save(labeled.path_of(row))
    after = page_of(labeled)
    assert "file gone or changed" in after.text
    assert "file gone or changed" not in before.text
    assert labeled.images[row].path not in after.values("alt")


def test_the_command(labeled, tmp_path):
    labeled.close()
    run = CliRunner().invoke(
        app, ["report", "-p", str(labeled.folder), "--price", "0.1", "-o", str(tmp_path / "r.html")]
    )
    assert run.exit_code == 0, run.output
    assert run.stdout == ""
    assert f"Written: {tmp_path / 'r.html'}" in run.stderr
    assert "at 0.1 each" in Page((tmp_path / "r.html").read_bytes()).text
    run = CliRunner().invoke(app, ["report", "-p", str(labeled.folder), "--json"])
    assert json.loads(run.stdout) == {"report": str(labeled.folder / "report.html")}


def test_without_jinja2_the_extra_is_named_and_all_else_works(labeled, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("skal.labeling.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    labeled.status()
    assert not [name for name in sys.modules if name.startswith("skal.labeling.report")]
    with pytest.raises(ImportError, match=r"The report needs Jinja2.*\[label\]"):
        labeled.report("x")
