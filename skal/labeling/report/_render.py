"""Facts of a project → the page."""

from __future__ import annotations

import functools
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skal._files._atomic import write_atomically
from skal._install import hint_for_extra

try:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup
except ImportError as error:
    raise ImportError(f"The report needs Jinja2: {hint_for_extra('label')}") from error

from skal.labeling.report._facts import facts_of

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["render", "write"]

# Marks that turn the direction of what comes after them: in a name they could disguise it.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


def render(
    project: LabelingProject, *, price: float | None = None, on_image: Callable[[int, int], None] | None = None
) -> bytes:
    """Return the page as UTF-8.

    Parameters
    ----------
    project : LabelingProject
    price : float, default=None
        Of one answer.
    on_image : callable, default=None
        Told how many images are decoded, and of how many.

    Returns
    -------
    bytes
    """
    css = _read("report.css")
    style_hash = b64encode(sha256(css.encode()).digest()).decode()
    page = _environment().get_template("report.html")
    text = page.render(css=Markup(css), style_hash=style_hash, **facts_of(project, price, on_image))  # noqa: S704
    return text.encode()


def write(
    project: LabelingProject,
    path: Path,
    *,
    price: float | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> Path:
    """Write what `render` gives, all of it or nothing, and return where."""
    write_atomically(path, render(project, price=price, on_image=on_image))
    return path


@functools.cache
def _environment() -> Environment:
    """One for the process: it keeps the template, which takes longer to compile than to fill."""
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_read),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_readable,
    )
    environment.filters |= {
        "count": "{:,}".format,
        "percent": "{:.1%}".format,
        "decimal": "{:.2f}".format,
        "distance": "{:.4f}".format,
        "duration": _duration,
        "minute": "{:%Y-%m-%d %H:%M} UTC".format,
    }
    return environment


def _read(name: str) -> str:
    return files("skal.labeling.report").joinpath("static", name).read_text("utf-8")


def _readable(value: Any) -> Any:
    """Replace what no page can show, or what would disguise a name: surrogates, control characters, turning marks."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(
        "\ufffd" if each in _TURNING or unicodedata.category(each) in ("Cc", "Cs") else each for each in value
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
