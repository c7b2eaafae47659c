"""What images may be given as: an array, files, a Dataset, or a record with one of these."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, float32
from torch.utils.data import Dataset, IterableDataset

from skal._files._images import IMAGE_SUFFIXES, list_images
from skal.features._decoding import UnreadableImage, decode, raise_what_passes
from skal.features._loading import Batch, may_fork, read_borders, stacked
from skal.features._preparation import Preparation, resized_and_cropped, transformed

__all__ = ["MARKS", "ArrayImages", "DatasetImages", "FileImages", "images_in_folder", "open_images"]

MARKS = 2**64
_HASHED_BYTES = 2**26
_SAMPLED_ITEMS = 16


class ArrayImages:
    """Images that lie in one uint8 array; each batch is a slice."""

    are_cropped = False
    takes_workers = takes_workers_unasked = False

    def __init__(self, images: np.ndarray, preparation: Preparation) -> None:
        self._images = images if images.ndim == 4 else images[..., None]
        self._custom = preparation.custom

    def __len__(self) -> int:
        return len(self._images)

    def read(self, start: int, stop: int) -> Batch:
        images = np.ascontiguousarray(self._images[start:stop])
        if self._custom is None:
            return Batch(start, stop, images if images.flags.writeable else images.copy())
        from PIL import Image

        rows = enumerate(images.squeeze(3) if images.shape[3] == 1 else images, start)
        prepared = {
            row: transformed(self._custom, Image.fromarray(image).convert("RGB"), self.name_of(row))
            for row, image in rows
        }
        return Batch(start, stop, stacked(prepared, self.name_of))

    def name_of(self, row: int) -> str:
        return f"image {row}"

    def fingerprint(self) -> dict[str, Any]:
        digest = sha256(str(self._images.shape).encode())
        rows = max(1, _HASHED_BYTES // max(1, self._images[:1].nbytes))
        for start in range(0, len(self), rows):
            digest.update(np.ascontiguousarray(self._images[start : start + rows]).data)
        return {"kind": "array", "count": len(self), "sha256": digest.hexdigest()}

    def marks(self, start: int, stop: int) -> int:
        return 0


class FileImages:
    """Images that lie in files, decoded one by one."""

    are_cropped = True
    takes_workers = takes_workers_unasked = True

    def __init__(self, paths: list[Path], preparation: Preparation) -> None:
        self._paths = paths
        self._preparation = preparation

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, start: int, stop: int) -> Batch:
        good, refused = {}, {}
        for row in range(start, stop):
            try:
                image = decode(self._paths[row])
            except UnreadableImage as error:
                refused[row] = str(error)
                continue
            good[row] = self._prepared(image, row)
        return Batch(start, stop, stacked(good, self.name_of), refused)

    def name_of(self, row: int) -> str:
        return str(self._paths[row])

    def _prepared(self, image: Any, row: int) -> np.ndarray:
        if self._preparation.custom is not None:
            return transformed(self._preparation.custom, image, self.name_of(row))
        return np.array(resized_and_cropped(image, self._preparation))

    def fingerprint(self) -> dict[str, Any]:
        digest = sha256()
        for path in self._paths:
            digest.update(f"{path}\0".encode(errors="surrogateescape"))
        return {"kind": "files", "count": len(self), "paths_sha256": digest.hexdigest()}

    def marks(self, start: int, stop: int) -> int:
        """A number that changes when one of these files is replaced; those of parts add up to that of the whole."""
        return sum(_mark(row, self._paths[row]) for row in range(start, stop)) % MARKS


class DatasetImages:
    """The items of a torch Dataset, or their first elements: tensors that are prepared already."""

    are_cropped = True
    takes_workers, takes_workers_unasked = True, False

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, start: int, stop: int) -> Batch:
        good, refused = {}, {}
        for row in range(start, stop):
            try:
                item = self._dataset[row]
            except Exception as error:  # a Dataset may raise anything for a bad image
                raise_what_passes(error)
                refused[row] = f"{self.name_of(row)}: {type(error).__name__}: {error}"
                continue
            good[row] = self._tensor(item, row)
        return Batch(start, stop, stacked(good, self.name_of), refused)

    def name_of(self, row: int) -> str:
        return f"item {row} of the Dataset"

    def _tensor(self, item: Any, row: int) -> np.ndarray:
        image = item[0] if isinstance(item, tuple | list) else item
        if not isinstance(image, Tensor) or not image.is_floating_point():
            what = f"a tensor of {image.dtype}" if isinstance(image, Tensor) else f"a {type(image).__name__}"
            raise TypeError(
                f"{self.name_of(row)} gives {what}; items, or their first elements, must be float tensors, ready for "
                "the backbone."
            )
        return image.detach().to(float32).cpu().numpy()

    def fingerprint(self) -> dict[str, Any]:
        digest = sha256(type(self._dataset).__qualname__.encode())
        sampled = np.unique(np.linspace(0, len(self) - 1, _SAMPLED_ITEMS).round().astype(int)).tolist()
        # In a process of its own where there may be others: a file that is opened here would be shared with them.
        for batch in read_borders(self, [(row, row + 1) for row in sampled], 1 if may_fork() else 0):
            digest.update(b"refused" if batch.images is None else batch.images.tobytes())
        return {"kind": "Dataset", "count": len(self), "sha256": digest.hexdigest()}

    def marks(self, start: int, stop: int) -> int:
        return 0


def _mark(row: int, path: Path) -> int:
    try:
        status = path.stat()
    except OSError:
        return 0
    facts = f"{row} {status.st_size} {status.st_mtime_ns}"
    return int.from_bytes(sha256(facts.encode()).digest()[:8], "little")


Images = ArrayImages | FileImages | DatasetImages


def open_images(images: Any, preparation_for: Callable[[bool], Preparation]) -> tuple[Images, Preparation]:
    """Recognise what `images` is, without reading it.

    Parameters
    ----------
    images : list of paths, folder, uint8 array, torch Dataset, or an object with one of these as `images`
    preparation_for : callable
        From whether the images are files to how they are prepared.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or holds no image.
    """
    if isinstance(images, Dataset):
        return _opened_dataset(images), Preparation()
    if hasattr(images, "images"):
        return open_images(images.images, preparation_for)
    if isinstance(images, str | os.PathLike):
        images = images_in_folder(Path(images))
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUS":
        _check_array(images)
        preparation = preparation_for(False)
        return ArrayImages(images, preparation), preparation
    preparation = preparation_for(True)
    return FileImages(_as_paths(images), preparation), preparation


def _opened_dataset(dataset: Any) -> DatasetImages:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise TypeError(f"{type(dataset).__name__} has no rows by number; pass a map-style Dataset with a length.")
    if len(dataset) == 0:
        raise ValueError("The Dataset is empty: there is no image to embed.")
    return DatasetImages(dataset)


def _check_array(images: np.ndarray) -> None:
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


def _as_paths(images: Any) -> list[Path]:
    kinds = "a list of paths, a folder, an array (n, h, w[, c]) uint8, a torch Dataset, or a record with `images`"
    if isinstance(images, Tensor) or not hasattr(images, "__len__") or not hasattr(images, "__iter__"):
        raise TypeError(f"Images are {kinds}; found a {type(images).__name__}.")
    paths = list(np.ravel(images)) if isinstance(images, np.ndarray) else list(images)
    if not paths:
        raise ValueError("The list of images is empty: there is no image to embed.")
    for row, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"Images are {kinds}; found a {type(path).__name__} at position {row} of the list.")
    return [Path(path) for path in paths]


def images_in_folder(folder: Path) -> list[Path]:
    """Every file below `folder` whose name ends as an image's, hidden ones left out, in order of their paths."""
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: there is no such folder of images.")
    if not folder.is_dir():
        raise ValueError(f"{folder} is one file; pass a folder, or a list of paths.")
    found = list_images(folder, recursive=True)
    if not found:
        raise ValueError(f"{folder} holds no images, that is no files named {', '.join(IMAGE_SUFFIXES)}.")
    return found
