"""The readers by name, for a command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from skal.datasets._aircraft import load_aircraft
from skal.datasets._cifar import load_cifar10, load_cifar100
from skal.datasets._dtd import load_dtd
from skal.datasets._fashion_mnist import load_fashion_mnist
from skal.datasets._flowers102 import load_flowers102
from skal.datasets._folders import load_flat_folder, load_image_folder
from skal.datasets._imagenet import load_imagenet
from skal.datasets._imagenet_lt import load_imagenet_lt
from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike

__all__ = ["DATASETS", "load_dataset"]

#: Every reader by its name without ``load_``.
DATASETS: Mapping[str, Callable[..., ImageCollection]] = MappingProxyType(
    {
        loader.__name__.removeprefix("load_"): loader
        for loader in (
            load_aircraft,
            load_cifar10,
            load_cifar100,
            load_dtd,
            load_fashion_mnist,
            load_flat_folder,
            load_flowers102,
            load_image_folder,
            load_imagenet,
            load_imagenet_lt,
        )
    }
)


def load_dataset(
    name: str, root: PathLike | None = None, *, split: str | None = None, **options: Any
) -> ImageCollection:
    """Call the reader of that name.

    Parameters
    ----------
    name : str
        A key of `DATASETS`: "cifar10" for `load_cifar10`.
    root : path-like, default=None
        Where the dataset lies. None means the reader's default, which only "fashion_mnist" has.
    split : str, default=None
        None means the reader's default: "train" for a published dataset, all of any other folder.
    **options
        Passed to the reader.

    Returns
    -------
    ImageCollection

    Raises
    ------
    ValueError
        If there is no such reader, or it needs a root.

    See Also
    --------
    DATASETS : The names.

    Examples
    --------
    >>> from skal.datasets import load_dataset
    >>> load_dataset("cifar11", "nowhere")
    Traceback (most recent call last):
        ...
    ValueError: There is no dataset 'cifar11'; there are aircraft, cifar10, cifar100, dtd, ...
    """
    if name not in DATASETS:
        raise ValueError(f"There is no dataset {name!r}; there are {', '.join(DATASETS)}.")
    if root is None and name != "fashion_mnist":
        raise ValueError(f"load_dataset({name!r}) needs a root: the folder where the dataset lies.")
    given = {"root": root, "split": split}
    return DATASETS[name](**{key: value for key, value in given.items() if value is not None}, **options)
