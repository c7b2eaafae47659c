"""Devices are used or refused."""

from contextlib import contextmanager

import pytest
import torch

from skal._core.device import at_most_threads, full_float32, ordinary_torch, resident_bytes, resolve_device


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
    backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
    torch.set_float32_matmul_precision("medium")
    try:
        with full_float32(), full_float32():
            assert [backend.fp32_precision for backend in backends] == ["ieee", "ieee"]
        assert [backend.fp32_precision for backend in backends] == ["tf32", "bf16"]
    finally:
        torch.set_float32_matmul_precision("highest")


def test_concurrent_uses_restore_what_the_user_had():
    backend = torch.backends.cuda.matmul
    before = backend.fp32_precision
    backend.fp32_precision = "tf32"
    try:
        first, second = full_float32(), full_float32()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert backend.fp32_precision == "ieee"
        second.__exit__(None, None, None)
        assert backend.fp32_precision == "tf32"
    finally:
        backend.fp32_precision = before


@ordinary_torch()
def surroundings():
    product = torch.ones(2, 2) @ torch.ones(2, 2)
    backend = torch.backends.mkldnn.matmul
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    return product.dtype, torch.ones(1).dtype, torch.ones(1).device.type, modes, backend.fp32_precision


@pytest.mark.parametrize(
    "surrounded",
    [
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.device("meta"),
        lambda: changed(torch.set_default_dtype, torch.float64, torch.float32),
        lambda: changed(torch.set_default_device, "meta", None),
        lambda: changed(torch.set_float32_matmul_precision, "medium", "highest"),
    ],
    ids=["autocast", "no_grad", "inference_mode", "device", "default dtype", "default device", "precision"],
)
def test_whatever_surrounds_a_call_has_no_effect_inside_and_is_there_after(surrounded):
    with surrounded():
        before = surroundings.__wrapped__()
        assert surroundings() == (torch.float32, torch.float32, "cpu", (True, False), "ieee")
        assert surroundings.__wrapped__() == before != surroundings()


@contextmanager
def changed(set_state, value, usual):
    set_state(value)
    try:
        yield
    finally:
        set_state(usual)


def test_threads_are_limited_inside_and_the_same_after():
    with changed(torch.set_num_threads, 3, torch.get_num_threads()):
        with at_most_threads(2):
            assert torch.get_num_threads() == 2
            with at_most_threads(8):
                assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 3


@pytest.mark.gpu
def test_a_share_of_the_free_memory_of_a_gpu():
    free, _ = torch.cuda.mem_get_info()
    assert 0 < resident_bytes(torch.device("cuda"), 0) < free
