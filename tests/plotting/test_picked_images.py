"""The picked images, in the order of the picks."""

import numpy as np

from skal.plotting import PickedImagesDisplay


def test_picked_images_in_the_order_of_the_picks(rng):
    images = rng.random((20, 4, 4))
    before = images.copy()
    display = PickedImagesDisplay.from_indices(images, [7, 3, 11], titles=np.arange(20), n_columns=2)
    assert [ax.get_title() for ax in display.axes_.flat] == ["7", "3", "11", ""]
    for shown, index in zip(display.images_, [7, 3, 11], strict=True):
        np.testing.assert_array_equal(shown.get_array(), images[index])
    np.testing.assert_array_equal(images, before)
