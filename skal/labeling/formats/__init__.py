"""Formats to hand labels over in, and to take them back."""

from skal.labeling.formats._class_folders import CLASS_FOLDERS
from skal.labeling.formats._cvat import CVAT
from skal.labeling.formats._datumaro import DATUMARO
from skal.labeling.formats._fiftyone import FIFTYONE
from skal.labeling.formats._imagefolder import IMAGEFOLDER
from skal.labeling.formats._label_studio import LABEL_STUDIO
from skal.labeling.formats._label_studio_min import LABEL_STUDIO_CSV, LABEL_STUDIO_MIN
from skal.labeling.formats._records import Export, ExportItem, Format, ImportedLabel, Opinion
from skal.labeling.formats._table import TABLE

__all__ = ["FORMATS", "Export", "ExportItem", "Format", "ImportedLabel", "Opinion", "format_named"]

#: Every format, by its name on the command line and its title.
FORMATS: tuple[Format, ...] = (
    LABEL_STUDIO, LABEL_STUDIO_MIN, LABEL_STUDIO_CSV, CVAT, DATUMARO, FIFTYONE, IMAGEFOLDER, TABLE, CLASS_FOLDERS,
)  # fmt: skip


def format_named(name: str, *, to_write: bool = False) -> Format:
    """Return a format.

    Parameters
    ----------
    name : str
    to_write : bool, default=False
        Whether it is for an export; some are only read.

    Raises
    ------
    ValueError
        If there is none of that name for that.

    Examples
    --------
    >>> from skal.labeling.formats import format_named
    >>> format_named("cvat").title
    'CVAT for images 1.1'
    """
    usable = {each.name: each for each in FORMATS if (each.write if to_write else each.read) is not None}
    if name not in usable:
        what = "written" if to_write else "read"
        raise ValueError(f"No format {name!r} can be {what}; there are {', '.join(usable)}.")
    return usable[name]
