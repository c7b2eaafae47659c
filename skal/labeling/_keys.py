"""Which key of the keyboard labels which class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["ACTION_KEYS", "check_keys", "class_keys"]

ACTION_KEYS = {
    "s": "skip", "u": "undo", "z": "zoom", "g": "many at once", "?": "help", "+": "new class", " ": "mark an image",
}  # fmt: skip
_IN_TURN = [key for key in "1234567890abcdefghijklmnopqrstuvwxyz" if key not in ACTION_KEYS]


def class_keys(classes: Iterable[str], own: Mapping[str, str]) -> dict[str, str | None]:
    """Give each class a key: its own, else the next of 1 to 9, 0 and the letters that is free.

    Parameters
    ----------
    classes : iterable of str
        In their order.
    own : mapping of str to str
        Keys that were chosen, by class.

    Returns
    -------
    dict of str to str or None
        None where no key is left.
    """
    chosen = {name: key.lower() for name, key in own.items()}
    free = (key for key in _IN_TURN if key not in chosen.values())
    return {name: chosen[name] if name in chosen else next(free, None) for name in classes}


def check_keys(classes: Iterable[str], own: Mapping[str, str]) -> None:
    """Raise ValueError where a key is none, has two meanings, or is of no class.

    Parameters
    ----------
    classes : iterable of str
        Empty: any class.
    own : mapping of str to str
    """
    listed, class_of = set(classes), dict[str, str]()
    for name, given in own.items():
        key = given.lower()
        if len(key) != 1 or not ((key.isprintable() and key.strip()) or key in ACTION_KEYS):
            raise ValueError(f"The key of {name!r} must be one character that can be typed; found {given!r}.")
        if key in ACTION_KEYS:
            raise ValueError(f"The key {key!r} of {name!r} is that of {ACTION_KEYS[key]!r}; take another.")
        if key in class_of:
            raise ValueError(f"The key {key!r} is of {class_of[key]!r} and of {name!r}; take another for one of them.")
        if listed and name not in listed:
            raise ValueError(f"There is a key for {name!r}, which is none of the classes {', '.join(sorted(listed))}.")
        class_of[key] = name
