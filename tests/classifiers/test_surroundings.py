"""What surrounds a call, and the number of threads, change no prediction."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from skal.classifiers import CosineKNNClassifier, LinearProbe

CLASSIFIERS = [
    LinearProbe(random_state=0, batch_size=8, n_epochs=5),
    LinearProbe(random_state=0, scaling="l2"),
    CosineKNNClassifier(3),
]
each_classifier = pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: type(c).__name__)


@contextmanager
def changed(set_state, value, usual):
    set_state(value)
    try:
        yield
    finally:
        set_state(usual)


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "default dtype": lambda: changed(torch.set_default_dtype, torch.float64, torch.float32),
    "default device": lambda: changed(torch.set_default_device, "meta", None),
}


def results(classifier, X, y):
    """All that a classifier answers, fitted alone and with others."""
    fitted = classifier.__class__(**classifier.get_params()).fit(X[:250], y[:250])
    answers = [fitted.predict(X), fitted.predict_proba(X)]
    if isinstance(fitted, LinearProbe):
        others = [LinearProbe(**classifier.get_params()) for _ in range(3)]
        LinearProbe.fit_many(others, [(X[:250], y[:250]), (X[:250], y[:250] // 2), (X[20:270], y[20:270])], X_pool=X)
        answers += [fitted.coef_, fitted.decision_function(X), *(other.coef_ for other in others)]
    else:
        answers += list(fitted.kneighbors(X))
    return answers


@pytest.fixture
def rows(rng):
    X = rng.normal(size=(500, 40)).astype(np.float32)
    y = np.argmax(X[:, :40] @ rng.normal(size=(40, 9)), axis=1)
    y[:9] = y[100:109] = np.arange(9)
    return X, y


@pytest.mark.slow
@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("surrounded", SURROUNDINGS.values(), ids=SURROUNDINGS)
@each_classifier
def test_what_surrounds_a_call_changes_nothing(classifier, surrounded, as_tensor, rows):
    X, y = rows
    expected = results(classifier, X, y)
    given = torch.from_numpy(X) if as_tensor else X
    with surrounded():
        found = results(classifier, given, y)
    for answer, expected_answer in zip(found, expected, strict=True):
        assert answer.dtype == expected_answer.dtype
        np.testing.assert_array_equal(answer, expected_answer)


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="the same bits are promised for MKL")
@each_classifier
def test_the_number_of_threads_changes_nothing(classifier, rows):
    before = torch.get_num_threads()
    found = []
    for n_threads in (1, 2, 4):
        with changed(torch.set_num_threads, n_threads, before):
            found.append(results(classifier, *rows))
    for other in found[1:]:
        for answer, expected in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(answer, expected)
