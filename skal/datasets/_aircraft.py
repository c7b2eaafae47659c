"""FGVC-Aircraft from its images and lists."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from skal.datasets._lists import check_distinct, check_relative, read_lines
from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike, Source

__all__ = ["load_aircraft"]

_SOURCE = Source(
    "FGVC-Aircraft",
    "fgvc-aircraft-2013b/data/ with images/*.jpg, variants.txt and images_variant_train.txt, images_variant_val.txt, "
    "images_variant_trainval.txt and images_variant_test.txt.",
    "take fgvc-aircraft-2013b.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/ and unpack it there.",
)
_SPLITS = ("train", "val", "trainval", "test")
_N_IMAGES = {
    "sampled": {"train": 5_367, "val": 1_300, "trainval": 6_667, "test": 3_333},
    "official": {"train": 3_334, "val": 3_333, "trainval": 6_667, "test": 3_333},
}
_WHERE_STATED = {"sampled": "Table 15 of the paper", "official": "the dataset's own page"}
_N_CLASSES = 100
_SAMPLED_SHARE = 0.2


def load_aircraft(
    root: PathLike, *, split: str = "train", val: str = "sampled", random_state: int = 0, check_sizes: bool = True
) -> ImageCollection:
    """List the images of FGVC-Aircraft (Aircraft-100), labelled by variant.

    Parameters
    ----------
    root : path-like
        The folder ``fgvc-aircraft-2013b`` as published, the one it lies in, or its ``data``.
    split : {"train", "val", "trainval", "test"}, default="train"
        5,367, 1,300, 6,667 or 3,333 images; 3,334 and 3,333 for "train" and "val" with ``val="official"``.
    val : {"sampled", "official"}, default="sampled"
        Where "val" comes from. "sampled", as in the paper: of the official training and validation
        images together, a fifth of each class, rounded down, drawn at random; the rest is "train". The
        paper's own draw is not published, so its sizes are met but not its images. "official" takes
        the dataset's lists.
    random_state : int, default=0
        Seeds the draw of ``val="sampled"``. The same int gives the same images everywhere: load "train"
        and "val" with the same one. None and a RandomState are refused, for they would draw anew for
        each split, and the two would overlap.
    check_sizes : bool, default=True
        Whether another number of images or classes than in Table 15 of the paper (or, with
        ``val="official"``, than published) is an error. False is for a subset on purpose.

    Returns
    -------
    ImageCollection
        `images` are paths in the order of the list. Classes are in the order of variants.txt. The
        images are as published: the lowest 20 rows of pixels are a banner that names the photographer.

    Raises
    ------
    FileNotFoundError
        If a list, or an image that it names, is missing: which, and how to get it.
    ValueError
        If `random_state` is no int, a line is not an image and one of the variants, or there is another
        number of images or classes than expected.

    References
    ----------
    .. [1] Maji et al., "Fine-Grained Visual Classification of Aircraft", 2013.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4.4 and Table 15.

    Examples
    --------
    >>> from skal.datasets import load_aircraft
    >>> load_aircraft("nowhere", split="test")
    Traceback (most recent call last):
        ...
    FileNotFoundError: FGVC-Aircraft: not found: nowhere/variants.txt, nowhere/images_variant_test.txt.
    Expected in 'nowhere': fgvc-aircraft-2013b/data/ with images/*.jpg, variants.txt and ...
    How to get it: take fgvc-aircraft-2013b.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/ ...
    """
    _SOURCE.check_split(split, _SPLITS)
    if val not in _N_IMAGES:
        raise ValueError(f"val={val!r} is none of 'sampled' and 'official'.")
    if not isinstance(random_state, Integral):
        raise ValueError(
            f"random_state={random_state!r} is no int. 'train' and 'val' are drawn by two calls, and would overlap "
            "unless both draw the same; pass the same int to both."
        )
    folder = _SOURCE.folder(root, "fgvc-aircraft-2013b/data", "data")
    is_drawn = val == "sampled" and split in ("train", "val")
    list_path = folder / f"images_variant_{'trainval' if is_drawn else split}.txt"
    _SOURCE.require_files(root, [folder / "variants.txt", list_path])
    class_names = tuple(read_lines(folder / "variants.txt"))
    check_distinct(class_names, folder / "variants.txt")
    names, y = _read_list(list_path, class_names)
    check_distinct(names, list_path)
    if is_drawn:
        in_val = _draw_of_each_class(y, random_state)
        rows = np.flatnonzero(in_val if split == "val" else ~in_val)
        names, y = [names[row] for row in rows], y[rows]
    if check_sizes:
        _SOURCE.require_size("variants", class_names, _N_CLASSES, _WHERE_STATED[val])
        _SOURCE.require_size(f"{split} images", names, _N_IMAGES[val][split], _WHERE_STATED[val])
    images = [folder / "images" / f"{name}.jpg" for name in names]
    _SOURCE.require_files(root, images)
    return ImageCollection(images, y, class_names, split)


def _read_list(path: Path, class_names: tuple[str, ...]) -> tuple[list[str], npt.NDArray[np.int64]]:
    label_of = {name: label for label, name in enumerate(class_names)}
    names, y = [], []
    for line in read_lines(path):
        name, _, variant = line.partition(" ")
        if variant not in label_of:
            raise ValueError(f"{path} has the line {line!r:.80}; expected an image and a variant of variants.txt.")
        names.append(check_relative(name, path))
        y.append(label_of[variant])
    return names, np.array(y, dtype=np.int64)


def _draw_of_each_class(y: npt.NDArray[np.int64], random_state: int) -> npt.NDArray[np.bool_]:
    # numpy keeps the stream of RandomState, unlike that of Generator, the same in every version
    rng = check_random_state(random_state)
    drawn = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        drawn[rng.permutation(rows)[: int(_SAMPLED_SHARE * len(rows))]] = True
    return drawn
