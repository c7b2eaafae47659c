"""Numbers in a byte each."""

import numpy as np
import pytest
import torch

from skal._core.restricted._estimates import decode, encode, unit_above


@pytest.mark.parametrize("unit", [2.0**-40, 1.0, 1024.0])
def test_numbers_come_back_within_a_sixteenth(unit, rng):
    numbers = torch.from_numpy(unit * 2.0 ** rng.uniform(-31, 0, size=5000)).float()
    codes = encode(numbers, unit)
    assert codes.dtype == torch.uint8
    np.testing.assert_allclose(decode(codes, unit), numbers, rtol=2.0**-4)
    assert len(codes.unique()) > 240


def test_order_is_kept_and_what_was_rounded_once_is_not_rounded_again(rng):
    numbers = torch.from_numpy(rng.exponential(size=1000)).float().sort().values
    unit = unit_above(float(numbers.max()))
    codes = encode(numbers, unit)
    assert bool((codes.int().diff() >= 0).all())
    assert torch.equal(encode(decode(codes, unit), unit), codes)


def test_the_smallest_are_zero_and_what_is_too_large_is_the_unit():
    numbers = torch.tensor([-torch.inf, -4.0, -0.0, 0.0, 2.0**-40, 4.0, 5.0, torch.inf])
    assert decode(encode(numbers, 4.0), 4.0).tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(("largest", "unit"), [(0.0, 1.0), (1.0, 1.0), (1.01, 2.0), (0.3, 0.5), (4.0, 4.0)])
def test_units(largest, unit):
    assert unit_above(largest) == unit
