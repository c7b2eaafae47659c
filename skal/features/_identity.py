"""What a module or a function does, as a text that two processes can compare."""

from __future__ import annotations

import copyreg
import dis
import functools
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["describe", "describe_backbone", "weights_sha256"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis))
_NAMED = (np.ufunc, torch.dtype, torch.device, np.dtype)
_WRAPPERS = (staticmethod, classmethod, property, functools.cached_property)
# What torch keeps in every module; tensors and inner modules are compared apart, hooks by what they do.
_OF_TORCH = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


def describe(value: Any, version: str = "") -> str:
    """Name a function, an object or a class, with a hash of its code and state.

    Two descriptions are equal only if these are: of functions the bytecode with its constants (docstrings count,
    comments do not), defaults, the variables they close over and the globals they read, helpers included; of objects
    their class and what pickle would keep of them; of classes the functions and values in their bodies; of arrays and
    tensors every value. What comes with Python, skal or an installed package counts by its name alone.

    Parameters
    ----------
    value : object
    version : str, default=""
        Counts too. With one, an object that cannot be looked into counts by its class.

    Raises
    ------
    ValueError
        If there is no `version` and an object cannot be looked into.
    """
    return f"{_name(value)} {_shortened(version + _Describer(bool(version)).describe(value))}"


def describe_backbone(backbone: str | nn.Module, version: str = "") -> str | dict[str, str]:
    """Name a backbone; of a module say what structure, code and attributes it and its parts have, as `describe` does.

    Tensors are left to `weights_sha256`.
    """
    if isinstance(backbone, str):
        return backbone
    describer = _Describer(bool(version))
    attributes = {name: describer.attributes(module) for name, module in backbone.named_modules()}
    code = sorted({describer.describe(type(module)) for module in backbone.modules()})
    return {
        "name": _name(type(backbone)),
        "structure": _shortened(_without_addresses(repr(backbone))),
        "code": _shortened(version + repr(code)),
        "attributes": _shortened(repr(attributes)),
    }


def weights_sha256(model: nn.Module, version: str = "") -> str:
    """A hash of every tensor of the model, so that it does not matter which file they came from."""
    describer = _Describer(bool(version))
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers()), **model.state_dict()}
    return sha256(
        repr([(name, describer.describe(each)) for name, each in sorted(tensors.items())]).encode()
    ).hexdigest()


class _Describer:
    """One description under way: what is described once is not described again, and circles end."""

    def __init__(self, takes_opaque: bool) -> None:
        self._takes_opaque = takes_opaque
        self._done: dict[int, tuple[Any, str]] = {}  # the value too, so that no other takes its id

    def describe(self, value: Any) -> str:
        if type(value) in _PLAIN:
            return repr(value)
        if id(value) not in self._done:
            self._done[id(value)] = value, f"<the {_name(type(value))} around this>"
            self._done[id(value)] = value, self._describe_anew(value)
        return self._done[id(value)][1]

    def attributes(self, module: nn.Module) -> str:
        """What a module holds besides tensors and inner modules, and its hooks; of a script what it computes."""
        if isinstance(module, torch.jit.ScriptModule):
            graph: Any = module.inlined_graph if hasattr(module, "forward") else None
            return "" if graph is None else re.sub(r"___torch_mangle_\d+\.", "", graph.str(False))
        own = {name: each for name, each in vars(module).items() if name not in _OF_TORCH}
        hooks = {name: list(vars(module).get(name, {}).values()) for name in _HOOKS}
        return self._named({**own, **hooks})

    def _describe_anew(self, value: Any) -> str:
        if isinstance(value, ModuleType):
            return _name(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, FunctionType):
            return _name(value) if _is_installed(value.__module__) else self._function(value)
        if isinstance(value, MethodType):
            return f"{self.describe(value.__func__)} of {self.describe(value.__self__)}"
        if isinstance(value, _NAMED):
            return f"{_name(value)} {value!r}"
        if isinstance(value, BuiltinFunctionType | MethodWrapperType):
            owner = value.__self__
            return (
                _name(value)
                if owner is None or isinstance(owner, ModuleType)
                else f"{_name(value)} of {self.describe(owner)}"
            )
        if isinstance(value, _WRAPPERS):
            return self._named({name: getattr(value, name, None) for name in ("__func__", "fget", "func")})
        return self._data(value)

    def _data(self, value: Any) -> str:
        head = self.describe(type(value))
        if isinstance(value, Tensor):
            return f"{head} {value.dtype} {tuple(value.shape)} {self._content(value)}"
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            return f"{head} {value.dtype} {value.shape} {sha256(value.tobytes()).hexdigest()}"
        if isinstance(value, nn.Module):
            tensors = self._named({**dict(value.named_parameters()), **dict(value.named_buffers())})
            parts = [f"{name} {type(each)} {self.attributes(each)}" for name, each in value.named_modules()]
            return f"{head} {_without_addresses(repr(value))} {parts} {tensors}"
        if type(value) in (list, tuple):
            return f"{head} {list(map(self.describe, value))}"
        if type(value) in (set, frozenset):
            return f"{head} {sorted(map(self.describe, value))}"
        if type(value) is dict:
            return f"{head} {sorted((self.describe(key), self.describe(each)) for key, each in value.items())}"
        return f"{head} {self._state(value)}"

    def _content(self, tensor: Tensor) -> str:
        try:
            flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().flatten()
            flat = torch.view_as_real(flat).flatten() if flat.is_complex() else flat
            return sha256(flat.view(torch.uint8).numpy().data).hexdigest()
        except (RuntimeError, TypeError) as error:  # sparse, quantized, without data
            return self._opaque(tensor, error)

    def _state(self, value: Any) -> str:
        """What pickle would keep of an object: how it is made, its attributes, its items."""
        try:
            reducer = copyreg.dispatch_table.get(type(value))
            reduced = value.__reduce_ex__(4) if reducer is None else reducer(value)
        except Exception as error:  # whatever somebody's class raises
            return self._opaque(value, error)
        if isinstance(reduced, str):
            return reduced
        make, arguments, *rest = reduced
        state, items, pairs = [*rest, None, None, None][:3]
        return self.describe([make, arguments, state, list(items or ()), dict(pairs or ())])

    def _opaque(self, value: Any, error: Exception) -> str:
        if self._takes_opaque:
            return "not looked into"
        raise ValueError(
            f"A {_name(type(value))} cannot be compared with the one of an earlier call ({error}). Pass version=, a "
            "text of your own that you change whenever it does something else."
        ) from error

    def _class(self, value: type) -> str:
        if _is_installed(value.__module__):
            return _name(value)
        bodies = [
            f"{_name(base)} {self._named(dict(_body(base)))}"
            for base in value.__mro__
            if not _is_installed(base.__module__)
        ]
        return f"{_name(value)} {_shortened(repr((list(map(_name, value.__mro__)), bodies)))}"

    def _function(self, value: FunctionType) -> str:
        cells = dict(zip(value.__code__.co_freevars, value.__closure__ or (), strict=True))
        parts = [
            self._code(value.__code__),
            self.describe(value.__defaults__),
            self.describe(value.__kwdefaults__),
            self._named(vars(value)),
            self._named({name: _cell_contents(cell) for name, cell in cells.items()}),
            self._named(dict(_globals(value.__code__, value.__globals__))),
        ]
        return f"{_name(value)} {_shortened(repr(parts))}"

    def _code(self, code: CodeType) -> str:
        constants = [self._code(each) if isinstance(each, CodeType) else self.describe(each) for each in code.co_consts]
        return repr((code.co_code, code.co_names, code.co_varnames, code.co_exceptiontable, constants))

    def _named(self, values: Mapping[str, Any]) -> str:
        return repr([(name, self.describe(each)) for name, each in sorted(values.items())])


def _body(value: type) -> Iterator[tuple[str, Any]]:
    """The functions and values in a class, without what Python itself keeps there."""
    for name, each in vars(value).items():
        is_special = name.startswith("__") and name.endswith("__")
        if not name.startswith("_abc_") and (not is_special or isinstance(each, FunctionType)):
            yield name, each


def _globals(code: CodeType, variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The globals that code and the functions inside it read; of modules of the user what is taken from them."""
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if instruction.opname not in ("LOAD_GLOBAL", "LOAD_NAME") or name not in variables:
            continue
        yield name, variables[name]
        if isinstance(variables[name], ModuleType) and not _is_installed(variables[name].__name__):
            taken = {each: getattr(variables[name], each) for each in code.co_names if hasattr(variables[name], each)}
            yield f"{name}, {code.co_name}", taken
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant, variables)


def _cell_contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _name(value: Any) -> str:
    module = getattr(value, "__module__", None) or type(value).__module__
    return f"{module}.{getattr(value, '__qualname__', None) or getattr(value, '__name__', type(value).__qualname__)}"


def _shortened(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _without_addresses(text: str) -> str:
    """The same text in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


@functools.cache
def _is_installed(module: str | None) -> bool:
    """Tell whether a module comes with Python, skal or an installed package."""
    top = (module or "builtins").partition(".")[0]
    if top in ("__main__", "__mp_main__"):
        return False
    if top in sys.stdlib_module_names or top in ("builtins", "skal"):
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    folders = [Path(folder) for folder in map(sysconfig.get_path, ("purelib", "platlib")) if folder]
    return file is not None and any(Path(file).is_relative_to(folder) for folder in folders)
