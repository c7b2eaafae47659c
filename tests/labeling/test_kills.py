"""Commands and the server of the page are killed at random moments, and nothing that was acknowledged is lost."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from skal.labeling import LabelingProject
from tests.labeling.conftest import draw_images
from tests.labeling.killed_commands import N_IMPORTED

N_KILLS = 30


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="kills by the descriptor of a process")
def test_30_kills_of_server_and_commands_lose_nothing_and_double_nothing(tmp_path, extractor, warm_python):
    draw_images(tmp_path / "photos", n_images=240)
    folder = tmp_path / "p"
    with LabelingProject.create(folder, tmp_path / "photos") as project:
        project.embed(extractor)
        project.select(20, holdout=8)
    script = Path(__file__).with_name("killed_commands.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [warm_python, script, folder, str(N_KILLS), "0"], capture_output=True, text=True, env=environment
    )
    messages = (tmp_path / "stderr.txt").read_text()
    assert done.returncode == 0, done.stderr + messages
    found = json.loads(done.stdout)
    killed = Counter(name for name, status in found["ended"] if status == -9)
    assert killed.total() >= N_KILLS
    assert min(killed[name] for name in ("label", "select", "train", "import")) >= 2, killed
    assert {status for _, status in found["ended"]} <= {0, -9}, messages
    assert "Traceback" not in messages
    acknowledged = [tuple(each) for each in found["acknowledged"]]
    assert len(acknowledged) > 50
    with LabelingProject.open(folder) as project:
        files = sorted(tmp_path.glob("labels *.csv"))
        for file in files:  # those that were killed go on where they stopped
            project.import_labels(file, "csv", annotator=file.stem.replace("labels", "person"))
        kept = Counter((each.row, each.label) for each in project.ledger.history)
        assert set(kept.values()) == {1}
        assert set(acknowledged) <= kept.keys()
        of_file = {(row, label) for row, label in kept if " of person " in label}
        assert len(of_file) == N_IMPORTED * len(files)
        not_told = kept.keys() - of_file - set(acknowledged)
        assert len(not_told) <= 4 * killed["label"]  # recorded, and killed before it could say so
        assert not set(project.labeled_together) & set(project.held_out)
        project.train()
    assert no_process_is_left(folder)


def no_process_is_left(folder):
    """Whether what trains in the background ended with its server."""
    deadline = time.monotonic() + 60
    while left := [path for path in Path("/proc").glob("[0-9]*/cmdline") if os.fsencode(folder) in read(path)]:
        if time.monotonic() > deadline:
            return left == []
        time.sleep(0.1)
    return True


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""
