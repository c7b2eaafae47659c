"""Settings: a flag goes before an environment variable, and that before the project's skal.toml."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from skal._files._atomic import write_atomically
from skal.labeling._toml import to_toml

__all__ = ["Settings", "read_settings", "write_settings"]

_PREFIX = "SKAL_"


@dataclass(frozen=True)
class Settings:
    """What a project is worked on with. None is what the library takes by itself.

    Parameters
    ----------
    classes : tuple of str, default=()
        The classes that a label may be; empty: whatever is given.
    backbone : str, default=None
        As `skal.features.TorchFeatureExtractor` takes it.
    weights : str, default=None
        A checkpoint. A relative path in skal.toml starts at the project, elsewhere at the working directory.
    image_size : int, default=None
    batch_size : int, default=None
    device : str, default=None
    sampler : str, default=None
        A class of `skal.registry`.
    classifier : str, default=None
        A class of `skal.classifiers`.
    random_state : int, default=0
        Of random weights, samplers and the draw of images to test with.
    annotator : str, default=None
        Who labels.
    """

    classes: tuple[str, ...] = ()
    backbone: str | None = None
    weights: str | None = None
    image_size: int | None = None
    batch_size: int | None = None
    device: str | None = None
    sampler: str | None = None
    classifier: str | None = None
    random_state: int = 0
    annotator: str | None = None

    def over(self, **given: Any) -> Settings:
        """These, with what is not None in place of what was there."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


_READERS: dict[str, Callable[[Any], Any]] = {"image_size": int, "batch_size": int, "random_state": int}
_NAMES = tuple(each.name for each in fields(Settings))


def read_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read a skal.toml, if it is there, and the variables that go before it.

    Parameters
    ----------
    path : Path
    environment : mapping of str to str, default=None
        None means the one of the process.

    Raises
    ------
    ValueError
        If the file is no TOML, or a setting is unknown or of the wrong kind.
    """
    given = _from_toml(path) if path.exists() else {}
    environment = os.environ if environment is None else environment
    for name in _NAMES:
        text = environment.get(_PREFIX + name.upper())
        if text:
            given[name] = _from_text(name, text)
    return Settings(**given)


def write_settings(path: Path, settings: Settings) -> None:
    """Write the settings that are not the usual ones, and say in comments which others there are."""
    usual = Settings()
    values = {name: getattr(settings, name) for name in _NAMES if getattr(settings, name) != getattr(usual, name)}
    others = ", ".join(name for name in _NAMES if name not in values)
    write_atomically(
        path,
        "# Settings of this project. A flag goes before them, and so does a variable such as SKAL_BACKBONE.\n"
        f"# Others: {others}\n{to_toml(values)}",
    )


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}. Correct it, or remove it for the usual settings.") from error
    return {name: _checked(name, value, path) for name, value in content.items()}


def _checked(name: str, value: Any, path: Path) -> Any:
    if name not in _NAMES:
        near = difflib.get_close_matches(name, _NAMES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_NAMES)}."
        raise ValueError(f"{path}: there is no setting {name!r}; {hint}")
    expected = {"classes": list, **dict.fromkeys(_READERS, int)}.get(name, str)
    is_good = isinstance(value, expected) and not isinstance(value, bool)
    if name == "classes" and is_good:
        is_good = all(isinstance(each, str) for each in value)
    if not is_good:
        kind = {list: "a list of texts", int: "a whole number", str: "a text"}[expected]
        raise ValueError(f"{path}: {name} must be {kind}; found {value!r}.")
    if name == "weights":
        return str(path.parent / value)
    return tuple(value) if name == "classes" else value


def _from_text(name: str, text: str) -> Any:
    if name == "classes":
        return tuple(each.strip() for each in text.split(",") if each.strip())
    try:
        return _READERS.get(name, str)(text)
    except ValueError as error:
        raise ValueError(f"{_PREFIX}{name.upper()}={text!r} must be a whole number.") from error
