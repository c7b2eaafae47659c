"""The public names of skal, and what the page of each says."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any

from numpydoc.docscrape import ClassDoc
from sphinx.errors import ExtensionError
from sphinx.pycode import ModuleAnalyzer

import skal

ROOMS = (
    "skal.samplers", "skal.classifiers", "skal", "skal.evaluation", "skal.rounds", "skal.features", "skal.vision",
    "skal.datasets", "skal.pool", "skal.labeling", "skal.labeling.formats", "skal.plotting", "skal.greedy",
    "skal.testing", "skal.registry",
)  # fmt: skip

#: The page of the guide that tells of a room, or of one name of it.
GUIDE = {
    "skal": "getting_started",
    "skal.BaseSampler": "own_sampler",
    "skal.SelectionRequest": "own_sampler",
    "skal.samplers": "which_sampler",
    "skal.classifiers": "classifiers",
    "skal.evaluation": "what_it_buys",
    "skal.evaluation.CoverageCurve": "how_many_labels",
    "skal.evaluation.coverage_curve": "how_many_labels",
    "skal.rounds": "rounds",
    "skal.features": "embeddings",
    "skal.features.embed_in_shards": "scaling",
    "skal.features.open_shards": "scaling",
    "skal.vision": "classifiers",
    "skal.datasets": "embeddings",
    "skal.pool": "scaling",
    "skal.labeling": "labelling",
    "skal.labeling.formats": "labelling",
    "skal.plotting": "what_it_buys",
    "skal.plotting.CoverageCurveDisplay": "how_many_labels",
    "skal.greedy": "own_sampler",
    "skal.testing": "own_sampler",
    "skal.registry": "which_sampler",
}
HOOKS = {"skal.BaseSampler": ("_select_rows", "_select_from")}  # private, and there to be filled


@dataclass(frozen=True)
class PublicName:
    """One name of a room, with what its page says."""

    room: str
    name: str

    @property
    def full_name(self) -> str:
        return f"{self.room}.{self.name}"

    @property
    def value(self) -> Any:
        return getattr(import_module(self.room), self.name)

    @property
    def kind(self) -> str:
        if inspect.isclass(self.value):
            return "class"
        return "function" if callable(self.value) else "data"

    @property
    def page(self) -> str:
        """Of its file. On some disks Score and score would be the same one."""
        has_twin = self.kind == "function" and any(
            other.name != self.name and other.name.lower() == self.name.lower() for other in names_of(self.room)
        )
        return f"{self.full_name}-function" if has_twin else self.full_name

    @property
    def doc(self) -> str:
        return comment_above(self) if self.kind == "data" else inspect.getdoc(self.value) or ""

    @property
    def summary(self) -> str:
        return " ".join(self.doc.split("\n\n")[0].split())

    @property
    def guide(self) -> str:
        return GUIDE.get(self.full_name, GUIDE[self.room])

    @property
    def examples(self) -> str:
        """All names under which a script of the gallery may have used it."""
        home = getattr(self.value, "__module__", self.room)
        return " ".join(dict.fromkeys([self.full_name, f"skal.{self.name}", f"{home}.{self.name}"]))

    @cached_property
    def members(self) -> list[tuple[str, str]]:
        """Methods and properties of a class to document: those of skal's own, `fit` first, bases before heirs."""
        listed = {attribute.name for attribute in ClassDoc(self.value)["Attributes"]}
        found = [
            name
            for cls in reversed(self.value.__mro__)
            if cls.__module__.split(".")[0] == "skal"
            for name, member in vars(cls).items()
            if is_documented(name, member) and name not in listed
        ]
        names = dict.fromkeys(found + list(HOOKS.get(self.full_name, ())))
        kinds = {name: "property" if isinstance(getattr(self.value, name), property) else "method" for name in names}
        return sorted(kinds.items(), key=lambda pair: pair[0] != "fit")

    @property
    def from_scikit_learn(self) -> list[str]:
        """Public methods that come from scikit-learn as they are."""
        homes = {name: cls for cls in reversed(self.value.__mro__) for name in vars(cls)}
        return sorted(
            name
            for name, cls in homes.items()
            if not name.startswith("_")
            and callable(getattr(cls, name))
            and (cls.__module__.split(".")[0] == "sklearn" or is_routing(name))
        )

    @property
    def entries(self) -> list[tuple[str, str]]:
        """What a mapping or a tuple of the package holds: names, and what each means."""
        if isinstance(self.value, Mapping):
            pairs = self.value.items()
            return [(key, held if isinstance(held, str) else first_line(held)) for key, held in pairs]
        return [(held.name, held.title) for held in self.value]


@cache
def names_of(room: str) -> tuple[PublicName, ...]:
    module = import_module(room)
    public = [name for name in module.__all__ if name[0] != "_" and not inspect.ismodule(getattr(module, name))]
    if room == "skal":
        public = [name for name in public if name not in import_module("skal.pool").__all__]  # its page is there
    return tuple(PublicName(room, name) for name in public)


@cache
def page_names() -> Mapping[str, str]:
    """Every public name, and every one that skal knows without its room → the full name its page has."""
    full = {each.full_name: each.full_name for room in ROOMS for each in names_of(room)}
    short: dict[str, str] = {}
    for room in ROOMS:
        for each in names_of(room):
            if each.kind == "class":
                short.setdefault(each.name, each.full_name)
            if hasattr(skal, each.name):
                short.setdefault(f"skal.{each.name}", each.full_name)
    return {**short, **full}


def public_name(full_name: str) -> PublicName:
    return PublicName(*full_name.rsplit(".", 1))


@cache
def public_classes() -> dict[str, str]:
    """Name of every public class → its full name."""
    return {name: full for name, full in page_names().items() if "." not in name}


@cache
def public_functions() -> dict[str, str]:
    """Name of every public function that only one room has → its full name."""
    found = [each for room in ROOMS for each in names_of(room) if each.kind == "function"]
    names = [each.name for each in found]
    return {each.name: each.full_name for each in found if names.count(each.name) == 1}


def is_routing(name: str) -> bool:
    return name.startswith("set_") and name.endswith("_request")


def is_documented(name: str, member: Any) -> bool:
    if name.startswith("_") or is_routing(name):
        return False
    if isinstance(member, property):
        return bool(member.__doc__)
    return inspect.isfunction(member) or isinstance(member, (classmethod, staticmethod))


def first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").split("\n")[0]


def comment_above(public: PublicName) -> str:
    """Find the ``#:`` comment of a constant, in whichever module of the room it is made."""
    for module in [name for name in sys.modules if name.startswith(public.room)]:
        comments = ModuleAnalyzer.for_module(module).find_attr_docs()
        if ("", public.name) in comments:
            return "\n".join(comments["", public.name]).strip()
    raise ExtensionError(f"{public.full_name} has no comment '#: …' that says what it is.")


def listed_by(owner: str) -> set[str]:
    """Name the parameters and attributes in the docstring of a public class."""
    if owner not in page_names() or public_name(owner).kind != "class":
        return set()
    doc = ClassDoc(public_name(owner).value)
    return {entry.name for entry in doc["Parameters"] + doc["Attributes"]}
