"""A project on disk: made, opened by one writer at a time, and found again after its images moved."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skal._warnings import warn_user
from skal.labeling._errors import ProjectInUseError
from skal.labeling._images import Changes, ImageFile, compare, find_folder, holds, scan, take_in
from skal.labeling._manifest import Manifest
from skal.labeling._settings import Settings, read_settings, write_settings
from skal.rounds import Ledger

__all__ = ["MANIFEST", "SETTINGS", "ProjectFiles"]

MANIFEST, _LEDGER, SETTINGS = "manifest.json", "ledger.jsonl", "skal.toml"


class ProjectFiles:
    """The part of `LabelingProject` that knows where things lie."""

    def __init__(
        self, folder: Path, manifest: Manifest, settings: Settings, ledger: Ledger, *, read_only: bool
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.ledger = ledger
        self.read_only = read_only
        self._manifest = manifest
        self._images_folder: Path | None = None

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        images: str | os.PathLike[str],
        *,
        classes: Sequence[str] = (),
        backbone: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        image_size: int | None = None,
        random_state: int = 0,
        on_image: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Make a project of the images in a folder, which stays as it is.

        Parameters
        ----------
        folder : path
            Of the project. It is made; what lies in it already stays.
        images : path
            A folder; every image below it is taken in, and hashed.
        classes : sequence of str, default=()
            What a label may be. Empty: any text.
        backbone, weights, image_size
            What is to embed the images, as `skal.features.TorchFeatureExtractor` takes it.
        random_state : int, default=0
            Of random weights, samplers and the draw of images to test with.
        on_image : callable, default=None
            Told how many images are hashed, and of how many, after each.

        Returns
        -------
        LabelingProject
            Open to write.

        Raises
        ------
        ValueError
            If the folder is a project already, or `images` holds no images.
        FileNotFoundError, OSError
            If there is no such folder of images, or it cannot be read.
        """
        folder, images = Path(folder), Path(images)
        if (folder / MANIFEST).exists():
            raise ValueError(
                f"{folder} is a project already: LabelingProject.open opens it, update() takes in new images."
            )
        paths = scan(images)
        settings = Settings(
            tuple(classes),
            backbone,
            None if weights is None else os.path.abspath(weights),
            image_size,
            random_state=random_state,
        )
        hashed = _hashed(images, paths, on_image)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / SETTINGS).exists():
            write_settings(folder / SETTINGS, settings)
        Manifest.new(folder, images, hashed).save(folder / MANIFEST)
        return cls.open(folder)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        images: str | os.PathLike[str] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Open a project; close it, or use it in a ``with``, so that others can write.

        Parameters
        ----------
        folder : path
            Of the project.
        images : path, default=None
            Where the images are now, if they moved and are not found.
        read_only : bool, default=False
            Look at it only; somebody else may be writing meanwhile.

        Returns
        -------
        LabelingProject

        Raises
        ------
        FileNotFoundError
            If `folder` is no project.
        ProjectInUseError
            If another process has it open to write.
        ValueError
            If a file of it is damaged, or `images` holds other images.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).exists():
            raise FileNotFoundError(
                f"{folder} is no project: it holds no {MANIFEST}. Make one with create() (skal init)."
            )
        ledger = _opened_ledger(folder, read_only)
        try:
            # Read under the lock, so that nobody replaces it between here and there.
            manifest = Manifest.load(folder / MANIFEST)
            project = cls(folder, manifest, read_settings(folder / SETTINGS), ledger, read_only=read_only)
            project._begin_or_compare_ledger()
            project._locate_images(None if images is None else Path(images))
        except BaseException:
            ledger.close()
            raise
        return project

    @property
    def images_folder(self) -> Path:
        """Where the images are."""
        if self._images_folder is None:
            raise FileNotFoundError(
                f"The images are not at {self._manifest.absolute_folder} any more, nor beside the project. Say where: "
                "LabelingProject.open(folder, images=...) (skal status --images FOLDER)."
            )
        return self._images_folder

    @property
    def images(self) -> tuple[ImageFile, ...]:
        """All images that were ever taken in, by row number."""
        return self._manifest.images

    def path_of(self, row: int) -> Path:
        """Where the image of a row is."""
        return self.images_folder / self.images[row].path

    def row_of(self, image: int | str | os.PathLike[str]) -> int:
        """Return the row of an image: of a number itself, of a path relative to the images or below them.

        Raises
        ------
        ValueError
            If the project has no such image.
        """
        if not isinstance(image, str | os.PathLike):
            row = int(image)
            if 0 <= row < len(self.images):
                return row
            raise ValueError(f"There is no image {row}; the project has images 0 to {len(self.images) - 1}.")
        path = Path(image)
        if path.is_absolute() and self._images_folder is not None:
            absolute = Path(os.path.abspath(self._images_folder))
            path = path.relative_to(absolute) if path.is_relative_to(absolute) else path
        row_at: int | None = self._manifest.row_at.get(path.as_posix())
        if row_at is None:
            raise ValueError(f"The project has no image {os.fspath(image)!r}; update() takes in new ones.")
        return row_at

    def is_current(self, row: int) -> bool:
        """Whether the file of an image still holds it: one that changed became another image."""
        return self._manifest.is_current(row)

    def changes(self) -> Changes:
        """Compare the folder of images with what the project knows; nothing is written."""
        return compare(self.images_folder, self.images, self._manifest.current_rows)

    def update(self) -> Changes:
        """Take in images that are new, renamed or changed since.

        A file that holds something else now becomes a new image under the same path; the old row keeps its embedding
        and its label, which are of what the file held then. An image that is gone keeps its row.

        Returns
        -------
        Changes
            What was found.
        """
        self._refuse_read_only()
        changes = self.changes()
        images = list(self.images)
        for row, path in changes.renamed:
            images[row] = images[row]._replace(path=path)
        images += take_in(self.images_folder, [images[row].path for row in changes.changed] + list(changes.new))
        if changes.new or changes.changed or changes.renamed:
            self._replace_manifest(replace(self._manifest, images=tuple(images)))
            self.ledger.grow(len(images))
        return changes

    def close(self) -> None:
        """Let others write. What is known can still be looked at."""
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _replace_manifest(self, manifest: Manifest) -> None:
        manifest.save(self.folder / MANIFEST)
        self._manifest = manifest

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise RuntimeError(f"{self.folder} was opened with read_only=True; open it again to write.")

    def _begin_or_compare_ledger(self) -> None:
        n_images, owner = len(self._manifest.images), f"project {self._manifest.id}"
        if self.ledger.n_samples is None and not self.read_only:
            self.ledger.bind(n_images, owner)
        if self.ledger.fingerprint not in (None, owner):
            raise ValueError(f"{self.folder / _LEDGER} belongs to another project; put the right one back.")
        known = self.ledger.n_samples or 0
        if known > n_images:
            raise ValueError(
                f"{self.folder / MANIFEST} has {n_images} images, and the ledger beside it counts {known}: it is an "
                "older copy. Restore the newer one."
            )
        if known < n_images and not self.read_only:  # killed between the two
            self.ledger.grow(n_images)

    def _locate_images(self, given: Path | None) -> None:
        manifest, recorded = self._manifest, Path(self._manifest.absolute_folder)
        if given is not None:
            if not given.is_dir() or not holds(given, manifest.images):
                raise ValueError(f"{given} does not hold the images of this project; pass the folder that does.")
            self._images_folder = given
        else:
            expected = [Path(os.path.abspath(self.folder / manifest.folder)), recorded]
            near = [Path(os.path.abspath(self.folder)), recorded]
            self._images_folder = find_folder(expected, manifest.images, near)
        found = self._images_folder
        if found is None or os.path.abspath(found) == os.fspath(recorded):
            return
        if given is None:
            warn_user(f"The images were at {recorded} and are at {found} now.")
        if not self.read_only:
            self._replace_manifest(manifest.located(self.folder, found))


def _hashed(folder: Path, paths: Iterable[str], on_image: Callable[[int, int], None] | None) -> list[ImageFile]:
    paths, images = list(paths), []
    for number, path in enumerate(paths, start=1):
        images += take_in(folder, [path])
        if on_image is not None:
            on_image(number, len(paths))
    return images


def _opened_ledger(folder: Path, read_only: bool) -> Any:
    path = folder / _LEDGER
    if read_only:
        return Ledger.read(path) if path.exists() else Ledger()
    try:
        return Ledger(path)
    except RuntimeError as error:
        raise ProjectInUseError(
            f"{folder} is open in another process, a labelling page perhaps. Close that one, or wait for it; to look "
            "only, open it with read_only=True."
        ) from error
