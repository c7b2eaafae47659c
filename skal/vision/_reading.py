"""The images of each step, read ahead by processes where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from skal._install import hint_for_extra
from skal._validation import working_memory_bytes
from skal.features._loading import Batch, read_batches, resolve_workers
from skal.features._preparation import OfImage, Preparation
from skal.features._sources import ArrayImages, Images, open_images
from skal.vision._augment import crop_box

__all__ = ["RandomCrops", "StepRequests", "decoded_once", "open_pixels", "read_for_steps", "refuse_unreadable"]

_DECODED_AT_ONCE = 64

Request = TypeVar("Request")
Read = TypeVar("Read")


def open_pixels(images: Any, estimator: str) -> Images:
    """Recognise what `images` is, as `open_images` does; refuse what cannot be augmented."""
    opened = open_images(images)
    if opened.kind == "Dataset":
        raise TypeError(
            f"{estimator} makes crops and other colours of images, and the items of a Dataset are prepared already. "
            "Pass paths, a folder, a uint8 array (n, h, w[, c]) or a record of skal.datasets."
        )
    return opened


def decoded_once(images: Images, preparation: Preparation, n_workers: int | None) -> tuple[Images, Preparation]:
    """Read files that are the same at every step into one array, if it fits scikit-learn's ``working_memory``.

    Returns
    -------
    images, preparation
        Those that were passed, or pixels and what is left to do with them.
    """
    crop = preparation.crop
    if images.kind != "files" or crop is None or len(images) * 3 * crop**2 > working_memory_bytes():
        return images, preparation
    requests = [
        range(start, min(start + _DECODED_AT_ONCE, len(images))) for start in range(0, len(images), _DECODED_AT_ONCE)
    ]
    workers = resolve_workers(n_workers, images.takes_workers_unasked, len(requests))
    batches = read_batches(partial(images.read, of_image=preparation.at_read), requests, workers)
    pixels = np.concatenate([refuse_unreadable(batch) for batch in batches])
    return ArrayImages(pixels), replace(preparation, resize=None, crop=None, on_device=True)


@dataclass(frozen=True)
class RandomCrops:
    """Read images, each as a random resized crop of the size that it is prepared to.

    Parameters
    ----------
    images : Images
    preparation : Preparation
        Says the size and how to resize; None as its size keeps that of the images.
    scale : (smallest, largest) share of the area
    """

    images: Images
    preparation: Preparation
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        try:
            import PIL  # noqa: F401
        except ImportError as error:
            raise ImportError(f"Random crops need Pillow: {hint_for_extra('vision')}") from error

    def __call__(self, rows: npt.NDArray[np.int64], seed: int) -> Batch:
        of_image: OfImage = partial(self._crop, np.random.default_rng(seed))
        return self.images.read(rows.tolist(), of_image)

    def _crop(self, rng: np.random.Generator, image: Any, name: str) -> npt.NDArray[Any]:
        from PIL import Image

        crop, method = self.preparation.crop, Image.Resampling.BILINEAR
        if self.preparation.bicubic:
            method = Image.Resampling.BICUBIC
        size = image.size if crop is None else (crop, crop)
        return np.array(image.resize(size, method, box=crop_box(image.size, self.scale, rng)))


class StepRequests(Sequence[Request], Generic[Request]):
    """What is to be read for each step from `first` to `n_steps`, made when it is asked for."""

    def __init__(self, request_of: Callable[[int], Request], first: int, n_steps: int) -> None:
        self._request_of, self._first, self._n_steps = request_of, first, n_steps

    def __len__(self) -> int:
        return self._n_steps - self._first

    def __getitem__(self, number: Any) -> Any:
        return self._request_of(self._first + number)


def read_for_steps(
    read: Callable[[Request], Read], requests: StepRequests[Request], images: Images, n_workers: int | None
) -> Iterator[Read]:
    """Yield what each step needs, in order."""
    asked = n_workers if images.takes_workers else 0
    resolved = resolve_workers(asked, images.takes_workers_unasked, len(requests))
    batches: Iterator[Any] = read_batches(read, requests, resolved)  # type: ignore[arg-type]
    return batches


def refuse_unreadable(batch: Batch) -> npt.NDArray[Any]:
    """Return the images of a batch; ValueError names one that cannot be read."""
    if batch.refused or batch.images is None:
        raise ValueError(f"{batch.refused[min(batch.refused)].reason}. Leave that image out of X, y and X_pool.")
    return batch.images
