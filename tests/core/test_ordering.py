"""Orders by labels."""

import numpy as np
import pytest
import torch

from skal._core.ordering import positions_by_group, rank_within, stable_order


@pytest.mark.parametrize("n_groups", [1, 5, 300, 70_000])
def test_orders_are_those_of_a_stable_sort(n_groups, rng):
    groups = torch.from_numpy(rng.integers(n_groups, size=400))
    order = np.argsort(groups.numpy(), kind="stable")
    np.testing.assert_array_equal(stable_order(groups, n_groups), order)
    positions = positions_by_group(groups, n_groups)
    assert len(positions) == n_groups
    np.testing.assert_array_equal(torch.cat(positions), order)
    assert all(len(set(groups[those].tolist())) <= 1 for those in positions)


def test_the_rank_is_the_number_of_earlier_entries_of_the_group(rng):
    groups = torch.from_numpy(rng.integers(5, size=60))
    expected = [int((groups[:position] == groups[position]).sum()) for position in range(60)]
    assert rank_within(groups, 5).tolist() == expected
