"""What decides the embeddings of a job, as short texts that two processes can compare."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import torch
from torch import nn

from skal._files._code import name_of, shortened
from skal._files._describe import Describer, script_of
from skal._files._describe import describe as describe_whole

__all__ = ["describe", "describe_backbone", "weights_sha256"]

# What torch keeps in every module; tensors and inner modules are compared apart, hooks by what they do.
_OF_TORCH = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


def describe(value: Any, version: str = "") -> str:
    """Name a function, an object or a class, with a hash of its code and state, as `skal._files` describes it.

    Parameters
    ----------
    value : object
    version : str, default=""
        Counts too. With one, an object that cannot be looked into counts by its class.

    Raises
    ------
    ValueError
        If there is no `version` and an object cannot be looked into.
    """
    name = name_of(value if hasattr(value, "__qualname__") else type(value))
    return f"{name} {shortened(describe_whole(value, version=version))}"


def describe_backbone(backbone: str | nn.Module, version: str = "") -> str | dict[str, str]:
    """Name a backbone; of a module say what structure, code and attributes it and its parts have.

    Tensors are left to `weights_sha256`.
    """
    if isinstance(backbone, str):
        return backbone
    describer = Describer(bool(version))
    attributes = {name: _attributes(module, describer) for name, module in backbone.named_modules()}
    code = sorted({describer.describe(type(module)) for module in backbone.modules()})
    return {
        "name": name_of(type(backbone)),
        "structure": shortened(_without_addresses(repr(backbone))),
        "code": shortened(version + repr(code)),
        "attributes": shortened(repr(attributes)),
    }


def weights_sha256(model: nn.Module, version: str = "") -> str:
    """A hash of every tensor of the model, so that it does not matter which file they came from."""
    describer = Describer(bool(version))
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers()), **model.state_dict()}
    described = [(name, describer.describe(each)) for name, each in sorted(tensors.items())]
    return sha256(repr(described).encode()).hexdigest()


def _attributes(module: nn.Module, describer: Describer) -> str:
    """What a module holds besides tensors and inner modules, and its hooks; of a script what it computes."""
    if isinstance(module, torch.jit.ScriptModule):
        return script_of(module)
    own = {name: each for name, each in vars(module).items() if name not in _OF_TORCH}
    hooks = {name: list(vars(module).get(name, {}).values()) for name in _HOOKS}
    return describer.named({**own, **hooks})


def _without_addresses(text: str) -> str:
    """The same text in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)
