"""A backbone that still ends in the layer of a classifier."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from skal._warnings import warn_user

__all__ = ["warn_of_logits"]

_NAMES = {"_fc", "classifier", "fc", "head", "heads", "last_linear", "logits"}
_N_CLASSES = {1000, 21841, 21843}  # of ImageNet


def warn_of_logits(model: nn.Module) -> None:
    """At the first pass, warn if what the module gives comes straight from the last layer of a classifier.

    That is a linear layer by a name that such layers have, or with as many outputs as ImageNet has classes.
    """
    layers = {name: each for name, each in model.named_modules() if name and isinstance(each, nn.Linear)}
    last: dict[str, Any] = {}

    def note(name: str) -> Any:
        return lambda layer, inputs, outputs: last.update(name=name, outputs=outputs)

    def decide(model: nn.Module, inputs: Any, outputs: Any) -> None:
        for handle in handles:
            handle.remove()
        if _is_same(outputs, last.pop("outputs", None)):
            _warn(last["name"], layers[last["name"]])

    handles = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    if layers:
        handles.append(model.register_forward_hook(decide))


def _is_same(outputs: Any, of_layer: Any) -> bool:
    """Tell whether one is the other, or a view of it."""
    if not isinstance(outputs, Tensor) or not isinstance(of_layer, Tensor):
        return False
    return outputs.numel() == of_layer.numel() and outputs.data_ptr() == of_layer.data_ptr()


def _warn(name: str, layer: nn.Linear) -> None:
    if layer.out_features in _N_CLASSES or not _NAMES.isdisjoint(name.split(".")):
        warn_user(
            f"The backbone ends in {name!r}, {layer}: it looks as if its embeddings were the scores of "
            f"{layer.out_features} classes. To embed by the features before them, put torch.nn.Identity() in its place."
        )
