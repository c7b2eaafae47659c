"""Devices are used or refused."""

import pytest
import torch

from skal._core.device import full_float32, resident_bytes, resolve_device


def test_names():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for unknown in ("gpu", "cuda:", "cuda:-1", "mps", ""):
        with pytest.raises(ValueError, match="not known"):
            resolve_device(unknown)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_without_one():
    with pytest.raises(ValueError, match="sees 0 CUDA devices"):
        resolve_device("cuda")


def test_host_bytes_are_the_budget_of_the_cpu():
    assert resident_bytes(torch.device("cpu"), 123) == 123


def test_reduced_precision_is_off_inside_and_restored_after():
    torch.set_float32_matmul_precision("medium")
    try:
        with full_float32():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.gpu
def test_a_share_of_the_free_memory_of_a_gpu():
    free, _ = torch.cuda.mem_get_info()
    assert 0 < resident_bytes(torch.device("cuda"), 0) < free
