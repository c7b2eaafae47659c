"""Flowers-102 from its images and MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from skal.datasets._lists import check_distinct
from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike, Source

__all__ = ["load_flowers102"]

_SOURCE = Source(
    "Flowers-102",
    "jpg/image_00001.jpg to jpg/image_08189.jpg, imagelabels.mat and setid.mat.",
    "take the dataset images (102flowers.tgz, unpacked), the image labels and the data splits from "
    "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/.",
)
_SET_OF_SPLIT = {"train": "trnid", "val": "valid", "test": "tstid"}
_N_IMAGES = {"train": 1_020, "val": 1_020, "test": 6_149}
_N_CLASSES = 102
_WHERE_STATED = "Table 15 of the paper"


def load_flowers102(root: PathLike, *, split: str = "train", check_sizes: bool = True) -> ImageCollection:
    """List the images of Flowers-102 with the official splits.

    Parameters
    ----------
    root : path-like
        Holds ``jpg/``, ``imagelabels.mat`` and ``setid.mat``, or a folder ``flowers-102`` that does.
    split : {"train", "val", "test"}, default="train"
        1,020, 1,020 or 6,149 images (``trnid``, ``valid`` and ``tstid`` of setid.mat).
    check_sizes : bool, default=True
        Whether another number of images or classes than in Table 15 of the paper is an error. False is
        for a subset on purpose.

    Returns
    -------
    ImageCollection
        `images` are paths in the order of setid.mat. Classes are in the dataset's own order, from 0, and
        named "1" to "102", as the published files name them.

    Raises
    ------
    FileNotFoundError
        If a file is missing: which, where it is expected and how to get it.
    ValueError
        If a MATLAB file is damaged or not of this dataset, or there is another number of images or
        classes than in Table 15.

    References
    ----------
    .. [1] Nilsback and Zisserman, "Automated Flower Classification over a Large Number of Classes",
       ICVGIP 2008.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4.4 and Table 15.

    Examples
    --------
    >>> from skal.datasets import load_flowers102
    >>> load_flowers102("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: Flowers-102: not found: nowhere/imagelabels.mat, nowhere/setid.mat.
    Expected in 'nowhere': jpg/image_00001.jpg to jpg/image_08189.jpg, imagelabels.mat and setid.mat.
    How to get it: take the dataset images (102flowers.tgz, unpacked), the image labels and ...
    """
    _SOURCE.check_split(split, _SET_OF_SPLIT)
    folder = _SOURCE.folder(root, "flowers-102")
    labels_path, sets_path = folder / "imagelabels.mat", folder / "setid.mat"
    _SOURCE.require_files(root, [labels_path, sets_path])
    all_labels = _read_whole_numbers(labels_path, "labels")
    image_numbers = _read_whole_numbers(sets_path, _SET_OF_SPLIT[split])
    if image_numbers.max() > len(all_labels):
        raise ValueError(
            f"{sets_path} lists image {image_numbers.max()}, but {labels_path} has {len(all_labels)} labels; "
            "they do not belong together."
        )
    check_distinct(map(str, image_numbers), sets_path)
    n_classes = int(all_labels.max())
    if check_sizes:
        _SOURCE.require_size("classes", n_classes, _N_CLASSES, _WHERE_STATED)
        _SOURCE.require_size(f"{split} images", image_numbers, _N_IMAGES[split], _WHERE_STATED)
    images = [folder / "jpg" / f"image_{number:05d}.jpg" for number in image_numbers]
    _SOURCE.require_files(root, images)
    names = tuple(str(number) for number in range(1, n_classes + 1))
    return ImageCollection(images, all_labels[image_numbers - 1] - 1, names, split)


def _read_whole_numbers(path: Path, key: str) -> npt.NDArray[np.int64]:
    """The entries of a MATLAB vector of whole numbers ≥ 1."""
    try:
        content = loadmat(path, variable_names=[key])
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(f"{path} is damaged or no MATLAB file: {type(error).__name__}: {error}") from error
    if key not in content:
        raise ValueError(f"{path} has no variable {key!r}; is it of another dataset?")
    numbers = np.ravel(content[key])
    if numbers.dtype.kind not in "iuf" or not len(numbers) or (numbers < 1).any() or (numbers % 1 != 0).any():
        raise ValueError(f"{path}: {key} must be a vector of whole numbers from 1; found {numbers.dtype} {numbers}.")
    return numbers.astype(np.int64)
