"""Which extractor embeds the images of a project, and how to make it again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sklearn.base import clone

from skal.features import TorchFeatureExtractor
from skal.labeling._settings import Settings

__all__ = ["decides_embeddings", "extractor_again", "extractor_for", "facts_of", "read_identity", "refuse_another"]

_DEFAULT_BACKBONE = "resnet18"
# What a file of embeddings says that does not change what an image is turned into, but for the last bits.
_CIRCUMSTANCES = ("images", "batch_size", "device", "autocast")


def extractor_for(settings: Settings) -> TorchFeatureExtractor:
    """Make the extractor that settings ask for."""
    asked = {"image_size": settings.image_size, "batch_size": settings.batch_size, "device": settings.device}
    return TorchFeatureExtractor(
        settings.backbone or _DEFAULT_BACKBONE,
        None if settings.weights is None else os.path.abspath(settings.weights),
        random_state=settings.random_state,
        **{name: value for name, value in asked.items() if value is not None},
    )


def facts_of(extractor: TorchFeatureExtractor) -> dict[str, Any]:
    """Say how to make an extractor again, as JSON can; of one that holds code, what it is called."""
    parameters = extractor.get_params(deep=False)
    plain = {name: os.fspath(value) if isinstance(value, Path) else value for name, value in parameters.items()}
    try:
        return dict(json.loads(json.dumps(plain)))
    except TypeError:
        return {"custom": repr(extractor)}


def extractor_again(made_by: Mapping[str, Any], given: TorchFeatureExtractor | None) -> TorchFeatureExtractor:
    """Make the extractor that embedded before; one that holds code has to be given again.

    Raises
    ------
    ValueError
        If it has to be given and is not.
    """
    if given is not None:
        copy: TorchFeatureExtractor = clone(given)
        return copy
    if "custom" in made_by:
        raise ValueError(
            f"The images were embedded by an extractor of your own, {made_by['custom']}; pass it again as extractor=."
        )
    return TorchFeatureExtractor(**made_by)


def read_identity(embeddings: Path) -> dict[str, Any]:
    """Read from beside a file of embeddings what decided its numbers."""
    content = json.loads(embeddings.with_name(embeddings.name + ".json").read_bytes())
    return dict(content["identity"])


def decides_embeddings(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of an identity what does not matter to whoever compares embeddings."""
    return {name: value for name, value in identity.items() if name not in _CIRCUMSTANCES}


def refuse_another(expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise ValueError where embeddings are made by something else than those that a model was trained on."""
    expected, found = decides_embeddings(expected), decides_embeddings(found)
    differing = [name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)]
    if differing:
        listed = "; ".join(
            f"{name}: {_short(expected.get(name))} then, {_short(found.get(name))} now" for name in differing
        )
        raise ValueError(
            f"The model was trained on embeddings of something else, and would guess on these. What differs: {listed}. "
            "Use the backbone and weights of the project, or train a new model."
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
