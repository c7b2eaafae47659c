"""What `y` and `classes` may hold, the same for every classifier."""

import warnings

import numpy as np
import pytest

from skal.classifiers import CosineKNNClassifier, LinearProbe

CLASSIFIERS = [LinearProbe(n_epochs=2), CosineKNNClassifier()]
each_classifier = pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: type(c).__name__)


@each_classifier
@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("0123", "classes"),
        ([[0, 1, 2]], "must be a list of the classes"),
        ([], "must be a list of the classes"),
        ([0, 1, 2, np.nan], "not a list of class labels.*NaN"),
        ([0, 1, 2, None], "not a list of class labels.*None"),
        ([0, 0.5, 1, 2], "not a list of class labels.*continuous"),
        (["0", "1", "2"], r"holds the class 0, which classes=\['0', '1', '2'\] does not list"),
        ([str(number) for number in range(60)], "holds the class 0, which"),  # numpy.isin finds 0 among these
        ([0, 1], "holds the class 2, which"),
    ],
)
def test_classes_that_are_no_list_of_the_classes(classifier, classes, message, blobs):
    with pytest.raises(ValueError, match=message):
        classifier.__class__(classes=classes).fit(*blobs)


@each_classifier
@pytest.mark.parametrize("classes", [range(500), (2, 0, 1, 1), np.array([2, 1, 0], dtype=object), [0.0, 1.0, 2.0]])
def test_classes_in_any_spelling(classifier, classes, blobs):
    fitted = classifier.__class__(classes=classes).fit(*blobs)
    np.testing.assert_array_equal(fitted.classes_, sorted(set(classes)))
    assert fitted.score(*blobs) > 0.95


@each_classifier
def test_one_label_a_class_warns_of_nothing(classifier, rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = classifier.fit(rng.normal(size=(60, 5)), np.arange(60))
    assert len(fitted.classes_) == 60
