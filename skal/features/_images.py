"""What images may be given as, and how they become batches for a backbone."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset

from skal._image_files import IMAGE_SUFFIXES, list_images

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "IMAGENET",
    "MARKS",
    "Batch",
    "Preparation",
    "open_images",
    "read_batches",
    "without_addresses",
]

# Mean and standard deviation of the red, green and blue values, from 0 to 1.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR10 = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CIFAR100 = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)

_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP", "AVIF")
_ERRNOS_OF_THE_PATH = (None, errno.ENOENT, errno.EISDIR, errno.ENOTDIR)
_SECONDS_BETWEEN_LOOKS_AT_THE_PARENT = 0.5
MARKS = 2**64
_HASHED_BYTES = 2**26
_SAMPLED_ITEMS = 16


@dataclass(frozen=True)
class Preparation:
    """How pixels become a backbone's input: short side to `resize`, centre to `crop`, values by `mean` and `std`.

    `custom` replaces all of it by a function of a PIL image.
    """

    resize: int | None = None
    crop: int | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    bicubic: bool = False
    custom: Callable[..., Any] | None = None

    def describe(self) -> dict[str, Any]:
        """What a manifest says of it."""
        if self.custom is not None:
            return {"custom": _describe_function(self.custom)}
        return {
            "resize": self.resize,
            "crop": self.crop,
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": "bicubic" if self.bicubic else "bilinear",
        }

    def to_input(self, images: np.ndarray, device: torch.device, *, are_cropped: bool) -> Tensor:
        """Turn a batch of `Batch.images` into the float32 (m, c, h, w) tensor that the backbone takes.

        Files are cropped when they are read, each from a size of its own; arrays here, all at once.
        """
        batch = torch.from_numpy(images)
        if device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(device, non_blocking=True)
        if batch.dtype != torch.uint8:
            return batch
        batch = batch.permute(0, 3, 1, 2)
        if not are_cropped and self.resize is not None and self.crop is not None:
            batch = self._cropped(batch, self.resize, self.crop)
        # One multiply-add a pixel: (x / 255 - mean) / std.
        std = torch.tensor(self.std, device=device).view(1, 3, 1, 1)
        mean = torch.tensor(self.mean, device=device).view(1, 3, 1, 1)
        return torch.addcmul(-mean / std, batch.to(torch.float32), 1 / (255 * std))

    def _cropped(self, batch: Tensor, resize: int, crop: int) -> Tensor:
        size = _size_of_short_side(batch.shape[2], batch.shape[3], resize)
        if size != tuple(batch.shape[2:]):
            mode = "bicubic" if self.bicubic else "bilinear"
            pixels = batch if batch.device.type == "cpu" else batch.to(torch.float32)  # CUDA resizes no uint8
            batch = functional.interpolate(pixels, size, mode=mode, antialias=True).clamp(0, 255)
        top, left = _crop_corner(*size, crop)
        return batch[:, :, top : top + crop, left : left + crop]


def without_addresses(text: str) -> str:
    """The same text in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _describe_function(function: Callable[..., Any]) -> str:
    """Its name, and a hash of its code, defaults and closure, or of an object's pickled state."""
    code = getattr(function, "__code__", None)
    if code is not None:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]  # type: ignore[attr-defined]
        parts = (code.co_code, code.co_names, code.co_consts, function.__defaults__, cells)  # type: ignore[attr-defined]
        state = without_addresses(repr(parts)).encode()
    else:
        try:
            state = pickle.dumps(function)
        except (pickle.PicklingError, TypeError, AttributeError):
            state = without_addresses(repr(function)).encode()
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{function.__module__}.{name} {sha256(state).hexdigest()[:16]}"


@dataclass
class Batch:
    """What was read of rows `start` to `stop`: the good images, and why the others are not there."""

    start: int
    stop: int
    # uint8 (m, h, w, 1 or 3), still to be prepared, or float32 (m, c, h, w), prepared; None where m is 0
    images: np.ndarray | None
    refused: dict[int, str] = field(default_factory=dict)


class ArrayImages:
    """Images that lie in one uint8 array; each batch is a slice."""

    are_cropped = False

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
            row: _transformed(self._custom, Image.fromarray(image).convert("RGB"), self.name_of(row))
            for row, image in rows
        }
        return Batch(start, stop, _stacked(prepared, self.name_of))

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
        return Batch(start, stop, _stacked(good, self.name_of), refused)

    def name_of(self, row: int) -> str:
        return str(self._paths[row])

    def _prepared(self, image: Any, row: int) -> np.ndarray:
        if self._preparation.custom is not None:
            return _transformed(self._preparation.custom, image, self.name_of(row))
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
                _raise_what_passes(error)
                refused[row] = f"{self.name_of(row)}: {type(error).__name__}: {error}"
                continue
            good[row] = self._tensor(item, row)
        return Batch(start, stop, _stacked(good, self.name_of), refused)

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
        return image.detach().to(torch.float32).cpu().numpy()

    def fingerprint(self) -> dict[str, Any]:
        digest = sha256(type(self._dataset).__qualname__.encode())
        sampled = np.unique(np.linspace(0, len(self) - 1, _SAMPLED_ITEMS).round().astype(int)).tolist()
        # In a process of its own where there may be others: a file that is opened here would be shared with them.
        for batch in _read_borders(self, [(row, row + 1) for row in sampled], 1 if _may_fork() else 0):
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


class UnreadableImage(ValueError):
    """One file that gives no image; the message names it."""


def decode(path: Path) -> Any:
    """Read one file as an upright RGB PIL image, whatever its mode."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("Image files need Pillow: pip install skal[vision]") from error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_formats()) as image:
                image.load()
                return _upright_rgb(image)
        except Exception as error:  # Pillow's decoders raise many kinds on damaged files
            _raise_what_passes(error)
            raise UnreadableImage(f"{path}: {_reason(error)}") from error


def _formats() -> list[str]:
    """What Pillow may take a file for: never a format, such as EPS, that another program would have to read."""
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _raise_what_passes(error: Exception) -> None:
    """Raise again what is no fault of the image: too little memory, too many open files, a share that is away."""
    is_system_error = isinstance(error, OSError) and error.errno not in _ERRNOS_OF_THE_PATH
    if isinstance(error, MemoryError) or is_system_error:
        raise error


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of a kind that Pillow cannot read"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than PIL.Image.MAX_IMAGE_PIXELS = {Image.MAX_IMAGE_PIXELS} pixels; a decompression bomb?"
    if isinstance(error, OSError | UnreadableImage):
        return str(error)
    return f"cannot be decoded ({type(error).__name__}: {error})"


def _upright_rgb(image: Any) -> Any:
    from PIL import Image, ImageOps

    with suppress(Exception):  # a damaged tag: the pixels are as good as they are
        image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(_eight_bits(image))
    if image.mode == "P":
        # A palette's own transparency, when straight to RGB, is only half understood.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _eight_bits(image: Any) -> np.ndarray:
    """The upper 8 of 16 bits; `convert` would clip."""
    if image.mode == "F":
        raise UnreadableImage("holds floating-point pixels, whose range is not known")
    values = np.asarray(image)
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > 65535:
        raise UnreadableImage(f"holds pixels from {lowest} to {highest}, beyond 16 bits")
    return (values // 256).astype(np.uint8)


def resized_and_cropped(image: Any, preparation: Preparation) -> Any:
    """Short side to `resize`, then the centre `crop`; of an elongated image only the centre is resized."""
    from PIL import Image

    if preparation.resize is None or preparation.crop is None:
        return image
    width, height = image.size
    new_height, new_width = _size_of_short_side(height, width, preparation.resize)
    top, left = _crop_corner(new_height, new_width, preparation.crop)
    across, down = width / new_width, height / new_height
    crop = preparation.crop
    right, bottom = min((left + crop) * across, width), min((top + crop) * down, height)
    box = (left * across, top * down, right, bottom)
    method = Image.Resampling.BICUBIC if preparation.bicubic else Image.Resampling.BILINEAR
    return image.resize((crop, crop), method, box=box)


def _size_of_short_side(height: int, width: int, short: int) -> tuple[int, int]:
    if height <= width:
        return short, int(short * width / height)
    return int(short * height / width), short


def _crop_corner(height: int, width: int, crop: int) -> tuple[int, int]:
    return round((height - crop) / 2), round((width - crop) / 2)


def _transformed(custom: Callable[..., Any], image: Any, name: str) -> np.ndarray:
    try:
        prepared = custom(image)
    except Exception as error:
        error.add_note(f"image_transform raised this on {name}")
        raise
    if not isinstance(prepared, Tensor) or prepared.ndim != 3:
        what = f"shape {tuple(prepared.shape)}" if isinstance(prepared, Tensor) else f"a {type(prepared).__name__}"
        raise TypeError(f"image_transform must give a tensor of shape (c, h, w); of {name} it gave {what}.")
    return prepared.detach().to(torch.float32).cpu().numpy()


def _stacked(images: dict[int, np.ndarray], name_of: Callable[[int], str]) -> np.ndarray | None:
    if not images:
        return None
    first = next(iter(images))
    for row, image in images.items():
        if image.shape != images[first].shape:
            raise ValueError(
                f"Images of one size are needed: {name_of(first)} has shape {images[first].shape} and {name_of(row)} "
                f"{image.shape}. Set image_size, or an image_transform that makes them alike."
            )
    return np.stack(list(images.values()))


def read_batches(images: Images, batch_size: int, n_workers: int | None, start: int) -> Iterator[Batch]:
    """Read rows `start` and on in batches whose borders are multiples of `batch_size`, in order.

    `n_workers` processes decode; None takes as many as torch has threads, eight at the most, where there are files
    enough to pay for starting them.
    """
    borders = [(first, min(first + batch_size, len(images))) for first in range(start, len(images), batch_size)]
    n_workers = _resolve_workers(n_workers, images, len(borders))
    return _read_borders(images, borders, n_workers)


def _read_borders(images: Images, borders: list[tuple[int, int]], n_workers: int) -> Iterator[Batch]:
    if n_workers == 0:
        return (images.read(*border) for border in borders)
    loader = DataLoader(
        _BatchesByBorder(images, borders),
        batch_size=None,
        num_workers=n_workers,
        collate_fn=_unchanged,
        worker_init_fn=_end_with_parent,
    )
    return iter(loader)


def _end_with_parent(worker: int) -> None:
    """End this process soon after its parent, whatever it waits for: a pipe that its siblings hold open, say."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS_BETWEEN_LOOKS_AT_THE_PARENT)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _BatchesByBorder(Dataset):
    def __init__(self, images: Images, borders: list[tuple[int, int]]) -> None:
        self._images = images
        self._borders = borders

    def __len__(self) -> int:
        return len(self._borders)

    def __getitem__(self, number: int) -> Batch:
        return self._images.read(*self._borders[number])


def _unchanged(batch: Any) -> Any:
    """Arrays cross to this process as they are, by pipe: tensors would need shared memory, small in containers."""
    return batch


def _resolve_workers(n_workers: int | None, images: Images, n_batches: int) -> int:
    if isinstance(images, ArrayImages):
        return 0
    if n_workers is not None:
        return n_workers
    if isinstance(images, DatasetImages) or n_batches < 2 or not _may_fork():
        return 0
    return min(8, n_batches, torch.get_num_threads())


def _may_fork() -> bool:
    """Elsewhere each worker would import torch anew, and a script without a __main__ guard break."""
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return method == "fork" and not multiprocessing.current_process().daemon
