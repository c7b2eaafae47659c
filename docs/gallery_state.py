"""The order of the gallery, and what each of its examples begins with, whatever ran before it."""

import random
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

__all__ = ["place_in_gallery", "reset"]

# Letters that can still be read where a phone shows a figure at half its size
STYLE = {
    "figure.figsize": (6.4, 4.4),
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def reset(gallery_conf: dict[str, Any], example: str) -> None:
    """Seed the global generators and set the style of figures; `gallery_conf["reset_modules"]` calls it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    mpl.rcParams.update(STYLE)


def place_in_gallery(path: str) -> int:
    """Return where `examples/index.rst` has an example; `gallery_conf["minigallery_sort_order"]` sorts by it."""
    example = Path(path)
    index = (example.parent / "index.rst").read_text(encoding="utf-8")
    return index.index(f"/{example.name}")
