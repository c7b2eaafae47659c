"""The picked images, in the order of the picks."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

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
