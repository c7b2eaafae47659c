"""What every format is written from and read into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Export", "ExportItem", "Format", "ImportedLabel", "Opinion", "State"]

State = Literal["labelled", "skipped", "empty", "unlabelled"]


@dataclass(frozen=True)
class Opinion:
    """What one person said of an image.

    Parameters
    ----------
    label : str
    annotator : str or None
    seconds : float or None
    time : str
        ISO 8601.
    """

    label: str
    annotator: str | None
    seconds: float | None
    time: str


@dataclass(frozen=True)
class ExportItem:
    """One image to hand over.

    Parameters
    ----------
    row : int
        Written as ``skal_id`` where the format has a place for it.
    path : str
        Relative to the folder of images, with forward slashes.
    label : str or None
        What people agree on.
    opinions : tuple of Opinion
        What each said.
    skipped : str or None
        Why nobody could label it.
    suggestion : (str, float) or None
        What the model says, and how sure it is.
    is_held_out : bool
    """

    row: int
    path: str
    label: str | None = None
    opinions: tuple[Opinion, ...] = ()
    skipped: str | None = None
    suggestion: tuple[str, float] | None = None
    is_held_out: bool = False


@dataclass(frozen=True)
class Export:
    """All that is handed over.

    Parameters
    ----------
    items : tuple of ExportItem
    classes : tuple of str
    images_folder : Path
    link : bool
        Put links to the images where a format needs files, in place of copies.

    See Also
    --------
    Format : Writes one.
    """

    items: tuple[ExportItem, ...]
    classes: tuple[str, ...]
    images_folder: Path
    link: bool = False

    @property
    def labeled(self) -> tuple[ExportItem, ...]:
        return tuple(item for item in self.items if item.label is not None)


@dataclass(frozen=True)
class ImportedLabel:
    """One statement of a file that came back.

    Parameters
    ----------
    where : str
        Its place in the file, for messages.
    state : {"labelled", "skipped", "empty", "unlabelled"}
    label : str or None
    skal_id : int or None
    path : str or None
        As the file has it.
    sha256 : str or None
        Of the image, where the file is one.
    annotator : str or None
    seconds : float or None
    reason : str
        Why it was skipped.
    """

    where: str
    state: State
    label: str | None = None
    skal_id: int | None = None
    path: str | None = None
    sha256: str | None = None
    annotator: str | None = None
    seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Format:
    """A way to hand labels over.

    Parameters
    ----------
    name : str
        What a user types.
    title : str
        What it is for.
    target : str
        The file or folder that is usual, for messages.
    write : callable (Export, Path) → str, or None
        Returns what the user has to do next.
    read : callable Path → list of ImportedLabel, or None

    See Also
    --------
    format_named : Finds one by its name.
    FORMATS : All of them.
    """

    name: str
    title: str
    target: str
    write: Callable[[Export, Path], str] | None
    read: Callable[[Path], list[ImportedLabel]] | None
