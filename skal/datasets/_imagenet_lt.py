"""ImageNet-LT from its published lists."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from skal.datasets._lists import check_distinct, check_relative, read_lines
from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike, Source

__all__ = ["load_imagenet_lt"]

_SOURCE = Source(
    "ImageNet-LT",
    "ImageNet_LT_train.txt, ImageNet_LT_val.txt and ImageNet_LT_test.txt beside ImageNet's own train/<wnid>/ and "
    "val/<wnid>/ (or elsewhere, and their folder passed as lists=).",
    "the lists are linked from https://github.com/zhmiao/OpenLongTailRecognition-OLTR; the images are ImageNet's, "
    "https://www.image-net.org/download.php.",
)
_N_IMAGES = {"train": 115_846, "val": 20_000, "test": 50_000}
_N_CLASSES = 1_000


def load_imagenet_lt(
    root: PathLike, *, split: str = "train", lists: PathLike | None = None, check_sizes: bool = True
) -> ImageCollection:
    """List ImageNet-LT: the images of ImageNet that its published lists name.

    Parameters
    ----------
    root : path-like
        ImageNet's folder, which the lines of the lists start from
        (``train/n01440764/n01440764_190.JPEG 0``).
    split : {"train", "val", "test"}, default="train"
        115,846 images, 5 to 1,280 of a class; 20,000, which are training images of ImageNet as well; or
        the 50,000 validation images of ImageNet.
    lists : path-like, default=None
        The folder of the three lists. None means `root`.
    check_sizes : bool, default=True
        Whether another number of images or classes is an error. False is for a subset on purpose.

    Returns
    -------
    ImageCollection
        `images` are paths in the order of the list. `y` is the list's own; class names are the WordNet
        identifiers, which are the names of the folders.

    Raises
    ------
    FileNotFoundError
        If a list, or an image that it names, is missing: which, and how to get it.
    ValueError
        If a line is not an image and a label, one label stands for several folders or a folder for
        several labels, or the list has another number of images or classes than published.

    See Also
    --------
    load_imagenet : All of ImageNet.

    Notes
    -----
    Each image is looked up on disk, none is opened: a second or so for the training images on a local disk.

    References
    ----------
    .. [1] Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4.3.

    Examples
    --------
    >>> from skal.datasets import load_imagenet_lt
    >>> load_imagenet_lt("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: ImageNet-LT: not found: nowhere/ImageNet_LT_train.txt.
    Expected in 'nowhere': ImageNet_LT_train.txt, ImageNet_LT_val.txt and ImageNet_LT_test.txt beside ...
    How to get it: the lists are linked from https://github.com/zhmiao/OpenLongTailRecognition-OLTR; ...
    """
    _SOURCE.check_split(split, _N_IMAGES)
    root = Path(root)
    list_path = Path(root if lists is None else lists) / f"ImageNet_LT_{split}.txt"
    _SOURCE.require_files(root, [list_path])
    entries = [_parse(line, list_path) for line in read_lines(list_path)]
    check_distinct((name for name, _ in entries), list_path)
    class_names = _class_names(entries, list_path)
    if check_sizes:
        where_stated = "section 4.3 of the paper and the published lists"
        _SOURCE.require_size(f"classes in {list_path.name}", class_names, _N_CLASSES, where_stated)
        _SOURCE.require_size(f"images in {list_path.name}", entries, _N_IMAGES[split], where_stated)
    images = [root / name for name, _ in entries]
    _SOURCE.require_files(root, images)
    return ImageCollection(images, np.array([label for _, label in entries], dtype=np.int64), class_names, split)


def _parse(line: str, path: Path) -> tuple[str, int]:
    name, _, label = line.rpartition(" ")
    if not name or not label.isdecimal():
        raise ValueError(f"{path} has the line {line!r:.80}; expected an image and its label, divided by a space.")
    return check_relative(name.strip(), path), int(label)


def _class_names(entries: list[tuple[str, int]], path: Path) -> tuple[str, ...]:
    """The folder of each label, labels being 0, 1, … without a gap."""
    folders: dict[int, str] = {}
    for name, label in entries:
        folder = PurePosixPath(name).parent.name
        if folders.setdefault(label, folder) != folder:
            raise ValueError(f"{path} gives label {label} to images of {folders[label]} and of {folder}.")
    if len(set(folders.values())) < len(folders):
        raise ValueError(f"{path} gives images of one folder several labels; expected one label a folder.")
    if sorted(folders) != list(range(len(folders))):
        raise ValueError(
            f"{path} leaves out labels below {max(folders)}; expected every one from 0: renumber those of a subset."
        )
    return tuple(folders[label] for label in range(len(folders)))
