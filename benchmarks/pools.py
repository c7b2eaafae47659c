"""The pools that benchmarks run on: real embeddings from a folder, or generated ones."""

from __future__ import annotations

import argparse
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.optimize import brentq


@dataclass(frozen=True)
class LabeledPool:
    name: str
    X: np.ndarray  # (n, d) float16 or float32
    y: np.ndarray  # (n,)
    X_test: np.ndarray
    y_test: np.ndarray


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, help="folder with *_X_train.npy, *_y_train.npy, *_X_test.npy, *_y_test.npy"
    )


def load_pool(folder: Path | None) -> LabeledPool:
    """Read the real pool in `folder`, or generate one of 20,000 × 128 with ten uneven classes."""
    if folder is None:
        return generated_pool()
    found = sorted(folder.glob("*_X_train.npy"))
    if len(found) != 1:
        raise SystemExit(f"--data {folder}: expected one file *_X_train.npy there, found {len(found)}.")
    prefix = found[0].name.removesuffix("_X_train.npy")
    parts = ("X_train", "y_train", "X_test", "y_test")
    return LabeledPool(prefix, *(np.load(folder / f"{prefix}_{part}.npy") for part in parts))


def generated_pool(n: int = 20_000, d: int = 128, n_classes: int = 10, n_test: int = 2_000) -> LabeledPool:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(n_classes, 3.0))
    y = rng.choice(n_classes, size=n + n_test, p=shares)
    modes = rng.normal(size=(n_classes, 5, d))
    X = modes[y, rng.integers(5, size=len(y))] + 1.5 * rng.normal(size=(len(y), d))
    X = X.astype(np.float16)
    return LabeledPool("generated", X[:n], y[:n], X[n:], y[n:])


def imagenet_sized_pool(
    path: Path, d: int, n: int = 1_281_167, n_classes: int = 1_000, class_sizes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Give a pool of ImageNet's size, X a float16 memmap and y int64, generated at `path` unless it is there already.

    Classes are uneven, or of `class_sizes`. y lies beside X in a file of its own.
    """
    labels_path = path.with_name(f"{path.stem}_labels.npy")
    if path.exists():
        X = np.load(path, mmap_mode="r")
        if X.shape != (n, d) or not labels_path.exists():
            raise SystemExit(f"{path} holds {X.shape} and not ({n}, {d}), or {labels_path} is missing; remove it.")
        return X, np.load(labels_path)
    rng = np.random.default_rng(0)
    shares, modes = modes_of_classes(rng, n_classes, d)
    if class_sizes is None:
        y = rng.choice(n_classes, size=n, p=shares)
    else:
        y = rng.permutation(np.repeat(np.arange(n_classes), class_sizes))
    np.save(labels_path, y)
    unfinished = path.with_name(path.name + ".part")
    X = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float16, shape=(n, d))
    for start in range(0, n, 65_536):
        X[start : start + 65_536] = rows_around(rng, modes, y[start : start + 65_536])
    X.flush()
    unfinished.rename(path)
    return np.load(path, mmap_mode="r"), y


def modes_of_classes(rng: np.random.Generator, n_classes: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw uneven shares of classes, and four modes of each, (n_classes, 4, d) float32."""
    shares = rng.dirichlet(np.full(n_classes, 2.0))
    modes = rng.normal(size=(n_classes, 4, d)).astype(np.float32)
    modes[:, 1:] = modes[:, :1] + 0.7 * modes[:, 1:]
    return shares, modes


def rows_around(rng: np.random.Generator, modes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Draw a row, float16, around one of the modes of each of some classes."""
    centers = modes[classes, rng.integers(modes.shape[1], size=len(classes))]
    rows: np.ndarray = centers + 1.2 * rng.standard_normal(centers.shape, dtype=np.float32)
    return rows.astype(np.float16)


def long_tailed_sizes(n: int = 115_846, n_classes: int = 1_000, largest: int = 1_280, smallest: int = 5) -> np.ndarray:
    """Give the sizes of n_classes classes, descending from `largest` to `smallest`, that sum to n: ImageNet-LT's.

    Sizes are ``largest · (smallest / largest)^(t^p)`` for t from 0 to 1, p such that they sum to n.
    """
    lowest, highest = largest + (n_classes - 1) * smallest, (n_classes - 1) * largest + smallest
    if not lowest < n < highest:
        raise ValueError(
            f"{n_classes} classes of {largest} down to {smallest} rows hold more than {lowest} and fewer than "
            f"{highest} rows; found n={n}."
        )
    t = np.linspace(0, 1, n_classes)

    def real_sizes(log_power):
        return largest * (smallest / largest) ** (t ** np.exp(log_power))

    sizes = real_sizes(brentq(lambda log_power: real_sizes(log_power).sum() - n, -30, 30))
    rounded = np.floor(sizes).astype(np.int64)
    rounded[[0, -1]] = largest, smallest
    inner_by_fraction = 1 + np.argsort(-(sizes - rounded)[1:-1], kind="stable")
    rounded[inner_by_fraction[: n - rounded.sum()]] += 1
    return rounded


def describe_machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn", "numpy"))
    return f"{os.cpu_count()} cores, {cpu}; Python {platform.python_version()}, {packages}"
