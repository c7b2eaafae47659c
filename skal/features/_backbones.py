"""What `backbone=` may be, and how it becomes a module with its weights."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from skal.features._checkpoints import load_backbone_weights
from skal.features._preparation import IMAGENET, without_addresses
from skal.features._resnet import RESNETS, ResNet, fold_batch_norm, resnet

__all__ = ["ExpectedInput", "describe", "expected_input", "load", "prepare", "refuse_unknown", "weights_sha256"]

_TIMM = "timm:"


@dataclass(frozen=True)
class ExpectedInput:
    """The images a backbone was made for."""

    size: int = 224
    is_size_fixed: bool = False
    # What the centre crop leaves of the short side.
    crop_share: float = 224 / 256
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    bicubic: bool = False


def refuse_unknown(backbone: str | nn.Module) -> None:
    """Raise for a name that is neither one of ours nor one of timm's."""
    if isinstance(backbone, nn.Module) or backbone in RESNETS:
        return
    if not backbone.startswith(_TIMM):
        raise ValueError(
            f"backbone={backbone!r} is not known; use one of {', '.join(RESNETS)}, 'timm:<name>' where timm is "
            "installed, or a torch.nn.Module that gives (n, d)."
        )
    if not _timm().is_model(backbone.removeprefix(_TIMM)):
        raise ValueError(f"backbone={backbone!r}: this version of timm has no such model; see timm.list_models().")


def expected_input(backbone: str | nn.Module) -> ExpectedInput:
    """The preparation of images that the backbone expects: timm's own, else ImageNet's."""
    if isinstance(backbone, nn.Module) or not backbone.startswith(_TIMM):
        return ExpectedInput()
    config = _timm().get_pretrained_cfg(backbone.removeprefix(_TIMM))
    if config is None:
        return ExpectedInput()
    return ExpectedInput(
        size=config.input_size[-1],
        is_size_fixed=bool(config.fixed_input_size),
        crop_share=config.crop_pct,
        mean=tuple(config.mean),
        std=tuple(config.std),
        bicubic=config.interpolation == "bicubic",
    )


def load(
    backbone: str | nn.Module, weights: str | PathLike[str] | None, seed: int | None, image_size: int | None
) -> nn.Module:
    """Make the backbone in eval mode on the CPU, with its weights; a module that was passed stays as it is.

    Raises
    ------
    ValueError, FileNotFoundError
        If the weights are not this backbone's, or cannot be read.
    ImportError
        If it is timm's and timm is not installed.
    """
    refuse_unknown(backbone)
    if isinstance(backbone, nn.Module):
        model = copy.deepcopy(backbone)
    else:
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.manual_seed(seed)
            model = resnet(backbone) if backbone in RESNETS else _timm_model(backbone, image_size)
        if weights is None:
            warnings.warn(
                f"weights=None: {backbone} has random weights (seed {seed}), as in the paper's ablation. For "
                "embeddings that mean something, pass weights=<checkpoint>.",
                UserWarning,
                stacklevel=4,  # the caller of transform
            )
    if weights is not None:
        load_backbone_weights(model.cpu(), Path(weights))
    return model.eval().requires_grad_(False)


def prepare(model: nn.Module, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    """Move a loaded backbone to where it runs, in the form that runs fastest there."""
    if isinstance(model, ResNet):
        model = fold_batch_norm(model)
    moved: nn.Module = model.to(device, memory_format=memory_format)  # type: ignore[call-overload]
    return moved


def describe(backbone: str | nn.Module) -> str:
    """What a manifest calls the backbone; of a module its class and a hash of its structure."""
    if isinstance(backbone, str):
        return backbone
    structure = sha256(without_addresses(repr(backbone)).encode()).hexdigest()[:16]
    return f"{type(backbone).__module__}.{type(backbone).__qualname__} {structure}"


def weights_sha256(model: nn.Module) -> str:
    """A hash of every tensor of the model, so that it does not matter which file they came from."""
    digest = sha256()
    state: Mapping[str, Tensor] = model.state_dict()
    for name, tensor in state.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError("backbone='timm:...' needs timm: pip install skal[timm]") from error
    return timm


def _timm_model(backbone: str, image_size: int | None) -> nn.Module:
    name, expected = backbone.removeprefix(_TIMM), expected_input(backbone)
    options: dict[str, Any] = {}
    if expected.is_size_fixed and image_size not in (None, expected.size):
        options["dynamic_img_size"] = True  # position embeddings are resampled, and the weights keep their shapes
    try:
        return _timm().create_model(name, pretrained=False, num_classes=0, **options)
    except TypeError as error:
        if not options:
            raise
        raise ValueError(
            f"{backbone} takes images of {expected.size} only; leave image_size={image_size} out."
        ) from error
