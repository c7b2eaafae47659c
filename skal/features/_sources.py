"""What images may be given as: an array, files, a Dataset, or a record with one of these."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from skal._files._images import IMAGE_SUFFIXES, find_images
from skal._warnings import warn_user
from skal.features._decoding import UnreadableImage, decode_with_status, raise_what_passes
from skal.features._loading import Batch, Refusal, may_fork, read_batches
from skal.features._preparation import OfImage

__all__ = ["MARKS", "ArrayImages", "DatasetImages", "FileImages", "Images", "images_in_folder", "open_images"]

MARKS = 2**64
_HASHED_BYTES = 2**26
_SAMPLED_ITEMS = 16


class ArrayImages:
    """Images that lie in one uint8 array, (n, h, w) or (n, h, w, c)."""

    kind = "array"
    takes_workers = takes_workers_unasked = False
    paths = None

    def __init__(self, images: npt.NDArray[np.uint8]) -> None:
        self._images = images if images.ndim == 4 else images[..., None]
        self.n_pixels = self._images.shape[1] * self._images.shape[2]

    @property
    def indexable(self) -> npt.NDArray[np.uint8]:
        """The images as what rows can be taken of, and images again."""
        return self._images

    def __len__(self) -> int:
        return len(self._images)

    def read(self, rows: Sequence[int], of_image: OfImage | None = None) -> Batch:
        """Take rows, in any order; with `of_image` each goes through it as an RGB PIL image."""
        images = np.ascontiguousarray(self._images[_as_index(rows)])
        if of_image is None:
            is_as_torch_takes_it = (
                images.flags.writeable and min(images.strides) >= 0
            )  # one image may be reversed still
            return Batch(_as_rows(rows), images if is_as_torch_takes_it else images.copy())
        from PIL import Image

        prepared = [
            of_image(Image.fromarray(image).convert("RGB"), self.name_of(row))
            for row, image in zip(rows, images.squeeze(3) if images.shape[3] == 1 else images, strict=True)
        ]
        return Batch(_as_rows(rows), _stacked(prepared, rows, self.name_of))

    def name_of(self, row: int) -> str:
        return f"image {row}"

    def fingerprint(self) -> dict[str, Any]:
        """Say what tells these images from others: a hash of every value."""
        digest = sha256(str(self._images.shape).encode())
        rows = max(1, _HASHED_BYTES // max(1, self._images[:1].nbytes))
        for start in range(0, len(self), rows):
            digest.update(np.ascontiguousarray(self._images[start : start + rows]).data)
        return {"kind": self.kind, "count": len(self), "sha256": digest.hexdigest()}

    def marks(self, rows: Iterable[int]) -> int:
        return 0


class FileImages:
    """Images that lie in files, decoded one by one.

    Parameters
    ----------
    paths : sequence of str or path
        Kept as text with forward slashes, `paths`.
    """

    kind = "files"
    n_pixels = None  # of each image; not known before it is read
    takes_workers = takes_workers_unasked = True

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self.paths = tuple(Path(path).as_posix() for path in paths)

    @property
    def indexable(self) -> list[str]:
        """The images as what rows can be taken of, and images again."""
        return list(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, rows: Sequence[int], of_image: OfImage | None = None) -> Batch:
        """Decode the files of rows, in any order; without `of_image` they must all have the same size."""
        read: list[int] = []
        images, refused, marks = [], {}, 0
        for row in rows:
            try:
                image, status = decode_with_status(self.file_of(row))
            except UnreadableImage as error:
                refused[row] = Refusal(str(error), self._mark(self.paths[row], error.status))
                continue
            images.append(np.array(image) if of_image is None else of_image(image, self.name_of(row)))
            read.append(row)
            marks += self._mark(self.paths[row], status)
        return Batch(_as_rows(read), _stacked(images, read, self.name_of), refused, marks % MARKS)

    def name_of(self, row: int) -> str:
        return self.paths[row]

    def fingerprint(self) -> dict[str, Any]:
        """Say what tells these images from others; the paths and marks are compared one by one elsewhere."""
        return {"kind": self.kind}

    def marks(self, rows: Iterable[int]) -> int:
        """A number that changes when one of these files is replaced; those of parts add up to that of the whole."""
        return sum(self.mark_of(self.paths[row]) for row in rows) % MARKS

    def mark_of(self, path: str) -> int:
        """Hash the path, size and time of change of a file; 0 where there is none."""
        return self._mark(path, None)

    def file_of(self, row: int) -> str:
        """Where the file lies that is opened."""
        return self.paths[row]

    def reordered(self, paths: Iterable[str]) -> FileImages:
        """The same kind of images in another order; some may be missing, or have been there before."""
        return FileImages(paths)

    def _mark(self, path: str, status: os.stat_result | None) -> int:
        return _mark(path, status)


class DatasetImages:
    """The items of a torch Dataset, or their first elements: tensors that are prepared already."""

    kind = "Dataset"
    n_pixels = None  # of each image; not known before it is read
    takes_workers, takes_workers_unasked = True, False
    paths = None

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    @property
    def indexable(self) -> Any:
        raise TypeError("Rows of a Dataset cannot be taken; pass paths, a folder or a uint8 array (n, h, w[, c]).")

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, rows: Sequence[int], of_image: OfImage | None = None) -> Batch:
        """Take items, in any order, as they are: `of_image` is for images that are not prepared."""
        read: list[int] = []
        images, refused = [], {}
        for row in rows:
            try:
                item = self._dataset[row]
            except Exception as error:  # a Dataset may raise anything for a bad image
                raise_what_passes(error)
                refused[row] = Refusal(f"{self.name_of(row)}: {type(error).__name__}: {error}")
                continue
            images.append(self._tensor(item, row))
            read.append(row)
        return Batch(_as_rows(read), _stacked(images, read, self.name_of), refused)

    def name_of(self, row: int) -> str:
        return f"item {row} of the Dataset"

    def fingerprint(self) -> dict[str, Any]:
        """Say what tells these images from others: the class, the length and 16 items."""
        digest = sha256(type(self._dataset).__qualname__.encode())
        sampled = np.unique(np.linspace(0, len(self) - 1, _SAMPLED_ITEMS).round().astype(int)).tolist()
        # In a process of its own where there may be others: a file that is opened here would be shared with them.
        for batch in read_batches(self.read, [[row] for row in sampled], 1 if may_fork() else 0):
            digest.update(b"refused" if batch.images is None else batch.images.tobytes())
        return {"kind": self.kind, "count": len(self), "sha256": digest.hexdigest()}

    def marks(self, rows: Iterable[int]) -> int:
        return 0

    def _tensor(self, item: Any, row: int) -> npt.NDArray[np.float32]:
        image = item[0] if isinstance(item, tuple | list) else item
        if not isinstance(image, Tensor) or not image.is_floating_point():
            what = f"a tensor of {image.dtype}" if isinstance(image, Tensor) else f"a {type(image).__name__}"
            raise TypeError(
                f"{self.name_of(row)} gives {what}; items, or their first elements, must be float tensors, ready for "
                "the backbone."
            )
        array: npt.NDArray[np.float32] = image.detach().to(torch.float32).cpu().numpy()
        return array


Images = ArrayImages | FileImages | DatasetImages


def open_images(images: Any) -> Images:
    """Recognise what `images` is, without reading it.

    Parameters
    ----------
    images : list of paths, folder, uint8 array, torch Dataset, or an object with one of these as `images`

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or holds no image.
    """
    if isinstance(images, FileImages):
        return images
    if isinstance(images, Dataset):
        return _opened_dataset(images)
    if hasattr(images, "images"):
        return open_images(images.images)
    if isinstance(images, str | os.PathLike):
        return FileImages(images_in_folder(Path(images)))
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUS":
        _check_array(images)
        return ArrayImages(images)
    return FileImages(_checked_paths(images))


def images_in_folder(folder: Path) -> list[Path]:
    """Every file below `folder` whose name ends as an image's, in order of their paths; warn of images left out."""
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: there is no such folder of images.")
    if not folder.is_dir():
        raise ValueError(f"{folder} is one file; pass a folder, or a list of paths.")
    found = find_images(folder)
    if not found.paths:
        left_out = f" Left out: {found.left_out}." if found.left_out else ""
        raise ValueError(f"{folder} holds no images, that is no files named {', '.join(IMAGE_SUFFIXES)}.{left_out}")
    warning = found.warning(folder)
    if warning is not None:
        warn_user(warning)
    return found.paths


def _opened_dataset(dataset: Any) -> DatasetImages:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise TypeError(f"{type(dataset).__name__} has no rows by number; pass a map-style Dataset with a length.")
    if len(dataset) == 0:
        raise ValueError("The Dataset is empty: there is no image to embed.")
    return DatasetImages(dataset)


def _check_array(images: npt.NDArray[Any]) -> None:
    is_image_shape = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
    if not is_image_shape or 0 in images.shape[1:]:
        raise ValueError(
            f"Images as an array have shape (n, h, w), (n, h, w, 1) or (n, h, w, 3); found {images.shape}. Channels "
            "come last; leave transparency out."
        )
    if images.dtype != np.uint8:
        raise ValueError(f"Images as an array are uint8, from 0 to 255; found {images.dtype}. Convert them first.")
    if len(images) == 0:
        raise ValueError(f"The array is empty, shape {images.shape}: there is no image to embed.")


def _checked_paths(images: Any) -> list[str | os.PathLike[str]]:
    kinds = "a list of paths, a folder, an array (n, h, w[, c]) uint8, a torch Dataset, or a record with `images`"
    if isinstance(images, Tensor) or not hasattr(images, "__len__") or not hasattr(images, "__iter__"):
        raise TypeError(f"Images are {kinds}; found a {type(images).__name__}.")
    paths = list(np.ravel(images)) if isinstance(images, np.ndarray) else list(images)
    if not paths:
        raise ValueError("The list of images is empty: there is no image to embed.")
    for row, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"Images are {kinds}; found a {type(path).__name__} at position {row} of the list.")
    return paths


def _mark(path: str, status: os.stat_result | None) -> int:
    """Of the file that has this status, where it was read; else of the one that lies there now."""
    try:
        status = os.stat(path) if status is None else status
    except (OSError, ValueError):
        return 0
    facts = f"{path} {status.st_size} {status.st_mtime_ns}"
    return int.from_bytes(sha256(facts.encode(errors="surrogateescape")).digest()[:8], "little")


def _as_rows(rows: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(rows, dtype=np.int64)


def _as_index(rows: Sequence[int]) -> Any:
    """Consecutive rows as a slice, which copies nothing."""
    if isinstance(rows, range) and rows.step == 1:
        return slice(rows.start, rows.stop)
    return _as_rows(rows)


def _stacked(
    images: Sequence[npt.NDArray[Any]], rows: Sequence[int], name_of: Callable[[int], str]
) -> npt.NDArray[Any] | None:
    if not images:
        return None
    for row, image in zip(rows, images, strict=True):
        if image.shape != images[0].shape:
            raise ValueError(
                f"Images of one size are needed: {name_of(rows[0])} has shape {images[0].shape} and {name_of(row)} "
                f"{image.shape}. Set image_size, or an image_transform that makes them alike."
            )
    return np.stack(images)
