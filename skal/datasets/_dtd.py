"""The Describable Textures Dataset from its folders and lists."""

from __future__ import annotations

import numpy as np

from skal.datasets._folders import list_class_folders
from skal.datasets._lists import check_distinct, check_relative, read_lines
from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike, Source

__all__ = ["load_dtd"]

_SOURCE = Source(
    "DTD",
    "dtd/images/<class>/*.jpg and dtd/labels/train1.txt, val1.txt, test1.txt to train10.txt, val10.txt, test10.txt.",
    "take dtd-r1.0.1.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/dtd/ and unpack it there.",
)
_SPLITS = ("train", "val", "test")
_N_PARTITIONS = 10
_N_IMAGES = 1_880
_N_CLASSES = 47
_WHERE_STATED = "Table 15 of the paper"


def load_dtd(root: PathLike, *, split: str = "train", partition: int = 1, check_sizes: bool = True) -> ImageCollection:
    """List the images of the Describable Textures Dataset (DTD-47) with the official splits.

    Parameters
    ----------
    root : path-like
        The folder ``dtd`` as published, with ``images/`` and ``labels/``, or the one it lies in.
    split : {"train", "val", "test"}, default="train"
        1,880 images each, 40 of a class.
    partition : int, default=1
        Which of the ten official partitions into the three, 1 to 10. The paper does not say; papers
        that report one partition report the first.
    check_sizes : bool, default=True
        Whether another number of images or classes than in Table 15 of the paper is an error. False is
        for a subset on purpose.

    Returns
    -------
    ImageCollection
        `images` are paths in the order of the list. Classes are the sorted names of the folders.

    Raises
    ------
    FileNotFoundError
        If a list, or an image that it names, is missing: which, and how to get it.
    ValueError
        If a line is not a class and an image, or there is another number of images or classes than in
        Table 15.

    References
    ----------
    .. [1] Cimpoi et al., "Describing Textures in the Wild", CVPR 2014.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4.4 and Table 15.

    Examples
    --------
    >>> from skal.datasets import load_dtd
    >>> load_dtd("nowhere", split="test")
    Traceback (most recent call last):
        ...
    FileNotFoundError: DTD: not found: nowhere/labels/test1.txt.
    Expected in 'nowhere': dtd/images/<class>/*.jpg and dtd/labels/train1.txt, val1.txt, ...
    How to get it: take dtd-r1.0.1.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/dtd/ ...
    """
    _SOURCE.check_split(split, _SPLITS)
    if partition not in range(1, _N_PARTITIONS + 1):
        raise ValueError(f"partition={partition!r} is none of DTD's, 1 to {_N_PARTITIONS}.")
    folder = _SOURCE.folder(root, "dtd")
    list_path, image_folder = folder / "labels" / f"{split}{partition}.txt", folder / "images"
    _SOURCE.require_files(root, [list_path])
    _SOURCE.require_folders(root, [image_folder])
    class_names = tuple(class_folder.name for class_folder in list_class_folders(image_folder))
    names = [check_relative(line, list_path) for line in read_lines(list_path)]
    check_distinct(names, list_path)
    if check_sizes:
        _SOURCE.require_size("classes", class_names, _N_CLASSES, _WHERE_STATED)
        _SOURCE.require_size(f"images in {list_path.name}", names, _N_IMAGES, _WHERE_STATED)
    images = [image_folder / name for name in names]
    _SOURCE.require_files(root, images)
    label_of = {name: label for label, name in enumerate(class_names)}
    astray = next((name for name in names if name.partition("/")[0] not in label_of), None)
    if astray is not None:
        raise ValueError(f"{list_path} has the line {astray!r:.80}; expected <class>/<image>.")
    y = np.array([label_of[name.partition("/")[0]] for name in names], dtype=np.int64)
    return ImageCollection(images, y, class_names, split)
