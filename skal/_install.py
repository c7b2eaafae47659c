"""The one place that says how to install what is missing."""

from __future__ import annotations

__all__ = ["DISTRIBUTION", "hint_for_extra", "hint_for_package"]

# The import is `skal`; the distribution of that name on the package index is somebody else's.
DISTRIBUTION = "skal-al"


def hint_for_extra(extra: str) -> str:
    """Return the command that brings the packages of an extra, quoted for any shell."""
    return hint_for_package(f'"{DISTRIBUTION}[{extra}]"')


def hint_for_package(name: str) -> str:
    """Return the command that brings one package that is in no extra."""
    return f"pip install {name}"
