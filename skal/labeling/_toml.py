"""Write the little TOML that settings need; the standard library only reads it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["to_toml", "with_values"]


def to_toml(values: Mapping[str, Any]) -> str:
    """Write texts, numbers, booleans, and lists and tables of them, one key a line.

    Examples
    --------
    >>> print(to_toml({"backbone": "resnet18", "classes": ["cat", "dog"], "keys": {"cat": "c"}}), end="")
    backbone = "resnet18"
    classes = ["cat", "dog"]
    keys = {"cat" = "c"}
    """
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """Set some keys in a TOML text, and leave all else, comments too, as it is.

    Raises
    ------
    ValueError
        If a key is written in a way that cannot be replaced, such as dotted.

    Examples
    --------
    >>> print(with_values('a = [1,\\n2] # mine\\nb = "x" # too', {"a": [3], "c": 4}), end="")
    c = 4
    a = [3]
    b = "x" # too
    """
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    for name, value in values.items():
        line = to_toml({name: value}).rstrip("\n")
        start = _line_of(lines, rf"\s*{name}\s*=")
        header = _line_of(lines, rf"\s*\[\s*{name}\s*\]")
        if start is not None:
            lines[start : _end_of_value(lines, start)] = [line]
        elif header is not None and isinstance(value, Mapping):
            known = tomllib.loads(text)[name]
            added = {json.dumps(key, ensure_ascii=False): each for key, each in value.items() if known.get(key) != each}
            lines[header + 1 : header + 1] = to_toml(added).splitlines()
        else:
            lines.insert(0, line)  # before any table, which would take it in
    changed = end_of_line.join(lines) + end_of_line
    try:
        is_right = tomllib.loads(changed) == tomllib.loads(text) | json.loads(json.dumps(values))
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise ValueError(f"{', '.join(values)} cannot be set without writing it anew; set it by hand.")
    return changed


def _line_of(lines: Sequence[str], pattern: str) -> int | None:
    return next((number for number, line in enumerate(lines) if re.match(pattern, line)), None)


def _end_of_value(lines: Sequence[str], start: int) -> int:
    """The line after a value, which may go over several."""
    for stop in range(start + 1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[start:stop]))
        except tomllib.TOMLDecodeError:
            continue
        return stop
    return start + 1


def _value(value: Any) -> str:
    if isinstance(value, str):
        # A basic string of TOML is one of JSON, but for the character DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_value(str(name))} = {_value(each)}' for name, each in value.items())}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"{value!r} is no text, number, boolean, or list or table of them.")
