"""Read the code of functions and classes: what it is made of, what it reads, and whether it is a user's."""

from __future__ import annotations

import dis
import functools
import hashlib
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

__all__ = ["body_of", "content_of_cell", "globals_read", "is_installed", "name_of", "shortened", "with_inner_code"]


def body_of(value: type) -> Iterator[tuple[str, Any]]:
    """Functions and values in the body of a class, without what Python keeps there for itself."""
    for name, each in vars(value).items():
        is_special = name.startswith("__") and name.endswith("__")
        if name != "_abc_impl" and (name == "__slots__" or not is_special or isinstance(each, FunctionType)):
            yield name, each


def with_inner_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from with_inner_code(constant)


def globals_read(code: CodeType) -> list[str]:
    instructions = dis.get_instructions(code)
    return sorted({each.argval for each in instructions if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")})


def content_of_cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def name_of(thing: Any) -> str:
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    return f"{module}.{name or getattr(thing, '__name__', repr(thing))}"


def shortened(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def is_installed(module: str | None) -> bool:
    """Tell whether a module comes with Python, skal or an installed package."""
    if module == "__main__":
        return False
    top = (module or "builtins").partition(".")[0]
    if top in ("skal", *sys.builtin_module_names):
        return True
    loaded = sys.modules.get(module or ""), sys.modules.get(top)
    file = next((file for each in loaded if (file := getattr(each, "__file__", None))), None)
    if file is None:
        return top in sys.stdlib_module_names
    return any(Path(file).is_relative_to(folder) for folder in _installed_folders())


@functools.cache
def _installed_folders() -> list[Path]:
    of_python = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return [Path(name) for name in (*of_python, *site.getsitepackages(), site.getusersitepackages())]
