"""How pixels become the input of a backbone."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["CIFAR10", "CIFAR100", "IMAGENET", "Preparation", "resized_and_cropped", "transformed", "without_addresses"]

# Mean and standard deviation of the red, green and blue values, from 0 to 1.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR10 = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CIFAR100 = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)


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


def transformed(custom: Callable[..., Any], image: Any, name: str) -> np.ndarray:
    try:
        prepared = custom(image)
    except Exception as error:
        error.add_note(f"image_transform raised this on {name}")
        raise
    if not isinstance(prepared, Tensor) or prepared.ndim != 3:
        what = f"shape {tuple(prepared.shape)}" if isinstance(prepared, Tensor) else f"a {type(prepared).__name__}"
        raise TypeError(f"image_transform must give a tensor of shape (c, h, w); of {name} it gave {what}.")
    return prepared.detach().to(torch.float32).cpu().numpy()
