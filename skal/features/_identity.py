"""What a module or a function does, as a text that two processes can compare."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["describe_backbone", "describe_function", "weights_sha256"]


def describe_backbone(backbone: str | nn.Module) -> str:
    """What a manifest calls the backbone; of a module its class and a hash of its structure."""
    if isinstance(backbone, str):
        return backbone
    structure = sha256(_without_addresses(repr(backbone)).encode()).hexdigest()[:16]
    return f"{type(backbone).__module__}.{type(backbone).__qualname__} {structure}"


def weights_sha256(model: nn.Module) -> str:
    """A hash of every tensor of the model, so that it does not matter which file they came from."""
    digest = sha256()
    state: Mapping[str, Tensor] = model.state_dict()
    for name, tensor in state.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def describe_function(function: Callable[..., Any]) -> str:
    """Its name, and a hash of its code, defaults and closure, or of an object's pickled state."""
    code = getattr(function, "__code__", None)
    if code is not None:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]  # type: ignore[attr-defined]
        parts = (code.co_code, code.co_names, code.co_consts, function.__defaults__, cells)  # type: ignore[attr-defined]
        state = _without_addresses(repr(parts)).encode()
    else:
        try:
            state = pickle.dumps(function)
        except (pickle.PicklingError, TypeError, AttributeError):
            state = _without_addresses(repr(function)).encode()
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{function.__module__}.{name} {sha256(state).hexdigest()[:16]}"


def _without_addresses(text: str) -> str:
    """The same text in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)
