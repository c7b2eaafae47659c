"""CIFAR-10 and CIFAR-100 from their python pickles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skal.datasets._pickles import read_batch
from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike, Source

__all__ = ["load_cifar10", "load_cifar100"]

_HOW = "take the '{} python version' from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it there."
_CIFAR10 = Source(
    "CIFAR-10",
    "cifar-10-batches-py/ with data_batch_1 to data_batch_5, test_batch and batches.meta.",
    _HOW.format("CIFAR-10"),
)
_CIFAR100 = Source("CIFAR-100", "cifar-100-python/ with train, test and meta.", _HOW.format("CIFAR-100"))
_N_IMAGES = {"train": 50_000, "test": 10_000}
_N_CLASSES = {"label_names": 10, "fine_label_names": 100, "coarse_label_names": 20}
_WHERE_STATED = "the dataset's own page"


def load_cifar10(root: PathLike, *, split: str = "train", check_sizes: bool = True) -> ImageCollection:
    """Read CIFAR-10: 32 × 32 color images of 10 classes.

    Parameters
    ----------
    root : path-like
        The folder ``cifar-10-batches-py`` as published (the "python version"), or the one it lies in.
    split : {"train", "test"}, default="train"
        50,000 or 10,000 images.
    check_sizes : bool, default=True
        Whether another number of images or classes is an error. False is for a subset on purpose.

    Returns
    -------
    ImageCollection
        `images` of shape (n, 32, 32, 3), uint8, in memory, in the order of the files; `y` and
        `class_names` in the dataset's own order.

    Raises
    ------
    FileNotFoundError
        If a file is missing: which, where it is expected and how to get it.
    ValueError
        If a file is damaged, is not of this dataset, asks for code to be run, or holds another number
        of images or classes than published.

    See Also
    --------
    load_cifar100 : The same images' larger sibling.

    Notes
    -----
    The files are pickles, as Python 2 wrote them or Python 3 does. They are read without running anything
    in them. 154 MB for the training images, three times that while they are read.

    References
    ----------
    .. [1] Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4.1.

    Examples
    --------
    >>> from skal.datasets import load_cifar10
    >>> load_cifar10("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: CIFAR-10: not found: nowhere/data_batch_1, ... and 3 more.
    Expected in 'nowhere': cifar-10-batches-py/ with data_batch_1 to data_batch_5, test_batch and batches.meta.
    How to get it: take the 'CIFAR-10 python version' from https://www.cs.toronto.edu/~kriz/cifar.html ...
    """
    _CIFAR10.check_split(split, _N_IMAGES)
    folder = _CIFAR10.folder(root, "cifar-10-batches-py")
    batches = [f"data_batch_{number}" for number in range(1, 6)] if split == "train" else ["test_batch"]
    paths, meta = [folder / name for name in batches], folder / "batches.meta"
    _CIFAR10.require_files(root, [*paths, meta])
    return _collect(_CIFAR10, paths, meta, "labels", "label_names", split, check_sizes)


def load_cifar100(
    root: PathLike, *, split: str = "train", labels: str = "fine", check_sizes: bool = True
) -> ImageCollection:
    """Read CIFAR-100: 32 × 32 color images of 100 classes.

    Parameters
    ----------
    root : path-like
        The folder ``cifar-100-python`` as published (the "python version"), or the one it lies in.
    split : {"train", "test"}, default="train"
        50,000 or 10,000 images.
    labels : {"fine", "coarse"}, default="fine"
        The 100 classes, or the 20 that they are grouped in.
    check_sizes : bool, default=True
        Whether another number of images or classes is an error. False is for a subset on purpose.

    Returns
    -------
    ImageCollection
        `images` of shape (n, 32, 32, 3), uint8, in memory, in the order of the file; `y` and
        `class_names` in the dataset's own order.

    Raises
    ------
    FileNotFoundError
        If a file is missing: which, where it is expected and how to get it.
    ValueError
        If a file is damaged, is not of this dataset, asks for code to be run, or holds another number
        of images or classes than published.

    Notes
    -----
    The files are pickles, as Python 2 wrote them or Python 3 does. They are read without running anything
    in them. 154 MB for the training images, three times that while they are read.

    References
    ----------
    .. [1] Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4.1.

    Examples
    --------
    >>> from skal.datasets import load_cifar100
    >>> load_cifar100("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: CIFAR-100: not found: nowhere/train, nowhere/meta.
    Expected in 'nowhere': cifar-100-python/ with train, test and meta.
    How to get it: take the 'CIFAR-100 python version' from https://www.cs.toronto.edu/~kriz/cifar.html ...
    """
    _CIFAR100.check_split(split, _N_IMAGES)
    if labels not in ("fine", "coarse"):
        raise ValueError(f"labels={labels!r} is none of 'fine' and 'coarse'.")
    folder = _CIFAR100.folder(root, "cifar-100-python")
    path, meta = folder / split, folder / "meta"
    _CIFAR100.require_files(root, [path, meta])
    return _collect(_CIFAR100, [path], meta, f"{labels}_labels", f"{labels}_label_names", split, check_sizes)


def _collect(
    source: Source, paths: Sequence[Path], meta: Path, label_key: str, names_key: str, split: str, check_sizes: bool
) -> ImageCollection:
    names = _class_names(_entry(read_batch(meta), names_key, meta), meta)
    if check_sizes:
        source.require_size("class names", names, _N_CLASSES[names_key], _WHERE_STATED)
    parts = [_read_part(path, label_key, len(names)) for path in paths]
    planes = np.concatenate([rows for rows, _ in parts]).reshape(-1, 3, 32, 32)
    if check_sizes:
        source.require_size(f"{split} images", planes, _N_IMAGES[split], _WHERE_STATED)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return ImageCollection(images, np.concatenate([labels for _, labels in parts]), names, split)


def _read_part(path: Path, label_key: str, n_classes: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    batch = read_batch(path)
    rows, labels = _entry(batch, "data", path), _entry(batch, label_key, path)
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3072:
        found = f"{rows.dtype} of {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise ValueError(f"{path} holds images as {found}; expected uint8 of (n, 3072), three planes of 32 × 32.")
    if not isinstance(labels, list):
        raise ValueError(f"{path} holds labels as {type(labels).__name__}; expected a list of whole numbers.")
    wrong = [label for label in labels if type(label) is not int or not 0 <= label < n_classes]
    if wrong or len(labels) != len(rows):
        raise ValueError(
            f"{path} holds {len(labels)} labels for {len(rows)} images"
            + (f", among them {wrong[0]!r:.40}" if wrong else "")
            + f"; expected one each, 0 to {n_classes - 1}."
        )
    return rows, np.array(labels, dtype=np.int64)


def _entry(batch: dict[str, Any], key: str, path: Path) -> Any:
    if key not in batch:
        raise ValueError(f"{path} has no entry {key!r}, only {sorted(batch)}; is it of another dataset?")
    return batch[key]


def _class_names(names: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise ValueError(f"{path} holds class names as {type(names).__name__}; expected a list of texts.")
    return tuple(_class_name(name, path) for name in names)


def _class_name(name: Any, path: Path) -> str:
    if isinstance(name, bytes):
        return name.decode("utf-8")
    if isinstance(name, str):
        return name
    raise ValueError(f"{path} names a class by {type(name).__name__}; expected a text.")
