"""Small copies of the published datasets, in their exact layout on disk."""

import gzip
import pickle
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat


@dataclass
class Written:
    """What was written, and so what a reader must give."""

    root: Path
    splits: dict  # name → (pixels, or paths relative to the root; labels or None)
    class_names: tuple | None
    options: dict = field(default_factory=lambda: {"check_sizes": False})


def python2_pickle(value):
    """The opcodes by which Python 2's protocol 2 wrote the published files."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value):
    if isinstance(value, dict):
        return b"}(" + b"".join(_python2(key) + _python2(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, int):
        return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)
    if isinstance(value, np.ndarray):
        empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        shape = b"(" + b"".join(_python2(size) for size in value.shape) + b"t"
        minus_one = b"J\xff\xff\xff\xff"
        dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + 2 * minus_one + b"K\x00tb"
        return empty + b"(K\x01" + shape + dtype + b"\x89" + _python2(value.tobytes()) + b"tb"
    text = value.encode() if isinstance(value, str) else value
    return (b"U" + bytes([len(text)]) if len(text) < 256 else b"T" + struct.pack("<i", len(text))) + text


def python3_pickle(protocol):
    return lambda value: pickle.dumps(value, protocol)


@pytest.fixture
def python2():
    return python2_pickle


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def random_images(n_images, n_classes, *shape):
    rng = np.random.default_rng(n_images)
    return rng.integers(0, 256, (n_images, *shape), dtype=np.uint8), rng.integers(0, n_classes, n_images)


def cifar_batch(pixels, **labels):
    """One row an image, its red, green and blue planes one after the other."""
    rows = np.stack([image.transpose(2, 0, 1).ravel() for image in pixels])
    return {"data": rows, **{key: values.tolist() for key, values in labels.items()}, "batch_label": "some images"}


def write_cifar10(root, dump=python2_pickle):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    names = tuple(f"thing {number}" for number in range(10))
    (folder / "batches.meta").write_bytes(dump({"num_cases_per_batch": 10_000, "label_names": list(names)}))
    parts = [random_images(n_images, 10, 32, 32, 3) for n_images in (2, 3, 4, 5, 6)]
    test = random_images(7, 10, 32, 32, 3)
    for number, (pixels, y) in enumerate(parts, 1):
        (folder / f"data_batch_{number}").write_bytes(dump(cifar_batch(pixels, labels=y)))
    (folder / "test_batch").write_bytes(dump(cifar_batch(test[0], labels=test[1])))
    train = np.concatenate([pixels for pixels, _ in parts]), np.concatenate([y for _, y in parts])
    return Written(root, {"train": train, "test": test}, names)


def write_cifar100(root, dump=python2_pickle):
    folder = root / "cifar-100-python"
    folder.mkdir()
    fine, coarse = [f"thing {number}" for number in range(100)], [f"group {number}" for number in range(20)]
    (folder / "meta").write_bytes(dump({"fine_label_names": fine, "coarse_label_names": coarse}))
    splits = {"train": random_images(9, 100, 32, 32, 3), "test": random_images(4, 100, 32, 32, 3)}
    for split, (pixels, y) in splits.items():
        (folder / split).write_bytes(dump(cifar_batch(pixels, fine_labels=y, coarse_labels=y // 5)))
    return Written(root, splits, tuple(fine))


def write_fashion_mnist(root, pack=True):
    splits = {"train": random_images(8, 10, 28, 28), "test": random_images(5, 10, 28, 28)}
    for prefix, (pixels, y) in zip(("train", "t10k"), splits.values(), strict=True):
        for name, values in ((f"{prefix}-images-idx3-ubyte", pixels), (f"{prefix}-labels-idx1-ubyte", y)):
            magic = bytes((0, 0, 8, values.ndim))
            content = magic + struct.pack(f">{values.ndim}i", *values.shape) + values.astype(np.uint8).tobytes()
            (root / f"{name}.gz" if pack else root / name).write_bytes(gzip.compress(content) if pack else content)
    names = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
    return Written(root, splits, tuple(names.split(",")))


def write_imagenet(root):
    splits = {
        "train": (["n01/n01_9.JPEG", "n01/n01_10.JPEG", "n02/n02_1.JPEG"], [0, 0, 1]),
        "val": (["n01/ILSVRC2012_val_00000001.JPEG", "n02/ILSVRC2012_val_00000003.JPEG"], [0, 1]),
    }
    for split, (names, y) in splits.items():
        paths = sorted(touch(root / split / name) for name in names)
        splits[split] = [path.relative_to(root) for path in paths], y
    return Written(root, splits, ("n01", "n02"))


def write_imagenet_lt(root):
    lines = {
        "train": ["train/n01440764/n01440764_190.JPEG 0", "train/n01443537/a.JPEG 1", "train/n01440764/b.JPEG 0"],
        "val": ["train/n01440764/c.JPEG 0", "train/n01443537/d.JPEG 1"],
        "test": ["val/n01443537/ILSVRC2012_val_00000002.JPEG 1", "val/n01440764/ILSVRC2012_val_00000001.JPEG 0"],
    }
    splits = {}
    for split, lines_of_split in lines.items():
        (root / f"ImageNet_LT_{split}.txt").write_text("\n".join(lines_of_split) + "\n")
        names, labels = zip(*[line.split() for line in lines_of_split], strict=True)
        splits[split] = [touch(root / name).relative_to(root) for name in names], [int(label) for label in labels]
    return Written(root, splits, ("n01440764", "n01443537"))


def write_flowers102(root, labels=(3, 1, 2, 2, 3, 1, 1), sets=((2, 5), (1, 7), (6, 3, 4))):
    savemat(root / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    numbers = {
        key: np.array([ids], dtype=np.uint16) for key, ids in zip(("trnid", "valid", "tstid"), sets, strict=True)
    }
    savemat(root / "setid.mat", numbers)
    splits = {}
    for split, ids in zip(("train", "val", "test"), sets, strict=True):
        paths = [touch(root / "jpg" / f"image_{number:05d}.jpg") for number in ids]
        splits[split] = [path.relative_to(root) for path in paths], [labels[number - 1] - 1 for number in ids]
    return Written(root, splits, tuple(str(number) for number in range(1, max(labels) + 1)))


def write_dtd(root, names=("banded", "blotchy", "zigzagged"), n_per_class=2):
    splits = {}
    (root / "dtd" / "labels").mkdir(parents=True)
    for offset, split in enumerate(("train", "val", "test")):
        numbers = range(offset * n_per_class, (offset + 1) * n_per_class)
        lines = [f"{name}/{name}_{number:04d}.jpg" for name in names for number in numbers]
        (root / "dtd" / "labels" / f"{split}1.txt").write_text("\n".join(lines) + "\n")
        paths = [touch(root / "dtd" / "images" / line) for line in lines]
        y = np.repeat(np.arange(len(names)), n_per_class)
        splits[split] = [path.relative_to(root) for path in paths], y
    touch(root / "dtd" / "images" / names[0] / ".directory")
    return Written(root, splits, tuple(names))


def write_aircraft(root, names=("707-320", "F/A-18", "Boeing 717"), sizes=(4, 3, 3)):
    """`sizes`: images of train, val and test, dealt to the variants in turn."""
    data = root / "fgvc-aircraft-2013b" / "data"
    data.mkdir(parents=True)
    (data / "variants.txt").write_text("\n".join(names) + "\n")
    splits, first = {}, 0
    for split, size in zip(("train", "val", "test"), sizes, strict=True):
        numbers = range(first, first + size)
        paths = [touch(data / "images" / f"{number:07d}.jpg").relative_to(root) for number in numbers]
        splits[split] = paths, [number % len(names) for number in numbers]
        first += size
    (train, y_train), (val, y_val) = splits["train"], splits["val"]
    splits["trainval"] = [*train, *val], [*y_train, *y_val]
    for split, (paths, y) in splits.items():
        lines = [f"{path.stem} {names[label]}" for path, label in zip(paths, y, strict=True)]
        (data / f"images_variant_{split}.txt").write_text("\n".join(lines) + "\n")
    return Written(root, splits, tuple(names), {"check_sizes": False, "val": "official"})


def write_image_folder(root):
    names = {"train": ["b/2.jpg", "a/1.PNG", "b/1.jpeg"], "test": ["a/x.webp", "b/deep/er/y.tif"]}
    for split, names_of_split in names.items():
        for name in names_of_split:
            touch(root / split / name)
        touch(root / split / "a" / "notes.txt")
    ordered = {split: sorted(Path(split, name) for name in group) for split, group in names.items()}
    splits = {split: (paths, ["ab".index(path.parts[1]) for path in paths]) for split, paths in ordered.items()}
    return Written(root, splits, ("a", "b"), {})


def write_flat_folder(root):
    names = {"pool": ["2.jpg", "10.jpg", "B.png", "a.png"], "more": ["1.bmp"]}
    splits = {}
    for split, names_of_split in names.items():
        paths = sorted(touch(root / split / name) for name in names_of_split)
        splits[split] = [path.relative_to(root) for path in paths], None
    return Written(root, splits, None, {})


WRITERS = {
    writer.__name__.removeprefix("write_"): writer
    for writer in (
        write_aircraft,
        write_cifar10,
        write_cifar100,
        write_dtd,
        write_fashion_mnist,
        write_flat_folder,
        write_flowers102,
        write_image_folder,
        write_imagenet,
        write_imagenet_lt,
    )
}


@pytest.fixture
def write(tmp_path):
    """Write a small copy of a dataset, each into a folder of its own: ``write("cifar10")``."""

    def write_dataset(name, **options):
        root = tmp_path / f"a {name} tree {len(list(tmp_path.iterdir()))}"
        root.mkdir()
        return WRITERS[name](root, **options)

    return write_dataset


@pytest.fixture(params=[python2_pickle, *map(python3_pickle, range(6))], ids=["python 2", *"012345"])
def dump(request):
    """Each way to write a pickle."""
    return request.param
