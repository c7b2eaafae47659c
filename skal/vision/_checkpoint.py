"""A training that goes on after the process has ended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from skal._files._atomic import write_atomically
from skal._install import hint_for_extra
from skal.vision._training import ImageTraining

__all__ = ["Checkpoint", "read_tensors", "write_tensors"]

# A checkpoint takes as long as the disk takes; this much work may have to be done again.
SECONDS_BETWEEN_CHECKPOINTS = 60.0

_KEY = "skal"
_SUMS = "sums."


class Checkpoint:
    """Where the steps of one training are kept: everything that the next step depends on, and nothing in pickle.

    Parameters
    ----------
    folder : path or None
        Made if it is not there. None keeps nothing.
    identity : str
        What is trained on what: the name of the file. Another training has another file.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, identity: str) -> None:
        self._path = None if folder is None else Path(folder) / f"{identity}.safetensors"
        self._last = time.monotonic()
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)

    def resume(self, training: ImageTraining) -> None:
        """Bring the training to where it was last kept, if it was."""
        if self._path is None or not self._path.exists():
            return
        tensors, facts = read_tensors(self._path)
        training.restore_tensors({name: each for name, each in tensors.items() if not name.startswith(_SUMS)})
        training.n_done, training.epoch_means = facts["n_done"], facts["epoch_means"]
        sums = {name.removeprefix(_SUMS): each for name, each in tensors.items() if name.startswith(_SUMS)}
        training.epoch_sums = {name: sums[name].to(training.device) for name in facts["sums"]}

    def after_step(self, training: ImageTraining) -> None:
        """Keep the training if the last time is long enough ago."""
        if time.monotonic() - self._last >= SECONDS_BETWEEN_CHECKPOINTS:
            self.keep(training)

    def keep(self, training: ImageTraining) -> None:
        """Keep the training as it is, between two steps."""
        if self._path is None:
            return
        sums = {f"{_SUMS}{name}": total for name, total in training.epoch_sums.items()}
        facts = {
            "n_done": training.n_done,
            "epoch_means": training.epoch_means,
            "sums": list(training.epoch_sums),  # in the order in which they are reported
        }
        write_tensors(self._path, training.kept_tensors() | sums, facts)
        self._last = time.monotonic()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and what JSON can hold into one file of safetensors, as a whole or not at all."""
    copies = {name: each.detach().cpu().contiguous().clone() for name, each in tensors.items()}  # none shares memory
    write_atomically(path, _safetensors().save(copies, {_KEY: json.dumps(facts)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or holds something else.
    """
    safetensors = _safetensors()
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        tensors: dict[str, Tensor] = safetensors.load_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read; it is damaged, incomplete or no safetensors: {error}") from error
    if _KEY not in metadata:
        raise ValueError(f"{path} was not written by skal: it holds tensors without what they are of.")
    return tensors, json.loads(metadata[_KEY])


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(f"To keep a network in a file, safetensors is needed: {hint_for_extra('vision')}") from error
    return safetensors.torch
