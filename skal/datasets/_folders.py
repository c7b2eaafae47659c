"""Folders of images, listed in the same order on every file system."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skal._files._images import IMAGE_SUFFIXES, FoundImages, find_images, list_folder
from skal._warnings import warn_user
from skal.datasets._record import ImageCollection
from skal.datasets._source import PathLike

__all__ = ["list_class_folders", "load_flat_folder", "load_image_folder", "read_class_folders"]


def load_image_folder(root: PathLike, *, split: str | None = None) -> ImageCollection:
    """List the images of a folder that holds one folder a class.

    Parameters
    ----------
    root : path-like
        ``root/<class>/…/<image>``, or ``root/<split>/<class>/…/<image>``.
    split : str, default=None
        The folder in `root` that holds the class folders. None means `root` itself; the record then
        says "all".

    Returns
    -------
    ImageCollection
        `images` are paths, by class and within it by path. Classes are the sorted names of the folders.
        Files that do not end as images do (.jpg, .png, .tif, .webp and the like, in any case), and
        everything whose name begins with a dot, are left out. Images of a kind that is not read (.heic, raw
        files of cameras) are left out with a warning that counts them.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, or holds no class folder.
    ValueError
        If a class folder holds no image, images lie beside the class folders, or a link leads back
        into a folder it lies in.

    See Also
    --------
    load_flat_folder : Images with no labels.

    Notes
    -----
    Time is one directory listing a folder; no image is opened. Memory is some 350 bytes an image.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skal.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("dog/rex.jpg", "cat/tom.jpg", "cat/kit.png", "cat/notes.txt"):
    ...         path = Path(folder, name)
    ...         path.parent.mkdir(exist_ok=True)
    ...         path.touch()
    ...     pets = load_image_folder(folder)
    >>> pets
    ImageCollection('all', 3 image files, 2 classes)
    >>> [path.name for path in pets.images], pets.y.tolist(), pets.class_names
    (['kit.png', 'tom.jpg', 'rex.jpg'], [0, 0, 1], ('cat', 'dog'))
    """
    return read_class_folders(_existing_folder(root, split), split or "all")


def load_flat_folder(root: PathLike, *, split: str | None = None) -> ImageCollection:
    """List the images of a folder and of all folders inside it, with no labels.

    Parameters
    ----------
    root : path-like
        ``root/…/<image>``, or ``root/<split>/…/<image>``.
    split : str, default=None
        The folder in `root` that holds the images. None means `root` itself; the record then says "all".

    Returns
    -------
    ImageCollection
        `images` are paths, sorted; `y` and `class_names` are None. What counts as an image is said at
        `load_image_folder`.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, or holds no image.
    ValueError
        If a link leads back into a folder it lies in.

    See Also
    --------
    load_image_folder : The same with a folder for each class.

    Notes
    -----
    Time is one directory listing a folder; no image is opened. Memory is some 350 bytes an image.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skal.datasets import load_flat_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("2.jpg", "1.jpg", "notes.txt", "older/3.jpg"):
    ...         path = Path(folder, name)
    ...         path.parent.mkdir(exist_ok=True)
    ...         path.touch()
    ...     unlabelled = load_flat_folder(folder)
    >>> unlabelled
    ImageCollection('all', 3 image files, no labels)
    >>> [path.name for path in unlabelled.images]
    ['1.jpg', '2.jpg', '3.jpg']
    """
    folder = _existing_folder(root, split)
    found = find_images(folder)
    if not found.paths:
        left_out = f" Left out: {found.left_out}." if found.left_out else ""
        raise FileNotFoundError(f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)}).{left_out}")
    _warn_of_left_out(found, folder)
    return ImageCollection(found.paths, None, None, split or "all")


def read_class_folders(folder: Path, split: str) -> ImageCollection:
    """List ``folder/<class>/…/<image>``, classes in sorted order."""
    class_folders, found = list_folder(folder)
    if not class_folders:
        raise FileNotFoundError(
            f"{folder} holds no folder a class ({len(found.paths)} images lie in it directly); expected "
            f"{folder / '<class>' / '<image>'}. For images with no labels, use load_flat_folder."
        )
    if found.paths:
        raise ValueError(
            f"{len(found.paths)} images lie in {folder} beside its class folders, so they have no class, first "
            f"{found.paths[0].name}; move them into a class folder or out of {folder}."
        )
    counts = []
    for class_folder in class_folders:
        of_class = find_images(class_folder)
        if not of_class.paths:
            left_out = f" (left out: {of_class.left_out})" if of_class.left_out else ""
            raise ValueError(f"{class_folder} holds no image{left_out}; fill the folder of that class or remove it.")
        counts.append(len(of_class.paths))
        found.add(of_class)
    _warn_of_left_out(found, folder)
    names = tuple(class_folder.name for class_folder in class_folders)
    return ImageCollection(found.paths, np.repeat(np.arange(len(names), dtype=np.int64), counts), names, split)


def list_class_folders(folder: Path) -> list[Path]:
    """List the folders directly in a folder, sorted by name."""
    return list_folder(folder)[0]


def _warn_of_left_out(found: FoundImages, folder: Path) -> None:
    warning = found.warning(folder)
    if warning is not None:
        warn_user(warning)


def _existing_folder(root: PathLike, split: str | None) -> Path:
    folder = Path(root) if split is None else Path(root, split)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; expected a folder with images there.")
    return folder
