"""What `backbone=` may be, how it becomes a module with its weights, and which images it was made for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from skal._core.device import ordinary_torch
from skal._install import hint_for_extra
from skal.features._checkpoints import load_backbone_weights
from skal.features._efficientnet import EFFICIENTNETS, N_FEATURES_OF_EFFICIENTNET, EfficientNetLite0
from skal.features._preparation import CIFAR10, CIFAR100, IMAGENET, Preparation
from skal.features._resnet import RESNETS, ResNet, fold_batch_norm, n_features_of, resnet
from skal.features._wide_resnet import WIDE_RESNETS, n_features_of_wide, wide_resnet_named

__all__ = [
    "NAMED",
    "ExpectedInput",
    "expected_input",
    "freeze",
    "known_n_features",
    "load",
    "preparation_for",
    "refuse_unknown",
]

NAMED = (*RESNETS, *WIDE_RESNETS, *EFFICIENTNETS)  # beside timm's

_TIMM = "timm:"
_EFFICIENTNET_LITE = ((127 / 255,) * 3, (128 / 255,) * 3)  # mean and std of TensorFlow's recipe
_DRAWING = {"kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_"}
_NATIVE_VALUES = {"cifar10": CIFAR10, "cifar100": CIFAR100, None: ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))}


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
    if isinstance(backbone, nn.Module) or backbone in NAMED:
        return
    if not backbone.startswith(_TIMM):
        raise ValueError(
            f"backbone={backbone!r} is not known; use one of {', '.join(NAMED)}, 'timm:<name>' where timm is "
            "installed, or a torch.nn.Module that gives (n, d)."
        )
    if not _timm().is_model(backbone.removeprefix(_TIMM)):
        raise ValueError(f"backbone={backbone!r}: this version of timm has no such model; see timm.list_models().")


def load(
    backbone: str | nn.Module, weights: str | PathLike[str] | None, seed: int | None, image_size: int | None
) -> nn.Module:
    """Make the backbone on the CPU, with its weights; of a module that was passed, a copy.

    Parameters
    ----------
    backbone : str or Module
    weights : path or None
        None leaves a module its own; a named backbone gets random ones.
    seed : int or None
        Of the random weights.
    image_size : int or None
        That it will be given, where a model of timm is made for one size.

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
    elif backbone in NAMED and weights is not None:
        with _NothingIsDrawn():  # the weights will fill it, and to draw takes longer than to read them
            model = _named(backbone)
    else:
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.default_generator.manual_seed(seed)  # torch.manual_seed would set CUDA's for good
            model = _named(backbone) if backbone in NAMED else _timm_model(backbone, image_size)
    if weights is not None:
        load_backbone_weights(model.cpu(), Path(weights))
    return model


def freeze(model: nn.Module, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    """Make a loaded backbone ready to be used and no longer trained, in the form that runs fastest on the device."""
    model = model.eval().requires_grad_(False)
    if isinstance(model, ResNet):
        model = fold_batch_norm(model)
    moved: nn.Module = model.to(device, memory_format=memory_format)  # type: ignore[call-overload]
    return moved


def known_n_features(backbone: str | nn.Module) -> int | None:
    """The length of the embeddings of a named backbone; None for a module, which has to be tried."""
    if isinstance(backbone, nn.Module):
        return None
    if backbone in EFFICIENTNETS:
        return N_FEATURES_OF_EFFICIENTNET
    if backbone in NAMED:
        return n_features_of(backbone) if backbone in RESNETS else n_features_of_wide(backbone)
    with ordinary_torch(), torch.inference_mode():
        model, size = _timm_model(backbone, None).eval(), expected_input(backbone).size
        return int(model(torch.zeros(1, 3, size, size)).shape[1])


def expected_input(backbone: str | nn.Module) -> ExpectedInput:
    """The images that the backbone expects: timm says so of its own, EfficientNet-Lite's authors of theirs."""
    if isinstance(backbone, str) and backbone in EFFICIENTNETS:
        return ExpectedInput(mean=_EFFICIENTNET_LITE[0], std=_EFFICIENTNET_LITE[1], bicubic=True)
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


def preparation_for(
    backbone: str | nn.Module,
    image_size: int | None,
    image_transform: str | Callable[..., Any] | None,
    *,
    are_files: bool,
) -> Preparation:
    """Turn `image_size` and `image_transform`, as estimators take them, into a preparation of files or of arrays."""
    if callable(image_transform):
        if image_size is not None:
            raise ValueError(
                f"image_size={image_size} has no effect with an image_transform that is a function; let the "
                "function resize, or leave one of them out."
            )
        return Preparation(on_device=not are_files, custom=image_transform)
    image_size = None if image_size is None else int(image_size)
    expected = expected_input(backbone)
    if image_transform in _NATIVE_VALUES:
        mean, std = _NATIVE_VALUES[image_transform]
        return Preparation(image_size, image_size, mean, std, expected.bicubic, on_device=not are_files)
    if image_transform == "imagenet":
        expected = ExpectedInput(expected.size, expected.is_size_fixed)
    crop = image_size
    if crop is None and (are_files or expected.is_size_fixed):
        crop = expected.size
    resize = crop if crop is None or not are_files else round(crop / expected.crop_share)
    return Preparation(resize, crop, expected.mean, expected.std, expected.bicubic, on_device=not are_files)


def _named(backbone: str) -> nn.Module:
    if backbone in EFFICIENTNETS:
        return EfficientNetLite0()
    return resnet(backbone) if backbone in RESNETS else wide_resnet_named(backbone)


class _NothingIsDrawn(TorchFunctionMode):
    """In this thread, what would be filled with random numbers is left as it is."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") in _DRAWING:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"backbone='timm:...' needs timm: {hint_for_extra('timm')}") from error
    return timm


def _timm_model(backbone: str, image_size: int | None) -> nn.Module:
    name, expected = backbone.removeprefix(_TIMM), expected_input(backbone)
    options: dict[str, Any] = {}
    if expected.is_size_fixed and image_size not in (None, expected.size):
        options["dynamic_img_size"] = True  # position embeddings are resampled, and the weights keep their shapes
    try:
        model: nn.Module = _timm().create_model(name, pretrained=False, num_classes=0, **options)
    except TypeError as error:
        if not options:
            raise
        raise ValueError(
            f"{backbone} takes images of {expected.size} only; leave image_size={image_size} out."
        ) from error
    return model
