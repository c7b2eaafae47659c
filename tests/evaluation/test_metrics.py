"""Coverage and counts."""

import numpy as np
import pytest

from skal.evaluation import category_counts, category_coverage


def test_by_hand():
    y = np.array(["b", "a", "c", "a", "d"])
    assert category_counts(y, [1, 3, 2]).tolist() == [2, 0, 1, 0]
    assert category_coverage(y, [1, 3, 2]) == 0.5
    assert category_coverage(y, []) == 0.0
    assert category_coverage(y, np.arange(5)) == 1.0


@pytest.mark.parametrize("row", [2, -1])
def test_rows_that_are_not_there(row):
    with pytest.raises(ValueError, match=f"holds {row}"):
        category_counts([0, 1], [row])


@pytest.mark.parametrize("indices", [[False, True], [0.9]])
def test_what_is_no_row_number(indices):
    with pytest.raises(ValueError, match="row numbers"):
        category_counts([0, 1], indices)
