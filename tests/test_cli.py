"""The command line, as a user runs it."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from skal import registry
from skal._demo import draw_demo
from skal.cli import app


def run(*command, cwd):
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "ascii"}  # no terminal knows fewer letters
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


OF_TWO_SEEDS = "import skal._demo; skal._demo.N_SEEDS = 2; from skal.cli import app; app(['demo'])"


@pytest.mark.slow
def test_the_demo_prints_the_table_and_writes_two_pictures(tmp_path, warm_python):
    finished = run(warm_python, "-c", OF_TWO_SEEDS, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    for measure_lines in (slice(0, 3), slice(3, 6), slice(6, 9)):
        rows = [line.split() for line in lines if line.startswith(("Uniform", "Random", "K-means"))][measure_lines]
        at_20 = {row[0]: float(row[5]) for row in rows}
        assert at_20["K-means"] > at_20["Random"]
    pictures = [line.rsplit(": ", 1)[1] for line in lines if line.endswith(".png")]
    assert len(pictures) == 2
    for picture in pictures:
        image = imread(tmp_path / picture)
        assert image.shape[0] > 300
        assert image.std() > 0.05


def test_without_matplotlib_the_demo_says_what_to_install(tmp_path, monkeypatch):
    for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install .*\[plot\]"):
        draw_demo(None, tmp_path / "pictures")


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("skal._demo.BUDGETS", (10,))
    monkeypatch.setattr("skal._demo.N_SEEDS", 1)
    (tmp_path / "taken").write_text("a file")
    result = CliRunner().invoke(app, ["demo", "--output", str(tmp_path / "taken")])
    assert result.exit_code == 1
    assert "Cannot write the pictures" in str(result.exception or "") + result.output


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"]])
def test_help(arguments):
    assert "demo" in CliRunner().invoke(app, arguments).output.lower()


def test_the_installed_command_is_this_one():
    (command,) = entry_points(group="console_scripts", name="skal")
    assert command.load() is app


def test_samplers_lists_every_sampler_of_the_registry():
    answer = CliRunner().invoke(app, ["samplers"], env={"COLUMNS": "200"})
    assert answer.exit_code == 0
    for entry in registry.samplers():
        assert entry.name in answer.output


def test_samplers_as_json():
    lines = [json.loads(line) for line in CliRunner().invoke(app, ["samplers", "--json"]).output.splitlines()]
    assert [line["class"] for line in lines] == [entry.name for entry in registry.samplers()]
    assert [line["needs"] for line in lines] == [entry.needs for entry in registry.samplers()]


def test_an_unknown_command(tmp_path):
    finished = run(sys.executable, "-m", "skal", "dmeo", cwd=tmp_path)
    assert finished.returncode == 2
    assert "No such command" in finished.stderr
