"""Labels that come back from elsewhere: which image each is of, and what it adds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from skal.labeling._images import ImageFile
from skal.labeling._manifest import Manifest
from skal.labeling.formats import ImportedLabel

__all__ = ["ImageFinder", "ImportReport"]

_SHOWN = 3


@dataclass
class ImportReport:
    """What an import brought.

    Parameters
    ----------
    n_labels : int
        Labels that were recorded.
    n_known : int
        Labels that were there already.
    n_skipped : int
        Images that were skipped in the other tool, and now are here.
    n_replaced : int
        Labels of the same person that were replaced; counted in `n_labels`, too.
    n_unlabeled, n_empty : int
        Images without any answer, and with an empty one.
    unknown : list of str
        Images that the project does not have, or that cannot be told apart.
    disagreements : dict of str to dict
        By path: images whose labels differ by person now.

    See Also
    --------
    LabelingProject.import_labels : Makes one.
    """

    n_labels: int = 0
    n_known: int = 0
    n_skipped: int = 0
    n_replaced: int = 0
    n_unlabeled: int = 0
    n_empty: int = 0
    unknown: list[str] = field(default_factory=list)
    disagreements: dict[str, dict[str, str]] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"{self.n_labels} labels recorded"]
        counts = (
            (self.n_replaced, "of them in place of others"),
            (self.n_known, "there already"),
            (self.n_skipped, "skipped"),
            (self.n_unlabeled, "without label"),
            (self.n_empty, "with an empty answer"),
        )
        parts += [f"{count} {what}" for count, what in counts if count]
        if self.unknown:
            parts.append(f"{len(self.unknown)} of images that the project does not have ({named(self.unknown)})")
        if self.disagreements:
            parts.append(f"{len(self.disagreements)} that people label differently ({named(list(self.disagreements))})")
        return ", ".join(parts) + "."


class ImageFinder:
    """Finds the image of a label: by its number, else by its path, else by its content; never by its place in a file.

    A path is compared as it is, then with folders before it left out, then without suffix. What fits several images
    fits none.

    Parameters
    ----------
    manifest : Manifest
    """

    def __init__(self, manifest: Manifest) -> None:
        self._images: Sequence[ImageFile] = manifest.images
        self._row_at: Mapping[str, int] = manifest.row_at
        self._paths_of_name: dict[str, list[str]] = defaultdict(list)
        self._rows_of_content: dict[str, list[int]] = defaultdict(list)
        for path, row in manifest.row_at.items():
            self._paths_of_name[PurePosixPath(path).name].append(path)
            self._paths_of_name[PurePosixPath(path).stem].append(path)
            self._rows_of_content[manifest.images[row].sha256].append(row)

    def find(self, label: ImportedLabel) -> int | None:
        """Return a row; None where no image, or more than one, is meant.

        Raises
        ------
        ValueError
            If the number and the path are of different images: the file belongs to another project.
        """
        fitting = None if label.path is None else self._fitting(label.path.replace("\\", "/"))
        if label.skal_id is not None and 0 <= label.skal_id < len(self._images):
            known = self._images[label.skal_id].path
            if fitting is None or known in fitting:
                return label.skal_id
            if fitting:
                raise ValueError(
                    f"{label.where} says that image {label.skal_id} is {label.path}, and here that is {known}: the "
                    "file is of another project."
                )
        if fitting:
            return self._row_at[fitting[0]] if len(fitting) == 1 else None
        if label.sha256 is not None and self._rows_of_content[label.sha256]:
            return self._rows_of_content[label.sha256][0]  # of copies, one stands for all
        return None

    def _fitting(self, path: str) -> list[str]:
        """The paths of images that a path may stand for."""
        if path in self._row_at:
            return [path]
        given, bare = _parts(path), _parts(_without_suffix(path))
        candidates = dict.fromkeys(self._paths_of_name.get(given[-1] if given else "", ()))
        candidates |= dict.fromkeys(self._paths_of_name.get(bare[-1] if bare else "", ()))
        for sought, form_of in ((given, _parts), (given, _bare_parts), (bare, _bare_parts)):
            fitting = [each for each in candidates if _agree(sought, form_of(each))]
            # With folders before it left out, a path may end in the path of one image and in the name of another.
            inside = [len(form_of(each)) for each in fitting if len(form_of(each)) <= len(sought)]
            if inside:
                return [each for each in fitting if len(form_of(each)) == max(inside)]
            if fitting:
                return fitting
        return []


def named(names: Iterable[str]) -> str:
    """The first names, and how many more."""
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _without_suffix(path: str) -> str:
    pure = PurePosixPath(path)
    return pure.with_suffix("").as_posix() if pure.name else path


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(path).parts if part != "/")


def _bare_parts(path: str) -> tuple[str, ...]:
    return _parts(_without_suffix(path))


def _agree(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Whether the shorter is the end of the longer."""
    n_parts = min(len(first), len(second))
    return bool(n_parts) and first[-n_parts:] == second[-n_parts:]
