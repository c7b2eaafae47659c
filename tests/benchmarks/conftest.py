"""Small copies of the paper's datasets in their layouts on disk, of images that a random network can tell apart."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from skal.features import resnet
from skal.features._backbones import ExpectedInput
from skal.samplers import VAALSampler

COLORS = [(220, 40, 40), (40, 200, 60), (50, 60, 220), (230, 210, 50)]


@pytest.fixture(autouse=True)
def vaal_trains_shortly(monkeypatch):
    """What it learns is tested elsewhere."""
    monkeypatch.setitem(VAALSampler.__init__.__kwdefaults__, "max_steps", 10)


@pytest.fixture(autouse=True)
def backbones_expect_small_images(monkeypatch):
    """The files here are no larger, and 224 pixels a side take 20 times as long."""
    _, *others = ExpectedInput.__init__.__defaults__
    monkeypatch.setattr(ExpectedInput.__init__, "__defaults__", (48, *others))


def pixels_of(label, rng):
    """A noisy image of the class's color with some of another's in it, shape (32, 32, 3), uint8."""
    share = 0.6 * rng.random()
    color = (1 - share) * np.array(COLORS[label]) + share * np.array(COLORS[rng.integers(len(COLORS))])
    return np.clip(color + rng.normal(scale=25, size=(32, 32, 3)), 0, 255).astype(np.uint8)


def write_image(path, label, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels_of(label, rng)).save(path, format="JPEG")


def write_cifar10(root, rng):
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write_batch(name, n):
        labels = [position % len(COLORS) for position in range(n)]
        rows = np.stack([pixels_of(label, rng).transpose(2, 0, 1).ravel() for label in labels])
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": labels, "batch_label": name}, protocol=2))

    for number in range(1, 6):
        write_batch(f"data_batch_{number}", 8)
    write_batch("test_batch", 12)
    names = [f"thing {number}" for number in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({"num_cases_per_batch": 8, "label_names": names}, protocol=2))


def write_imagenet(root, rng):
    """The images of ImageNet, and the lists of ImageNet-LT: 8, 5, 3 and 2 of a class."""
    lists = {"train": [], "val": [], "test": []}
    for label in range(len(COLORS)):
        for number in range(8):
            name = f"train/n0{label}/n0{label}_{number}.JPEG"
            write_image(root / name, label, rng)
            if number < (8, 5, 3, 2)[label]:
                lists["train"].append(f"{name} {label}")
        for number in range(3):
            name = f"val/n0{label}/ILSVRC2012_val_{label}{number}.JPEG"
            write_image(root / name, label, rng)
            lists["test"].append(f"{name} {label}")
    for split, lines in lists.items():
        (root / f"ImageNet_LT_{split}.txt").write_text("".join(f"{line}\n" for line in lines))


def write_flowers102(root, rng):
    labels = np.arange(36) % len(COLORS)
    for number, label in enumerate(labels, 1):
        write_image(root / "jpg" / f"image_{number:05d}.jpg", label, rng)
    savemat(root / "imagelabels.mat", {"labels": (labels + 1)[None].astype(np.uint8)})
    ids = np.arange(1, 37, dtype=np.uint16)[None]
    savemat(root / "setid.mat", {"trnid": ids[:, :16], "valid": ids[:, 16:20], "tstid": ids[:, 20:]})


def write_dtd(root, rng):
    names = ("banded", "blotchy", "woven", "zigzagged")
    (root / "labels").mkdir(parents=True)
    for offset, split in enumerate(("train", "val", "test")):
        lines = [f"{name}/{name}_{4 * offset + number:04d}.jpg" for name in names for number in range(4)]
        (root / "labels" / f"{split}1.txt").write_text("".join(f"{line}\n" for line in lines))
        for line in lines:
            write_image(root / "images" / line, names.index(line.split("/")[0]), rng)


def write_aircraft(root, rng):
    data = root / "data"
    variants = ("707-320", "727-200", "A300B4", "Yak-42")
    lines = {"train": [], "val": [], "test": []}
    for number in range(48):
        label = number % len(COLORS)
        write_image(data / "images" / f"{number:07d}.jpg", label, rng)
        lines[("train", "val", "test")[number % 3]].append(f"{number:07d} {variants[label]}")
    lines["trainval"] = lines["train"] + lines["val"]
    for split, lines_of_split in lines.items():
        (data / f"images_variant_{split}.txt").write_text("".join(f"{line}\n" for line in lines_of_split))
    (data / "variants.txt").write_text("".join(f"{name}\n" for name in variants))


@pytest.fixture(scope="session")
def datasets(tmp_path_factory):
    """A folder with each dataset under its name."""
    root, rng = tmp_path_factory.mktemp("datasets"), np.random.default_rng(0)
    write_cifar10(root / "cifar10", rng)
    write_imagenet(root / "imagenet", rng)
    write_flowers102(root / "flowers102", rng)
    write_dtd(root / "dtd", rng)
    write_aircraft(root / "aircraft", rng)
    return root


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A checkpoint of CompRess's layout, with random weights."""
    torch.manual_seed(0)
    backbone = resnet("resnet18")
    state = {f"module.{name}": tensor for name, tensor in backbone.state_dict().items()}
    state |= {"module.fc.weight": torch.zeros(128, 512), "module.fc.bias": torch.zeros(128)}
    path = tmp_path_factory.mktemp("weights") / "compress.pth"
    torch.save({"model": state, "epoch": 130}, path)
    return path
