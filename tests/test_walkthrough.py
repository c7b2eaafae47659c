"""The scripts of docs/getting_started.md on a folder of photos, as a new user would run them, from the page alone."""

import re
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score

from skal.datasets import load_fashion_mnist
from skal.features import resnet
from skal.rounds import IterativeSampler, Ledger
from skal.samplers import KMeansSampler

GUIDE = Path(__file__).parents[1] / "docs" / "getting_started.md"
N_POOL, N_ADDED, N_NEW = 110, 10, 30
CANNOT_TELL = {3, 17, 31, 60, 88}  # of the photos asked for, in turn
CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def scripts():
    """The code of the section, by the name that the text gives it."""
    section = GUIDE.read_text().split("## From a folder to a model, in Python")[1].split("\n## ")[0]
    return dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", section, re.DOTALL))


def pixels_and_classes(n_images):
    try:
        images = load_fashion_mnist(split="train")
    except FileNotFoundError:  # ten kinds of stripes
        rng = np.random.default_rng(0)
        kinds = rng.integers(10, size=n_images)
        waves = np.sin(np.arange(28) * (kinds[:, None] + 1) / 5)[:, None, :] * 100 + 128
        return (waves + rng.normal(scale=20, size=(n_images, 28, 28))).clip(0, 255).astype(np.uint8), kinds
    return images.images[:n_images], images.y[:n_images]


@pytest.fixture
def truth(tmp_path, monkeypatch):
    """What is to be seen on each photo; those of the pool are written, the others by `write`."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.save(resnet("resnet18").state_dict(), "checkpoint.pth")
    pixels, kinds = pixels_and_classes(N_POOL + N_ADDED + N_NEW)
    photos = {}
    for number, (image, kind) in enumerate(zip(pixels, kinds, strict=True)):
        folder = "new photos" if number >= N_POOL + N_ADDED else f"photos/Größe {number % 3}/lot {number % 7} – 写真"
        name = f"{'a later' if number >= N_POOL else 'Bild'} {number:03} ü (1).png"
        photos[f"{folder}/{name}"] = (image, CLASSES[kind])
    write(photos, list(photos)[:N_POOL])
    return photos


def write(photos, names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photos[name][0]).save(name)


def run(python, name):
    Path(name).write_text(scripts()[name])
    command = [python, name]
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.slow
def test_the_page_leads_from_a_folder_of_photos_to_a_model(truth, monkeypatch, warm_python):
    asked = []

    def person(prompt):
        asked.append(re.fullmatch(r"What is (.*)\? ", prompt)[1])
        return "" if len(asked) in CANNOT_TELL else truth[asked[-1]][1]

    monkeypatch.setattr("builtins.input", person)
    Path("label.py").write_text(scripts()["label.py"])
    runpy.run_path("label.py")
    assert len(asked) == len(set(asked)) == 105
    runpy.run_path("label.py")  # again: nothing is left to ask
    assert len(asked) == 105

    before = np.load("photos.npy").copy()
    write(truth, list(truth)[N_POOL:])
    trained = run(warm_python, "train.py")
    assert f"{N_POOL + N_ADDED} of {N_POOL + N_ADDED} images" in trained.stderr
    after = np.load("photos.npy")
    assert (len(before), len(after)) == (N_POOL, N_POOL + N_ADDED)
    np.testing.assert_array_equal(after[:N_POOL], before)

    ledger = Ledger.read("labels.jsonl")
    assert (len(ledger.labels), len(ledger.skipped), len(ledger.pending)) == (100, 5, 0)
    skipped = [asked[turn - 1] for turn in sorted(CANNOT_TELL)]
    answered = [name for name in asked if name not in skipped]
    in_order = sorted(list(truth)[:N_POOL])
    assert {in_order[row] for row in ledger.labeled_indices} == set(answered)
    assert [truth[in_order[row]][1] for row in ledger.labeled_indices] == ledger.labels.tolist()

    predicted = run(warm_python, "predict.py").stdout.split("\n")[:-1]
    new = sorted(list(truth)[N_POOL + N_ADDED :])
    assert accuracy_score([truth[name][1] for name in new], predicted) > 0.3  # random weights; chance is 0.1

    rounds = IterativeSampler(KMeansSampler(), budgets=(105,), random_state=0)
    rounds.fit(
        after,
        lambda rows: ["bag"] * len(rows),
        ledger="more.jsonl",
        labeled_indices=ledger.labeled_indices,
        labels=ledger.labels,
    )
    assert len(rounds.selected_indices_) == 5
    assert not np.isin(rounds.selected_indices_, ledger.labeled_indices).any()


def test_the_page_is_short():
    lines = [line for code in scripts().values() for line in code.splitlines() if line.strip()]
    assert list(scripts()) == ["label.py", "train.py", "predict.py"]
    assert len(lines) <= 22
