"""Predictions of rows in chunks: lazy, in the same chunks, and those of the rows in memory."""

import dask.array as da
import numpy as np
import pytest

from skal.classifiers import CosineKNNClassifier, LinearProbe
from tests.dask_pool.fits import METHODS


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("name", METHODS)
def test_they_are_those_of_the_array(name, n_classes, X, y):
    kind, method = METHODS[name]
    names = np.array(["ant", "bee", "cat", "dog", "eel"])
    fitted = kind().fit(X[:300].astype(np.float32), names[y[:300] % n_classes])
    pool = da.from_array(X[:9000], chunks=((4096, 2048, 2856), -1))
    lazy, expected = getattr(fitted, method)(pool), getattr(fitted, method)(X[:9000])
    assert isinstance(lazy, da.Array)
    assert lazy.shape == expected.shape
    assert lazy.dtype == expected.dtype
    assert lazy.chunks[0] == pool.chunks[0]
    np.testing.assert_array_equal(lazy.compute(), expected)
    if expected.dtype.kind == "f":
        elsewhere = getattr(fitted, method)(pool.rechunk(((4000, 1, 4999), -1)))
        np.testing.assert_allclose(elsewhere.compute(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", [LinearProbe, CosineKNNClassifier])
def test_nothing_is_read_before_it_is_computed(kind, X, y):
    def unreadable(chunk):
        raise AssertionError("it was read")

    fitted = kind().fit(X[:300], y[:300])
    pool = da.from_array(X, chunks=(4096, -1)).map_blocks(unreadable, dtype=X.dtype, meta=X[:0])
    lazy = fitted.predict(pool)
    with pytest.raises(AssertionError, match="it was read"):
        lazy[:1].compute()
    with pytest.raises(ValueError, match=r"X has 16 features, but .* is expecting 32 features"):
        fitted.predict(pool[:, :16])


def test_a_bad_row_is_named_with_its_chunk(X, y):
    bad = X[:9000].copy()
    bad[5000, 0] = np.nan
    lazy = LinearProbe().fit(X[:300], y[:300]).predict(da.from_array(bad, chunks=(4000, -1)))
    with pytest.raises(ValueError, match="In the chunk from row 4000 on: Input X contains NaN: row 1000"):
        lazy.compute()
