"""Write the little TOML that settings need; the standard library only reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["to_toml"]


def to_toml(values: Mapping[str, Any]) -> str:
    """Write texts, numbers, booleans and lists of them, one key a line.

    Examples
    --------
    >>> print(to_toml({"backbone": "resnet18", "classes": ["cat", "dog"], "image_size": 224}), end="")
    backbone = "resnet18"
    classes = ["cat", "dog"]
    image_size = 224
    """
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, str):
        # A basic string of TOML is one of JSON, but for the character DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"{value!r} is no text, number, boolean or list of them.")
