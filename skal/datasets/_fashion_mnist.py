"""Fashion-MNIST from its IDX files."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike, Source

__all__ = ["load_fashion_mnist"]

_DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
_SOURCE = Source(
    "Fashion-MNIST",
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each "
    "packed as .gz or not.",
    f"install Debian's package dataset-fashion-mnist, which puts them into {_DEBIAN_FOLDER}, or take the four files "
    "from https://github.com/zalandoresearch/fashion-mnist.",
)
_PREFIX_OF_SPLIT = {"train": "train", "test": "t10k"}
_N_IMAGES = {"train": 60_000, "test": 10_000}
_CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_UINT8_CODE = 8


def load_fashion_mnist(
    root: PathLike = _DEBIAN_FOLDER, *, split: str = "train", check_sizes: bool = True
) -> ImageCollection:
    """Read Fashion-MNIST: 28 × 28 grey images of 10 classes of clothes.

    Parameters
    ----------
    root : path-like, default="/usr/share/datasets/fashion-mnist"
        The folder of the IDX files, packed (.gz) or not. The default is where Debian's package
        dataset-fashion-mnist puts them.
    split : {"train", "test"}, default="train"
        60,000 or 10,000 images.
    check_sizes : bool, default=True
        Whether another number of images is an error. False is for a subset on purpose.

    Returns
    -------
    ImageCollection
        `images` of shape (n, 28, 28), uint8, read-only: mapped from a file that is not packed, otherwise
        unpacked into memory (47 MB for the training images). `y` and `class_names` in the dataset's own order.

    Raises
    ------
    FileNotFoundError
        If a file is missing: which, where it is expected and how to get it.
    ValueError
        If a file is damaged or no IDX file of bytes, images and labels do not belong together, or there
        is another number of images than published.

    References
    ----------
    .. [1] Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
       Learning Algorithms", 2017.

    Examples
    --------
    >>> from skal.datasets import load_fashion_mnist
    >>> load_fashion_mnist("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: Fashion-MNIST: not found: nowhere/train-images-idx3-ubyte.gz, ...
    Expected in 'nowhere': train-images-idx3-ubyte, train-labels-idx1-ubyte, ...
    How to get it: install Debian's package dataset-fashion-mnist, ...
    """
    _SOURCE.check_split(split, _PREFIX_OF_SPLIT)
    prefix = _PREFIX_OF_SPLIT[split]
    images_path = _packed_or_not(Path(root), f"{prefix}-images-idx3-ubyte")
    labels_path = _packed_or_not(Path(root), f"{prefix}-labels-idx1-ubyte")
    _SOURCE.require_files(root, [images_path, labels_path])
    images, labels = _read_idx(images_path, 3), _read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise ValueError(f"{images_path} has {len(images)} images, but {labels_path} {len(labels)} labels.")
    if labels.max() >= len(_CLASS_NAMES):
        raise ValueError(f"{labels_path} holds the label {labels.max()}; expected 0 to {len(_CLASS_NAMES) - 1}.")
    if check_sizes:
        _SOURCE.require_size(f"{split} images", images, _N_IMAGES[split], "the dataset's own page")
    return ImageCollection(images, labels.astype(np.int64), _CLASS_NAMES, split)


def _packed_or_not(root: Path, name: str) -> Path:
    """The file that is not packed, where there is one: it can be mapped."""
    plain = root / name
    return plain if plain.is_file() else plain.with_name(f"{name}.gz")


def _read_idx(path: Path, n_dims: int) -> npt.NDArray[np.uint8]:
    """Read bytes of `n_dims` dimensions: a magic number, the sizes (big-endian int32), the values."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    header_bytes = 4 + 4 * n_dims
    try:
        with opened(path, "rb") as file:
            header = file.read(header_bytes)
            if header[:4] != bytes((0, 0, _UINT8_CODE, n_dims)) or len(header) < header_bytes:
                raise ValueError(f"{path} is no IDX file of bytes in {n_dims} dimensions: it begins {header[:4]!r}.")
            shape = tuple(int(size) for size in np.frombuffer(header, ">u4", offset=4))
            if 0 in shape:
                raise ValueError(f"{path} holds nothing: its header says {shape}.")
            if path.suffix != ".gz":
                _check_n_bytes(path, shape, path.stat().st_size - header_bytes)
                return np.memmap(path, np.uint8, "r", offset=header_bytes, shape=shape)
            values = file.read(math.prod(shape) + 1)
    except (EOFError, OverflowError, MemoryError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or cut off: {error}") from error
    _check_n_bytes(path, shape, len(values))
    return np.frombuffer(values, np.uint8).reshape(shape)


def _check_n_bytes(path: Path, shape: tuple[int, ...], found: int) -> None:
    expected = math.prod(shape)
    if found != expected:
        more_or_less = "fewer" if found < expected else "more"
        raise ValueError(
            f"{path} is damaged or cut off: it holds {more_or_less} than the {expected} bytes that its header, "
            f"{shape}, says."
        )
