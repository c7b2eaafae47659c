"""Identity: two jobs are the same only if what they do is."""

from functools import partial

import numpy as np
import pytest
import torch

from skal.features._identity import describe_function


def scaled(image, by, offset=0.0):
    return by * torch.as_tensor(np.array(image)).permute(2, 0, 1) + offset


class Scaling:
    def __init__(self, by):
        self.by = by

    def __call__(self, image):
        return scaled(image, self.by)


def closure(by):
    return lambda image: scaled(image, by)


@pytest.mark.parametrize("make", [closure, Scaling, lambda by: partial(scaled, by=by)])
def test_a_transform_is_known_by_what_it_does(make):
    one, same, other = (describe_function(make(by)) for by in (1, 1, 3))
    assert one == same != other
