"""Commands and the server of the page, killed again and again; run by test_kills.py in a process of its own.

python killed_commands.py FOLDER N_KILLS SEED: FOLDER is a project with embedded images. There are at least so many
kills, and two of each command. Each command is a process of its own, forked from this one so that nothing has to be
imported again. Prints one JSON object: what was acknowledged, and how each process ended.
"""

import http.client
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import torch

from skal.cli import app
from skal.labeling import LabelingProject, TrainedModel
from skal.labeling.page._guard import COOKIE  # what the commands import, before the first fork

COMMANDS = (
    ("label", "--no-browser", "--annotator", "Ada", "--price", "0.05"),
    ("select", "-n", "3", "--holdout", "1"),
    ("import",),
    ("label", "--no-browser", "--annotator", "Ada", "--no-suggestions"),
    ("train",),
    ("import",),
)
N_IMPORTED = 50


def started(arguments, folder):
    """Fork a command; gives its process and the end of its standard output."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, os.fdopen(reading)
    os.dup2(writing, 1)
    os.dup2(os.open(folder.parent / "stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    try:
        app([*arguments, "-p", os.fspath(folder)])
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(0)


def with_a_file(arguments, folder, number):
    """The arguments, and the labels, where a file is to be imported: another person's each time."""
    if arguments != ("import",):
        return arguments, []
    labels = [(row, f"label {row} of person {number}") for row in range(N_IMPORTED)]
    with (folder.parent / f"labels {number}.csv").open("w", newline="") as file:
        file.write("skal_id,label\r\n" + "".join(f"{row},{label}\r\n" for row, label in labels))
    return ("import", file.name, "--from", "csv", "--annotator", f"person {number}"), labels


_NUMBERS = itertools.count()  # one for each label that is sent, whether or not an answer came to it


class Person:
    """Labels on the page as fast as it answers, until it answers no more."""

    def __init__(self, address, acknowledged, until):
        self._acknowledged, self._until = acknowledged, until
        self._port, token = address.port, parse_qs(address.query)["token"][0]
        self._headers = {"Cookie": f"{COOKIE}={token}", "Content-Type": "application/json", "X-Skal": "1"}

    def work(self, rng):
        try:
            self._label(rng)
        except (OSError, http.client.HTTPException, ValueError):
            return

    def _label(self, rng):
        state = self._ask("GET", "/api/state")
        version, items = state["version"], state["items"]
        if not items:
            return
        while time.monotonic() < self._until:
            row, number = int(rng.choice([item["row"] for item in items])), next(_NUMBERS)
            if rng.random() < 0.15 and (rows := self._ask("GET", f"/api/grid?near={row}").get("rows")):
                what, content, rows = "many", {"rows": rows[:4]}, rows[:4]
            else:
                what, content, rows = "label", {"row": row}, [row]
            label = f"label {os.getpid()} {number}"
            given = self._ask("POST", f"/api/{what}", {"version": version, "label": label, **content})
            version = given["version"]
            self._acknowledged.extend((each, label) for each in rows)

    def _ask(self, method, path, content=None):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, None if content is None else json.dumps(content), self._headers)
            answer = connection.getresponse()
            return json.loads(answer.read())
        finally:
            connection.close()


class Run:
    """One command, killed at a given moment unless it ended before."""

    def __init__(self, arguments, folder, seconds):
        self.child, self.output = started(arguments, folder)
        self._descriptor = os.pidfd_open(self.child)  # stays this process, whoever gets its number later
        self._timer = threading.Timer(seconds, self._kill)
        self._timer.start()

    def _kill(self):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def end(self):
        """Wait for it; give what it wrote, and its exit status, negative where it was killed."""
        written = self.output.read()
        status = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        self._timer.cancel()
        self._timer.join()  # no thread is there at the next fork
        os.close(self._descriptor)
        self.output.close()
        return written, status


def main():
    folder, n_kills, rng = Path(sys.argv[1]), int(sys.argv[2]), np.random.default_rng(int(sys.argv[3]))
    torch.set_num_threads(1)  # a process that is forked from one with many would wait for the others
    acknowledged, picked, ended = [], [], []
    usual_seconds = {"label": 2.0}  # the others are run to their end once
    while not is_enough(ended, n_kills):
        arguments, imported = with_a_file(COMMANDS[len(ended) % len(COMMANDS)], folder, len(ended))
        name, begin = arguments[0], time.monotonic()
        usual = usual_seconds.get(name)
        run = Run(
            arguments,
            folder,
            rng.uniform(0, 2.0) if name == "label" else 60 if usual is None else rng.uniform(0, usual),
        )
        address = urlsplit(run.output.readline().strip()) if name == "label" else None
        if address is not None and address.port:
            Person(address, acknowledged, begin + 60).work(rng)
        written, status = run.end()
        ended.append((name, status))
        if status == 0 and name != "label":  # the first of a kind may have been slower than the others
            usual_seconds[name] = min(time.monotonic() - begin, usual_seconds.get(name, 60))
        if status == 0:
            acknowledged.extend(imported)
        if name == "select" and status == 0:
            picked.extend(int(line.split(",")[0]) for line in written.splitlines()[1:])
        look_through(folder, acknowledged, picked)
    print(json.dumps({"acknowledged": acknowledged, "picked": picked, "ended": ended}))  # noqa: T201


def is_enough(ended, n_kills):
    """Whether so many were killed, and of each command two."""
    killed = Counter(name for name, status in ended if status == -signal.SIGKILL)
    return killed.total() >= n_kills and min(killed[name] for name, *_ in COMMANDS) >= 2


def look_through(folder, acknowledged, picked):
    """After every end: the project opens, and all that was acknowledged is there once."""
    with LabelingProject.open(folder) as project:
        kept = [(each.row, each.label) for each in project.ledger.history]
        asked = [row for each in project.ledger.rounds for row in each.rows]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))
    assert set(picked) <= set(asked)
    assert len(asked) == len(set(asked))
    model = folder / "model.npz"
    assert not model.exists() or TrainedModel.n_labels_in(model) > 0


if __name__ == "__main__":
    main()
