"""ImageNet (ILSVRC 2012) from its folders."""

from __future__ import annotations

from pathlib import Path

from skal.datasets._folders import read_class_folders
from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike, Source

__all__ = ["load_imagenet"]

_SOURCE = Source(
    "ImageNet",
    "train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, 1,000 folders each, such as train/n01440764.",
    "register at https://www.image-net.org/download.php, unpack the training and the validation images of "
    "ILSVRC 2012, and sort the validation images into folders by the labels of the development kit.",
)
_N_IMAGES = {"train": 1_281_167, "val": 50_000}
_N_CLASSES = 1_000


def load_imagenet(root: PathLike, *, split: str = "train", check_sizes: bool = True) -> ImageCollection:
    """List ImageNet's images (ILSVRC 2012), one folder a class.

    Parameters
    ----------
    root : path-like
        Holds ``train/<wnid>/*.JPEG`` and ``val/<wnid>/*.JPEG``.
    split : {"train", "val"}, default="train"
        1,281,167 or 50,000 images.
    check_sizes : bool, default=True
        Whether another number of images or classes is an error. False is for a subset on purpose.

    Returns
    -------
    ImageCollection
        `images` are paths, by class and within it by name. Classes are the sorted WordNet identifiers,
        which are the names of the folders.

    Raises
    ------
    FileNotFoundError
        If there is no such folder (what is expected where, and how to get it), or none a class in it.
    ValueError
        If a class folder is empty, images lie beside the class folders, or there is another number of
        images or classes than published.

    See Also
    --------
    load_imagenet_lt : A part of it with few images of most classes.

    Notes
    -----
    No image is opened. Listing the 1,281,167 training images takes six seconds of one core, where the disk
    has its directories at hand, and 430 MB for the paths.

    References
    ----------
    .. [1] Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4.2.

    Examples
    --------
    >>> from skal.datasets import load_imagenet
    >>> load_imagenet("nowhere", split="val")
    Traceback (most recent call last):
        ...
    FileNotFoundError: ImageNet: not found: nowhere/val.
    Expected in 'nowhere': train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, 1,000 folders each, such as ...
    How to get it: register at https://www.image-net.org/download.php, ...
    """
    _SOURCE.check_split(split, _N_IMAGES)
    folder = Path(root) / split
    _SOURCE.require_folders(root, [folder])
    collection = read_class_folders(folder, split)
    if check_sizes:
        where_stated = "section 4 of the paper and ILSVRC 2012"
        _SOURCE.require_size(f"classes in {split}", collection.class_names or (), _N_CLASSES, where_stated)
        _SOURCE.require_size(f"{split} images", collection, _N_IMAGES[split], where_stated)
    return collection
