"""The record refuses what does not fit together."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from skal.datasets import ImageCollection

PIXELS = np.zeros((2, 4, 4), dtype=np.uint8)
Y = np.array([0, 1])
GOOD = {"images": PIXELS, "y": Y, "class_names": ("a", "b"), "split": "train"}


def test_what_fits_is_kept_as_it_is():
    collection = ImageCollection(**GOOD)
    assert collection.images is PIXELS
    assert collection.y is Y
    assert len(collection) == 2
    assert repr(collection) == "ImageCollection('train', 2 images of (4, 4) uint8, 2 classes)"
    paths = ImageCollection([Path("a.jpg")], None, None, "all")
    assert repr(paths) == "ImageCollection('all', 1 image files, no labels)"
    assert repr(ImageCollection(PIXELS, Y, None, "all")).endswith("labelled)")


def test_it_cannot_be_changed_and_is_equal_to_itself_only():
    collection = ImageCollection(**GOOD)
    with pytest.raises(AttributeError):
        collection.split = "test"
    assert collection == collection
    assert collection != ImageCollection(**GOOD)


def test_it_can_be_pickled():
    copy = pickle.loads(pickle.dumps(ImageCollection(**GOOD)))
    np.testing.assert_array_equal(copy.images, PIXELS)
    assert copy.class_names == GOOD["class_names"]


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"images": PIXELS.astype(np.float32)}, TypeError, "float32"),
        ({"images": PIXELS[0]}, ValueError, r"\(4, 4\)"),
        ({"images": ("a.jpg", "b.jpg")}, TypeError, "tuple"),
        ({"images": [Path("a.jpg"), "b.jpg"]}, TypeError, "str at position 1"),
        ({"y": [0, 1]}, TypeError, "list"),
        ({"y": Y.astype(np.uint8)}, TypeError, "uint8"),
        ({"y": Y[:1]}, ValueError, r"\(1,\) for 2 images"),
        ({"y": Y - 1}, ValueError, "-1"),
        ({"y": Y + 1}, ValueError, "label 2"),
        ({"class_names": ["a", "b"]}, TypeError, "tuple of str"),
        ({"class_names": (0, 1)}, TypeError, "tuple of str"),
        ({"split": None}, TypeError, "NoneType"),
    ],
)
def test_what_does_not_fit_is_refused(changed, error, says):
    with pytest.raises(error, match=says):
        ImageCollection(**(GOOD | changed))
