"""Settings: a flag goes before an environment variable, and that before the project's skal.toml."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from skal._files._atomic import write_atomically
from skal.labeling._keys import check_keys
from skal.labeling._toml import to_toml, with_values

__all__ = ["Settings", "change_settings", "read_settings", "write_settings"]

_PREFIX = "SKAL_"


@dataclass(frozen=True)
class Settings:
    """The settings of a project. None means the default of the library.

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
    keys : mapping of str to str, default={}
        Keys of classes on the labelling page; other classes have the next of 1 to 9, 0 and the letters.
    price : float, default=None
        What a label costs, in any currency.
    money : float, default=None
        What there is for labels. None means the price of all images that were picked.
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
    keys: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None
    money: float | None = None

    def over(self, **given: Any) -> Settings:
        """These, with what is not None in place of what was there."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


_READERS: dict[str, Callable[[Any], Any]] = {
    "image_size": int, "batch_size": int, "random_state": int, "price": float, "money": float,
}  # fmt: skip
_KINDS: dict[Any, str] = {
    list: "a list of texts", dict: "a table of texts", int: "a whole number", float: "a number", str: "a text",
}  # fmt: skip
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
        If the file is no TOML, a setting is unknown or of the wrong kind, or two classes have one key.
    """
    given = _from_toml(path) if path.exists() else {}
    environment = os.environ if environment is None else environment
    for name in _NAMES:
        text = environment.get(_PREFIX + name.upper())
        if text:
            given[name] = _from_text(name, text)
    settings = Settings(**given)
    try:
        check_keys(settings.classes, settings.keys)
        _refuse_negative(settings)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return settings


def change_settings(path: Path, **values: Any) -> None:
    """Set some settings in a skal.toml, and leave all else in it, comments too, as it is."""
    text = path.read_bytes().decode("utf-8-sig") if path.exists() else ""
    try:
        write_atomically(path, with_values(text, values))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
    expected: Any = {"classes": list, "keys": dict, **_READERS}.get(name, str)
    is_good = isinstance(value, (int, float) if expected is float else expected) and not isinstance(value, bool)
    if expected in (list, dict) and is_good:
        is_good = all(isinstance(each, str) for each in (value.values() if expected is dict else value))
    if not is_good:
        raise ValueError(f"{path}: {name} must be {_KINDS[expected]}; found {value!r}.")
    if name == "weights":
        return str(path.parent / value)
    return tuple(value) if name == "classes" else value


def _from_text(name: str, text: str) -> Any:
    if name == "classes":
        return tuple(each.strip() for each in text.split(",") if each.strip())
    if name == "keys":
        pairs = [each.rpartition("=") for each in text.split(",") if each.strip()]
        return {class_name.strip(): key.strip() for class_name, _, key in pairs}
    reader = _READERS.get(name, str)
    try:
        return reader(text)
    except ValueError as error:
        raise ValueError(f"{_PREFIX}{name.upper()}={text!r} must be {_KINDS[reader]}.") from error


def _refuse_negative(settings: Settings) -> None:
    for name in ("price", "money"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value < float("inf"):
            raise ValueError(f"{name} must be a number from 0 on; found {value!r}.")
