"""A fitted classifier as one file without pickle."""

from __future__ import annotations

import os
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import torch
from torch import nn

import skal
from skal.features._backbones import load
from skal.vision._checkpoint import read_tensors, write_tensors
from skal.vision._network import ImageNetwork, Standardization

__all__ = ["load_classifier", "save_classifier"]


def save_classifier(classifier, path):
    """Write parameters, classes and network."""
    parameters = classifier.get_params(deep=False)
    plain = {name: _as_plain(value) for name, value in parameters.items() if _is_plain(value)}
    network = classifier.network_
    facts = {
        "class": type(classifier).__name__,
        "version": skal.__version__,
        "parameters": plain,
        "not_kept": sorted(parameters.keys() - plain.keys()),
        "classes": {"dtype": classifier.classes_.dtype.str, "values": classifier.classes_.tolist()},
        "shown": classifier._shown.tolist(),
        "n_features": network.head.in_features,
        "is_standardized": isinstance(network.scaling, Standardization),
        "is_backbone_frozen": network.is_backbone_frozen,
        "is_batch_norm_frozen": network.is_batch_norm_frozen,
        "n_steps": classifier.n_steps_,
        "loss_curve": classifier.loss_curve_,
        "seed": classifier.seed_,
    }
    write_tensors(Path(path), network.state_dict(), facts)


def load_classifier(cls, path, parameters):
    """Make a classifier from what `save_classifier` wrote; `parameters` replace those in the file."""
    tensors, facts = read_tensors(Path(path))
    if facts.get("class") != cls.__name__:
        raise ValueError(f"{path} holds a {facts.get('class', 'checkpoint')}, not a {cls.__name__}.")
    needed = [name for name in facts["not_kept"] if name not in parameters and name != "random_state"]
    if needed:
        raise ValueError(
            f"{path} does not hold {', '.join(needed)}, which cannot be written without pickle: pass "
            f"{cls.__name__}.load(path, {', '.join(f'{name}=...' for name in needed)})."
        )
    classifier = cls(**(facts["parameters"] | parameters))
    classes = facts["classes"]
    classifier.classes_ = np.array(classes["values"], dtype=classes["dtype"])
    classifier._shown = np.array(facts["shown"], dtype=np.int64)
    classifier.n_steps_, classifier.loss_curve_ = facts["n_steps"], facts["loss_curve"]
    classifier.seed_, classifier.device_ = facts["seed"], torch.device("cpu")
    classifier.network_ = _network(classifier, facts, tensors).eval().requires_grad_(False)
    return classifier


def _network(classifier, facts, tensors):
    n_features, n_classes = facts["n_features"], len(facts["shown"])
    backbone = load(classifier.backbone, None, facts["seed"], classifier.image_size)
    scaling = Standardization(torch.zeros(1, n_features)) if facts["is_standardized"] else None
    head = nn.Linear(n_features, n_classes)
    network = ImageNetwork(
        backbone,
        head,
        scaling,
        is_backbone_frozen=facts["is_backbone_frozen"],
        is_batch_norm_frozen=facts.get("is_batch_norm_frozen", False),
    )
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"The backbone is not the one that was saved: {error}") from error
    return network


def _is_plain(value):
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    is_array = isinstance(value, np.ndarray) and value.dtype.kind in "biufUO"
    return is_array or value is None or isinstance(value, bool | str | Integral | Real | os.PathLike | torch.device)


def _as_plain(value):
    """The same as JSON has it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_as_plain(each) for each in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, torch.device):
        return str(value)
    if value is None or isinstance(value, bool | str):
        return value
    return int(value) if isinstance(value, Integral) else float(value)
