"""The picked images, in the order of the picks."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from skal.datasets import ImageCollection
from skal.features import Embedded
from skal.plotting import PickedImagesDisplay


def test_picked_images_in_the_order_of_the_picks(rng):
    images = rng.random((20, 4, 4))
    before = images.copy()
    display = PickedImagesDisplay.from_indices(images, [7, 3, 11], titles=np.arange(20), n_columns=2)
    assert [ax.get_title() for ax in display.axes_.flat] == ["7", "3", "11", ""]
    for shown, index in zip(display.images_, [7, 3, 11], strict=True):
        np.testing.assert_array_equal(shown.get_array(), images[index])
    np.testing.assert_array_equal(images, before)


def test_images_go_into_given_axes(rng):
    images = rng.random((20, 4, 4))
    figure = Figure()
    left, right = figure.subplots(1, 2)
    display = PickedImagesDisplay.from_indices(images, [7, 3, 11], titles=np.arange(20), n_columns=2, ax=left)
    assert display.figure_ is figure
    assert display.axes_.shape == (2, 2)
    assert list(left.child_axes) == list(display.axes_.flat)
    assert not right.child_axes
    assert [ax.get_title() for ax in display.axes_.flat] == ["7", "3", "11", ""]


@pytest.mark.parametrize(
    "wrap",
    [list, torch.from_numpy, lambda names: pd.Series(names, index=names[::-1])],
    ids=["list", "tensor", "series"],
)
def test_titles_of_any_kind_are_taken_by_position(wrap, rng):
    titles = np.arange(20)
    display = PickedImagesDisplay.from_indices(rng.random((20, 4, 4)), [7, 3], titles=wrap(titles))
    assert display.titles == ["7", "3"]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([], "one picked row or more"),
        ([[1, 2]], "must be one-dimensional"),
        ([0.5], "must hold row numbers"),
        ([20], "20, which is not a row"),
        ([3, -1], "-1, which is not a row"),
        (np.arange(20) < 3, "boolean mask"),
    ],
)
def test_picks_that_are_no_images(indices, message, rng):
    with pytest.raises(ValueError, match=message):
        PickedImagesDisplay.from_indices(rng.random((20, 4, 4)), indices)


def test_titles_of_another_length_are_refused(rng):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PickedImagesDisplay.from_indices(rng.random((20, 4, 4)), [0], titles=["a", "b", "c"])


@pytest.fixture
def photos(tmp_path, rng):
    """Paths of photos of several sizes, the second of them no image, and their pixels."""
    paths, pixels = [], []
    for number, shape in enumerate([(20, 30, 3), (5, 5, 3), (10, 40, 3), (600, 300, 3)]):
        paths.append(tmp_path / f"photo {number} ü.png")
        pixels.append(rng.integers(0, 256, size=shape, dtype=np.uint8))
        Image.fromarray(pixels[-1]).save(paths[-1])
    paths[1].write_bytes(b"no image")
    return paths, pixels


WAYS = {
    "paths": lambda paths: paths,
    "text": lambda paths: [str(path) for path in paths],
    "collection": lambda paths: ImageCollection(paths, None, None, "all"),
    "embedded": lambda paths: Embedded(np.zeros((4, 2)), np.arange(4), tuple(path.as_posix() for path in paths)),
}


@pytest.mark.parametrize("way", WAYS)
def test_files_are_read_where_they_were_picked(way, photos):
    paths, pixels = photos
    display = PickedImagesDisplay.from_indices(WAYS[way](paths), [2, 0])
    for shown, row in zip(display.images_, [2, 0], strict=True):
        np.testing.assert_array_equal(shown.get_array(), pixels[row])


def test_large_files_are_shown_small_and_bad_ones_named(photos):
    paths, _ = photos
    assert PickedImagesDisplay.from_indices(paths, [3]).images_[0].get_array().shape == (256, 128, 3)
    with pytest.raises(ValueError, match=r"photo 1 ü\.png: not an image"):
        PickedImagesDisplay.from_indices(paths, [1])


def test_a_collection_of_arrays(rng):
    pixels = rng.integers(0, 256, size=(5, 8, 8), dtype=np.uint8)
    for images in (pixels, pixels[..., None]):
        display = PickedImagesDisplay.from_indices(ImageCollection(images, None, None, "all"), [4, 1])
        np.testing.assert_array_equal(display.images_[0].get_array(), pixels[4])


def test_a_folder_is_refused_as_its_order_changes(tmp_path):
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(TypeError, match=r"is one path; pass a list of paths.*embed\(\.\.\.\)\.paths"):
            PickedImagesDisplay.from_indices(folder, [0])
