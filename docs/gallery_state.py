"""What every example of the gallery begins with, whatever ran before it."""

import random
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

__all__ = ["reset"]

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
