"""Weights of a backbone out of checkpoints in the layouts that are published."""

from __future__ import annotations

import pickle
import warnings
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from skal._install import hint_for_extra

__all__ = ["load_backbone_weights"]

_CONTAINERS = ("state_dict", "model")
# Copies that trail the network that is trained: MoCo's encoder_k, BYOL's target_encoder, target_network and target_net,
# solo-learn's momentum_backbone.
_TRAILING_COPIES = ("encoder_k", "target", "momentum")
# Absent from checkpoints older than torch 0.4.1, and without effect in eval mode.
_OPTIONAL = "num_batches_tracked"
_LISTED_KEYS = 10


def load_backbone_weights(backbone: nn.Module, path: str | Path) -> None:
    """Fill `backbone` from a checkpoint, whatever its names are prefixed with and whatever else it holds.

    The one prefix under which every tensor of the backbone is found is taken, so that bare names, ``module.``
    (CompRess), ``module.encoder_q.`` (MoCo), ``online_encoder.``, ``online_network.`` and ``backbone.`` (BYOL) all do.
    A dict in the checkpoint counts as a prefix too: ``{"net": {"conv1.weight": ...}}`` holds ``net.conv1.weight``.
    Under several, the same tensors must be found. What is not of the backbone (a last layer, a queue, a momentum copy)
    is left out.

    Raises
    ------
    ValueError
        If the file cannot be read or would run code, or does not hold exactly this backbone's tensors: the missing,
        the unexpected and those of another shape are listed.
    """
    checkpoint = read_checkpoint(Path(path))
    tensors = _tensors_by_dotted_name(_unwrapped(checkpoint))
    expected = backbone.state_dict()
    prefix = _prefix_of_backbone(tensors, expected, path)
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    _refuse_other_backbones(own, expected, prefix, path)
    backbone.load_state_dict({name: own.get(name, kept) for name, kept in expected.items()})


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read a file of safetensors or of ``torch.save`` without running code from it."""
    if not path.is_file():
        raise FileNotFoundError(f"weights={str(path)!r}: there is no such file.")
    checkpoint = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if not isinstance(checkpoint, Mapping):
        raise ValueError(
            f"{path} holds a {type(checkpoint).__name__}, not a dict of tensors; save a model's state_dict()."
        )
    return checkpoint


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(f"{path} needs safetensors: {hint_for_extra('vision')}") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read as safetensors; it is damaged or incomplete: {error}") from error


def _read_pickle(path: Path) -> Any:
    try:
        # Published checkpoints of CompRess and MoCo's family keep their command line in a Namespace.
        with torch.serialization.safe_globals([Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line]
        if refused:
            raise ValueError(
                f"{path} was refused: it holds more than tensors and plain containers, and loading that could run "
                f"any code ({refused[0]}). If you trust it, load it yourself and save its state_dict() alone."
            ) from error
        raise _damaged(path, error) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    # What stands before it in torch's message advises to load the file with weights_only=False.
    detail = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    reason = (detail or type(error).__name__).splitlines()[0]
    return ValueError(f"{path} cannot be read as a checkpoint; it is damaged, incomplete or of another kind: {reason}")


def _unwrapped(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    # A pickle may hold a mapping in itself.
    seen: set[int] = set()
    while id(checkpoint) not in seen:
        seen.add(id(checkpoint))
        inner = (checkpoint.get(key) for key in _CONTAINERS)
        checkpoint = next((each for each in inner if isinstance(each, Mapping)), checkpoint)
    return checkpoint


def _tensors_by_dotted_name(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    tensors, seen = {}, set()
    pending: list[tuple[str, Mapping[str, Any]]] = [("", checkpoint)]
    while pending:
        prefix, mapping = pending.pop()
        # A pickle may hold a mapping in itself.
        if id(mapping) in seen:
            continue
        seen.add(id(mapping))
        for key, value in mapping.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}{key}"] = value
            elif isinstance(value, Mapping):
                pending.append((f"{prefix}{key}.", value))
    return tensors


def _prefix_of_backbone(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: str | Path) -> str:
    required = {name for name in expected if not name.endswith(_OPTIONAL)}
    n_covered = Counter(prefix for name in tensors for prefix, rest in _splits(name) if rest in required)
    complete = [prefix for prefix, n in n_covered.items() if n == len(required)]
    chosen = [prefix for prefix in complete if not any(copy in prefix for copy in _TRAILING_COPIES)] or complete
    for prefix in chosen:
        _refuse_odd_tensors(tensors, expected, prefix, path)
    if any(not _are_equal(tensors, chosen[0], prefix, required) for prefix in chosen[1:]):
        raise ValueError(
            f"{path} holds different weights of this backbone, under the prefixes {sorted(chosen)}; save the one you "
            "mean by itself."
        )
    if chosen:
        return chosen[0]
    best = max(n_covered, key=lambda prefix: n_covered[prefix], default="")
    own = {name.removeprefix(best) for name in tensors if name.startswith(best)}
    raise ValueError(
        f"{path} does not hold this backbone: {n_covered[best]} of its {len(required)} tensors are there"
        f"{f' under the prefix {best!r}' if best else ''}.\n"
        f"Missing: {_listing(required - own)}.\nUnexpected: {_listing(own - set(expected))}."
    )


def _refuse_odd_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefix: str, path: str | Path
) -> None:
    """Raise for what is no plain array of numbers, and for whole numbers where a weight belongs."""
    required = {prefix + name: kept for name, kept in expected.items() if not name.endswith(_OPTIONAL)}
    oddities = {name: _oddity(tensors[name], kept) for name, kept in required.items()}
    described = [f"{name} is {oddity}" for name, oddity in oddities.items() if oddity]
    if described:
        raise ValueError(
            f"{path} does not hold plain weights of this backbone: {_listing(described)}. Save the state_dict() of a "
            "model with ordinary floating-point weights."
        )


def _oddity(tensor: Tensor, expected: Tensor) -> str | None:
    if tensor.is_meta:
        return "without values (on the meta device)"
    if tensor.is_quantized:
        return "quantized"
    if tensor.layout != torch.strided:
        return f"sparse ({str(tensor.layout).removeprefix('torch.')})"
    if tensor.is_floating_point() != expected.is_floating_point():
        dtype, wanted = (str(each.dtype).removeprefix("torch.") for each in (tensor, expected))
        return f"{dtype} instead of {wanted}"
    return None


def _are_equal(tensors: Mapping[str, Tensor], prefix: str, other: str, names: Iterable[str]) -> bool:
    return all(torch.equal(tensors[prefix + name], tensors[other + name]) for name in names)


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Every way to part a name at a dot: ("", "a.b.c"), ("a.", "b.c"), ("a.b.", "c")."""
    parts = name.split(".")
    for n in range(len(parts)):
        rest = ".".join(parts[n:])
        yield name.removesuffix(rest), rest


def _refuse_other_backbones(
    own: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefix: str, path: str | Path
) -> None:
    """Raise where names fit but the network is another: a deeper one, or one of other shapes."""
    parts = {name.split(".")[0] for name in expected}
    unexpected = [name for name in own if name not in expected and name.split(".")[0] in parts]
    reshaped = [
        f"{name} {tuple(own[name].shape)} instead of {tuple(kept.shape)}"
        for name, kept in expected.items()
        if name in own and own[name].shape != kept.shape
    ]
    if unexpected or reshaped:
        raise ValueError(
            f"{path} holds another backbone{f' under the prefix {prefix!r}' if prefix else ''}.\nMissing: none.\n"
            f"Unexpected: {_listing(unexpected)}.\nOf another shape: {_listing(reshaped)}."
        )


def _listing(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - _LISTED_KEYS} more" if len(names) > _LISTED_KEYS else ""
    return ", ".join(names[:_LISTED_KEYS]) + more or "none"
