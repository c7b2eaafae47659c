"""The one list of samplers: the command line, benchmarks, pages and tests read it.

A sampler enters it by standing in the ``__all__`` of its room; the facts come from its class. Rooms are loaded by
name when the list is asked for, so this module stands below all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import cleandoc
from typing import Any

__all__ = ["SamplerEntry", "sampler_titled", "samplers"]

_ROOMS = ("skal.samplers", "skal.rounds")


@dataclass(frozen=True)
class SamplerEntry:
    """What one sampler is and needs.

    Attributes
    ----------
    name : str
        Of its class.
    title : str
        What tables and pictures call it, as the paper does where it has it.
    summary : str
        What it picks, in a sentence.
    order : str
        The order of its picks.
    needs : {"nothing", "labelled rows", "labels", "all labels"}
        What it has to know: nothing, which rows are labelled, their labels, or the label of every row (which
        makes it a yardstick and no strategy).
    cost : str
        What it takes, in operations up to a factor: n rows, d features, L labelled rows.
    carries_over : bool
        Whether ``select(X)`` applies what it learned to another pool.
    runs_rounds : bool
        Whether it takes `budgets`, the totals of several rounds, in place of `budget`.
    takes_chunks : bool
        Whether the pool may be a dask array, which is never in memory as a whole. What runs rounds takes what its
        samplers take.
    cls : type

    See Also
    --------
    samplers : All of them.
    sampler_titled : The one of a title.
    """

    name: str
    title: str
    summary: str
    order: str
    needs: str
    cost: str
    carries_over: bool
    runs_rounds: bool
    takes_chunks: bool
    cls: type

    def make(self, **parameters: Any) -> Any:
        """Return an unfitted sampler."""
        return self.cls(**parameters)


@cache
def samplers() -> tuple[SamplerEntry, ...]:
    """Return all samplers, in the order of their names.

    See Also
    --------
    sampler_titled : One of them, by its title.

    Examples
    --------
    >>> from skal import registry
    >>> [entry.title for entry in registry.samplers() if entry.needs == "all labels"]
    ['Uniform']
    """
    entries = []
    for room in _ROOMS:
        module = import_module(room)
        entries += [_entry_of(getattr(module, name)) for name in module.__all__ if _is_sampler(getattr(module, name))]
    return tuple(sorted(entries, key=lambda entry: entry.name))


def sampler_titled(title: str) -> SamplerEntry:
    """Return the sampler that tables call so.

    Raises
    ------
    KeyError
        If there is none; the message lists the titles.

    Examples
    --------
    >>> from skal import registry
    >>> registry.sampler_titled("K-means").make(budget=5)
    KMeansSampler(budget=5)
    """
    for entry in samplers():
        if entry.title == title:
            return entry
    raise KeyError(f"no sampler is titled {title!r}; there are {', '.join(entry.title for entry in samplers())}.")


def _is_sampler(member: Any) -> bool:
    return isinstance(member, type) and hasattr(member, "_title")


def _entry_of(cls: Any) -> SamplerEntry:
    summary = cleandoc(cls.__doc__).split("\n\n")[0].replace("\n", " ").removesuffix(".")
    return SamplerEntry(
        cls.__name__,
        cls._title,
        summary,
        cls._order,
        cls._needs,
        getattr(cls, "_takes", "that of the sampler in each round"),
        cls._carries_over(),
        cls._runs_rounds,
        cls._takes_chunks,
        cls,
    )
