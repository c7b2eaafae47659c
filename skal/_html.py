"""HTML for notebooks. Everything that comes in is text; it is escaped here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

__all__ = ["DiagramWithFactsMixin", "counts_in_words", "facts", "in_words", "place_of", "size_in_words", "table"]

# Colors are those of the page, so that it can be read on a dark one.
_STYLE = (
    "<style>"
    ".skal-repr {font-size: 0.9em; margin: 0.5em 0; overflow-x: auto}"
    ".skal-repr table {border-collapse: collapse; margin: 0; color: inherit; font-size: inherit}"
    ".skal-repr .skal-title {font-weight: bold}"
    ".skal-repr tr {background: transparent}"
    ".skal-repr th, .skal-repr td {border: 0; border-bottom: 1px solid rgba(128, 128, 128, 0.4); color: inherit;"
    " background: transparent; padding: 0.2em 0.8em; text-align: right; vertical-align: top}"
    ".skal-repr th:first-child, .skal-repr td:first-child {text-align: left; padding-left: 0}"
    ".skal-repr .skal-facts td {text-align: left; overflow-wrap: anywhere}"
    ".skal-repr .skal-facts th {font-weight: normal; opacity: 0.8; white-space: nowrap}"
    "</style>"
)
_MOST_ROWS_SHOWN = 8


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]], title: str = "") -> str:
    """Return a table with a line of headings. The first column is text, the others are figures."""
    body = "".join(_row("td", cells) for cells in rows)
    return _shown(title, f"<table><thead>{_row('th', header)}</thead><tbody>{body}</tbody></table>")


def facts(title: str, pairs: Mapping[str, Any]) -> str:
    """Return a table of names and what is known of each."""
    rows = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(str(value))}</td></tr>'
        for name, value in pairs.items()
    )
    return _shown(title, f'<table class="skal-facts"><tbody>{rows}</tbody></table>')


def in_words(items: Any) -> str:
    """Name the first few of many."""
    first = ", ".join(str(item) for item in items[:_MOST_ROWS_SHOWN])
    return f"{first}, …" if len(items) > _MOST_ROWS_SHOWN else first


def counts_in_words(counts: Mapping[str, int]) -> str:
    """Name the first few of many counts."""
    return in_words([f"{name}: {count:,}" for name, count in counts.items()])


def size_in_words(n_bytes: int) -> str:
    """Give a number of bytes in the unit that suits."""
    power = min(int(math.log2(n_bytes)) // 10, 4) if n_bytes else 0
    return f"{n_bytes / 1024**power:.4g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def place_of(rows: Any) -> str:
    """Say where rows lie: in memory, in a file, on a device, in chunks. Reads none of them."""
    if hasattr(rows, "numblocks"):
        return f"dask array of {math.prod(rows.numblocks):,} chunks"
    kind = type(rows).__name__
    if hasattr(rows, "device") and not isinstance(rows, np.ndarray):
        return f"{kind} on {rows.device}"
    file = _file_of(rows)
    return f"{kind} in memory" if file is None else f"{kind} of {file}"


class DiagramWithFactsMixin:
    """Shows what a fit found below scikit-learn's diagram of an estimator; stands before `BaseEstimator`."""

    @property
    def _repr_html_(self) -> Any:
        diagram = super()._repr_html_  # type: ignore[misc]  # AttributeError where scikit-learn is to show text
        return lambda: diagram() + self._facts_in_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        shown: dict[str, str] = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in shown:
            shown["text/html"] += self._facts_in_html()
        return shown

    def _facts(self) -> dict[str, Any]:
        """Say what is known after a fit, by name; reads attributes only. Empty before it."""
        raise NotImplementedError

    def _facts_in_html(self) -> str:
        found = self._facts()
        return facts("", found) if found else ""


def _file_of(rows: Any) -> str | None:
    while isinstance(rows, np.ndarray):
        if isinstance(rows, np.memmap) and rows.filename is not None:
            return str(rows.filename)
        rows = rows.base
    return None


def _shown(title: str, inner: str) -> str:
    above = f'<div class="skal-title">{escape(title)}</div>' if title else ""
    return f'<div class="skal-repr">{_STYLE}{above}{inner}</div>'


def _row(tag: str, cells: Sequence[Any]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
