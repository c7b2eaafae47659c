"""What verbose=1 shows."""

import os
import re
import subprocess
import sys

import pytest

from skal.features import _progress
from skal.features._progress import ImageProgress

JOB = """
import time
from skal.features._progress import ImageProgress
with ImageProgress(100, 0, 1) as progress:
    for n_read in range(20, 101, 20):
        time.sleep(0.2)
        progress.advance(n_read)
"""


def read_all(descriptor):
    content = b""
    while True:
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # how a terminal ends on Linux
            return content
        if not part:
            return content
        content += part


@pytest.mark.slow
def test_a_terminal_shows_a_bar_that_moves(warm_python):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    job = subprocess.Popen([warm_python, "-c", JOB], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", read_all(ours).decode())
    os.close(ours)
    assert job.wait(60) == 0
    assert "━" in shown
    counts = [int(count) for count in re.findall(r"(\d+)/100", shown)]
    assert counts == sorted(counts)
    assert {0, 100} < set(counts)
    assert re.search(r"\d+\.\d images/s", shown)


@pytest.mark.parametrize("has_rich", [True, False])
def test_elsewhere_lines_come_while_it_runs(has_rich, monkeypatch, capsys):
    if not has_rich:
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setattr(_progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with ImageProgress(6, 2, 1) as progress:
        progress.advance(4)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert re.fullmatch(r"\[TorchFeatureExtractor\] 4 of 6 images, [\d.]+ images/s\n", shown.err)
        progress.advance(6)
    assert "6 of 6 images" in capsys.readouterr().err
