"""What is sent between processes comes back as it was, in few bytes."""

import numpy as np
import pytest
import torch

from skal._core.blocks import SomeRows
from skal._dask._packing import pack


@pytest.mark.parametrize(
    ("tensor", "bytes_an_entry"),
    [
        (torch.arange(5000) % 200, 1),
        (torch.arange(5000), 2),
        (torch.arange(5000) * 100, 4),
        (-torch.arange(5000), 8),
        (torch.arange(5000).float(), 4),
        (torch.arange(5003) % 3 == 0, 1 / 8),
        (torch.arange(5000).reshape(50, 100) % 2 == 0, 1 / 8),
        (torch.zeros(0, dtype=torch.bool), 0),
    ],
    ids=["uint8", "uint16", "uint32", "negative", "float", "bits", "bits_2d", "none"],
)
def test_a_tensor(tensor, bytes_an_entry):
    packed = pack({"it": tensor})
    assert packed.n_bytes == pytest.approx(bytes_an_entry * tensor.numel(), abs=400)
    found = packed.load()["it"]
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor)
    found += 1 if tensor.dtype != torch.bool else found  # it can be written to


def test_some_rows_are_a_bit_for_each_row_and_their_values():
    row_idx = torch.from_numpy(np.flatnonzero(np.arange(80_000) % 5 == 0))
    packed = pack(SomeRows(row_idx, (row_idx % 250,), 80_000))
    assert packed.n_bytes == pytest.approx(80_000 / 8 + len(row_idx), abs=800)
    assert torch.equal(packed.load().row_idx, row_idx)
