"""Say what decides the result of a job, so that a later run can tell whether it is the same job."""

from __future__ import annotations

import _thread
import copyreg
import functools
import random
import re
from collections.abc import Iterable, Mapping
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any

import numpy as np
import torch

from skal._files._code import (
    body_of,
    content_of_cell,
    globals_read,
    is_installed,
    name_of,
    shortened,
    with_inner_code,
)
from skal._files._fingerprint import fingerprint

__all__ = ["Describer", "describe", "describe_each", "script_of"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis), type(NotImplemented))
_BUILTIN = (np.ufunc, BuiltinFunctionType, MethodWrapperType, torch.dtype, torch.device, np.dtype)
_SLOTS = (GetSetDescriptorType, MemberDescriptorType)
_LOCKS = (_thread.LockType, _thread.RLock)  # they decide nothing
_SHARED_GENERATORS = {  # whoever draws from them changes their state, so it says nothing of what is computed
    "Python's": random.random.__self__,  # type: ignore[attr-defined]
    "NumPy's": np.random.get_state.__self__,  # type: ignore[attr-defined]
    "PyTorch's": torch.default_generator,
}
_ACCESSORS = (staticmethod, classmethod, property, functools.cached_property)


def describe(value: Any, *, version: str = "") -> str:
    """Describe a sampler, classifier, callable or any other value by its code and its state.

    Two descriptions are equal only if all of the following are. It is the same in another process.

    - Plain values, collections, arrays, frames and tensors: type and every value, of a frame its index and columns.
    - Estimators (what has ``get_params``): class and parameters, whatever they hold; what was fitted does not count,
      as `sklearn.base.clone` drops it, unless the class says how it is cloned (`FrozenEstimator`).
    - Other objects, modules of torch included: class and state, by what `pickle` would keep of them.
    - Functions and methods: bytecode with its constants (docstrings are among them; comments and line numbers are
      not), defaults, attributes, the variables it closes over, and the globals it reads: helper functions, classes,
      values, and what it takes from other modules.
    - Classes: the functions and values in their body, those of their bases included.
    - The generators that Python, NumPy and PyTorch share with everybody: by name, not by state.

    What comes with Python, skal or another installed package counts by its name alone, not by its code or version.
    Not compared either: what a function imports inside its body, what it reaches by a computed name (``getattr``),
    the content of files it reads, and services it calls.

    Parameters
    ----------
    value : object
    version : str, default=""
        Counts as a part of the description: change it when something changes that is not compared. With one,
        objects that cannot be looked into count by their class.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If no `version` is given, and something can neither be looked into nor pickled.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> describe(LogisticRegression(C=1)) == describe(LogisticRegression(C=1.0))
    False
    >>> describe(LogisticRegression(), version="1") == describe(LogisticRegression(), version="2")
    False
    """
    return describe_each([value], version=version)[0]


def describe_each(values: Iterable[Any], *, version: str = "") -> list[str]:
    """Describe many values, each as `describe` does; an array that several hold is read once."""
    arrays: dict[int, tuple[Any, str]] = {}
    described = [Describer(bool(version), arrays).describe(value) for value in values]
    return [f"version {version!r} of {each}" for each in described] if version else described


class Describer:
    """One description under way: what is described once is not described again, and cycles end.

    Parameters
    ----------
    takes_opaque : bool
        Whether what cannot be looked into counts by its class, in place of an error.
    arrays : dict, default=None
        What arrays are known already, where several descriptions share them.
    """

    def __init__(self, takes_opaque: bool, arrays: dict[int, tuple[Any, str]] | None = None) -> None:
        self._takes_opaque = takes_opaque
        self._arrays = {} if arrays is None else arrays
        self._done: dict[tuple[int, bool], tuple[Any, str]] = {}  # the value too, so that no other takes its id
        self._depth = 0
        self._is_frozen = False  # whether what was fitted counts

    def describe(self, value: Any) -> str:
        if type(value) in _PLAIN:
            return repr(value)
        key = id(value), self._is_frozen
        if key not in self._done:
            self._depth += 1
            self._done[key] = value, f"<the {name_of(type(value))} at depth {self._depth}>"
            self._done[key] = value, self._describe_anew(value)
            self._depth -= 1
        return self._done[key][1]

    def _describe_anew(self, value: Any) -> str:
        if isinstance(value, ModuleType):
            return f"module {value.__name__}"
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, FunctionType):
            return name_of(value) if is_installed(value.__module__) else self._function(value)
        if isinstance(value, MethodType):
            return f"{self.describe(value.__func__)} of {self.describe(value.__self__)}"
        if isinstance(value, _BUILTIN):
            return self._builtin(value)
        if isinstance(value, _LOCKS):
            return name_of(type(value))
        for owner, generator in _SHARED_GENERATORS.items():
            if value is generator:
                return f"{owner} shared generator"
        if isinstance(value, _SLOTS):
            return f"{type(value).__name__} {value.__name__}"
        if isinstance(value, _ACCESSORS):
            return self._accessor(value)
        return self._data(value)

    def _data(self, value: Any) -> str:
        if hasattr(value, "__array__") and not isinstance(value, np.generic):
            return self._array(value)
        if isinstance(getattr(value, "__wrapped__", None), FunctionType):  # a cached or a compiled function
            return f"{name_of(type(value))} around {self.describe(value.__wrapped__)}"
        head = self.describe(type(value))
        if hasattr(value, "get_params"):
            return f"{head}({self._estimator(value)})"
        if isinstance(value, torch.jit.ScriptModule):
            return f"{head}({script_of(value)} with {self.describe(dict(value.state_dict()))})"
        if type(value) in (dict, MappingProxyType, list, tuple, set, frozenset):
            return f"{type(value).__name__}({self._items(value)})"
        order = [name for name, _ in value.named_modules()] if isinstance(value, torch.nn.Module) else ""
        return f"{head}({order}{self._state(value)})"

    def _estimator(self, value: Any) -> str:
        clone = getattr(value, "__sklearn_clone__", None)
        if not self._is_frozen and (clone is None or clone.__module__ == "sklearn.base"):
            return self.named(value.get_params(deep=False))
        was_frozen, self._is_frozen = self._is_frozen, True
        state = self._state(value)
        self._is_frozen = was_frozen
        return state

    def _items(self, value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(sorted(f"{self.describe(key)}: {self.describe(item)}" for key, item in value.items()))
        items = map(self.describe, value)
        return ", ".join(sorted(items) if isinstance(value, (set, frozenset)) else items)

    def named(self, values: Mapping[str, Any]) -> str:
        """Describe values with their names, in the order of the names."""
        return ", ".join(f"{name}={self.describe(value)}" for name, value in sorted(values.items()))

    def _array(self, value: Any) -> str:
        """An array, a tensor or a frame by its fingerprint; Python objects in an array one by one."""
        dtype = getattr(value, "dtype", "")
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            return f"{name_of(type(value))}({value.shape}, {self._items(value.ravel().tolist())})"
        if id(value) not in self._arrays:
            try:
                self._arrays[id(value)] = value, fingerprint(value)
            except (RuntimeError, TypeError) as error:  # tensors that are sparse, quantized or without data
                return self._opaque(value, error)
        return f"{name_of(type(value))}({dtype}, {self._arrays[id(value)][1]})"

    def _state(self, value: Any) -> str:
        """What pickle would keep of an object: how it is made, its attributes, its items."""
        try:
            reducer = copyreg.dispatch_table.get(type(value))
            reduced = value.__reduce_ex__(4) if reducer is None else reducer(value)
        except Exception as error:  # whatever a class of somebody else raises
            return self._opaque(value, error)
        if isinstance(reduced, str):
            return f"{value.__module__}.{reduced}"
        make, arguments, *rest = reduced
        state, items, pairs = [*rest, None, None, None][:3]
        parts = [self.describe(make), self.describe(arguments), self.describe(state)]
        parts += [self._items(list(items or ())), self._items(dict(pairs or ()))]
        return ", ".join(parts)

    def _opaque(self, value: Any, error: Exception) -> str:
        if self._takes_opaque:
            return "not looked into"
        raise ValueError(
            f"A {name_of(type(value))} cannot be compared with the one of an earlier run ({error}). Pass version=, "
            "a text of your own that you change whenever it does something else."
        ) from error

    def _class(self, value: type) -> str:
        if is_installed(value.__module__):
            return name_of(value)
        bodies = [
            f"{name_of(base)}({self.named(dict(body_of(base)))})"
            for base in value.__mro__
            if not is_installed(base.__module__)
        ]
        bases = [name_of(base) for base in value.__mro__]
        return f"{name_of(value)}@{shortened(f'{bases} {bodies}')}"

    def _function(self, value: FunctionType) -> str:
        closed_over = dict(zip(value.__code__.co_freevars, value.__closure__ or (), strict=True))
        parts = (
            self._code(value.__code__),
            self.describe(value.__defaults__),
            self.describe(value.__kwdefaults__),
            self.named(vars(value)),
            self.named({name: content_of_cell(cell) for name, cell in closed_over.items()}),
            self._globals(value.__code__, value.__globals__),
        )
        return f"{name_of(value)}@{shortened(' '.join(parts))}"

    def _code(self, code: CodeType) -> str:
        constants = [self._code(each) if isinstance(each, CodeType) else self.describe(each) for each in code.co_consts]
        signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars)
        return repr((code.co_code, code.co_exceptiontable, signature, names, constants))

    def _globals(self, code: CodeType, variables: Mapping[str, Any]) -> str:
        found: dict[str, str] = {}
        for part in with_inner_code(code):
            for name in globals_read(part):
                if name in variables:  # else a builtin, or not there yet
                    found[f"{name} of {part.co_qualname}"] = self._taken(variables[name], part.co_names, ())
        return repr(sorted(found.items()))

    def _taken(self, value: Any, names: tuple[str, ...], through: tuple[ModuleType, ...]) -> str:
        """Describe a global; of a module of the user's, what the code takes from it by one of its `names`."""
        if not isinstance(value, ModuleType) or is_installed(value.__name__) or value in through:
            return self.describe(value)
        taken = {name: getattr(value, name) for name in names if hasattr(value, name)}
        parts = [f"{name}={self._taken(each, names, (*through, value))}" for name, each in sorted(taken.items())]
        return f"{self.describe(value)}({', '.join(parts)})"

    def _builtin(self, value: Any) -> str:
        owner = getattr(value, "__self__", None)
        if isinstance(value, (BuiltinFunctionType, MethodWrapperType)) and not isinstance(owner, (ModuleType, type)):
            return f"{value.__qualname__} of {self.describe(owner)}"
        return repr(value) if isinstance(value, (torch.dtype, torch.device, np.dtype)) else name_of(value)

    def _accessor(self, value: Any) -> str:
        names = ("__func__", "fget", "fset", "fdel", "func")
        return f"{type(value).__name__}({self.named({name: getattr(value, name, None) for name in names})})"


def script_of(module: torch.jit.ScriptModule) -> str:
    """What a script computes, without the numbers that torch gives classes of one name in one process."""
    graph: Any = module.inlined_graph if hasattr(module, "forward") else None
    return "" if graph is None else re.sub(r"___torch_mangle_\d+\.", "", graph.str(False))
