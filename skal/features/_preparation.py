"""How an image becomes the input of a backbone: sizes and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["CIFAR10", "CIFAR100", "IMAGENET", "OfImage", "Preparation", "resized_and_cropped"]

# Mean and standard deviation of the red, green and blue values, from 0 to 1.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR10 = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CIFAR100 = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)

# From an RGB PIL image and its name, for messages, to an array; of all images it has the same shape.
OfImage = Callable[[Any, str], npt.NDArray[Any]]


@dataclass(frozen=True)
class Preparation:
    """Resize, crop, and standardise values; or a function that does it all.

    Parameters
    ----------
    resize : int or None
        Pixels of the short side. None keeps the size.
    crop : int or None
        Pixels a side of the centre that is kept.
    mean, std : tuple of float
        Of the red, green and blue values, from 0 to 1.
    bicubic : bool
        How to resize; False is bilinear.
    on_device : bool
        Whether images of one size (arrays) are resized all at once on the device, rather than each as it is read.
    custom : callable or None
        From a PIL image to a tensor (c, h, w); it replaces everything else.
    """

    resize: int | None = None
    crop: int | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    bicubic: bool = False
    on_device: bool = False
    custom: Callable[..., Any] | None = None

    @property
    def at_read(self) -> OfImage | None:
        """What is done to each image as it is read; None for images of one size that are resized later."""
        return None if self.on_device and self.custom is None else self.of_image

    def of_image(self, image: Any, name: str) -> npt.NDArray[Any]:
        """Turn an RGB PIL image into uint8 (h, w, 3), or into what `custom` gives, float32 (c, h, w)."""
        if self.custom is not None:
            return _transformed(self.custom, image, name)
        return np.array(resized_and_cropped(image, self))

    def to_input(self, images: npt.NDArray[Any], device: torch.device) -> Tensor:
        """Turn the images of a `Batch` into the float32 (m, c, h, w) tensor that a backbone takes."""
        batch = torch.from_numpy(images)
        if device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(device, non_blocking=True)
        if batch.dtype != torch.uint8:
            return batch
        batch = batch.permute(0, 3, 1, 2)
        if self.on_device and self.resize is not None and self.crop is not None:
            batch = self._cropped(batch, self.resize, self.crop)
        # One multiply-add a pixel: (x / 255 - mean) / std.
        std = torch.tensor(self.std, dtype=torch.float32, device=device).view(1, 3, 1, 1)
        mean = torch.tensor(self.mean, dtype=torch.float32, device=device).view(1, 3, 1, 1)
        return torch.addcmul(-mean / std, batch.to(torch.float32), 1 / (255 * std))

    def describe(self) -> dict[str, Any]:
        """Say what it does, apart from `custom`."""
        return {
            "resize": self.resize,
            "crop": self.crop,
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": "bicubic" if self.bicubic else "bilinear",
        }

    def _cropped(self, batch: Tensor, resize: int, crop: int) -> Tensor:
        size = _size_of_short_side(batch.shape[2], batch.shape[3], resize)
        if size != tuple(batch.shape[2:]):
            mode = "bicubic" if self.bicubic else "bilinear"
            pixels = batch if batch.device.type == "cpu" else batch.to(torch.float32)  # CUDA resizes no uint8
            batch = functional.interpolate(pixels, size, mode=mode, antialias=True).clamp(0, 255)
        top, left = _crop_corner(*size, crop)
        return batch[:, :, top : top + crop, left : left + crop]


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


def _transformed(custom: Callable[..., Any], image: Any, name: str) -> npt.NDArray[Any]:
    try:
        prepared = custom(image)
    except Exception as error:
        error.add_note(f"image_transform raised this on {name}")
        raise
    if not isinstance(prepared, Tensor) or prepared.ndim != 3:
        what = f"shape {tuple(prepared.shape)}" if isinstance(prepared, Tensor) else f"a {type(prepared).__name__}"
        raise TypeError(f"image_transform must give a tensor of shape (c, h, w); of {name} it gave {what}.")
    array: npt.NDArray[Any] = prepared.detach().to(torch.float32).cpu().numpy()
    return array
