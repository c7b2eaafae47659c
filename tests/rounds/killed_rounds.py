"""Rounds that are killed again and again until they are done; run by test_what_is_kept.py in a process of its own.

python killed_rounds.py FOLDER: prints how many processes were killed, the rows selected in the end, and those of a run
that nobody killed. FOLDER/acknowledged.txt holds the rows whose labels the ledger had taken, by the oracle's account.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from skal.rounds import IterativeSampler
from skal.samplers import KMeansSampler


def pool():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 5)), rng.integers(0, 3, size=200)


def rounds():
    torch.set_num_threads(1)
    return IterativeSampler(KMeansSampler(), (4, 9, 30), random_state=0)


def attempt(folder, n_answers):
    """Run in a child process that kills itself after some answers."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    X, y = pool()
    n_given = 0

    def person(indices):
        nonlocal n_given
        for row in indices.tolist():
            if n_given == n_answers:
                os.kill(os.getpid(), signal.SIGKILL)
            n_given += 1
            yield int(y[row])
            with (folder / "acknowledged.txt").open("a") as file:  # the next one is asked for, so this one is kept
                file.write(f"{row}\n")

    rounds().fit(X, person, ledger=folder / "labels.jsonl")
    os._exit(0)


def main():
    folder, n_killed = Path(sys.argv[1]), 0
    rng = np.random.default_rng(1)
    while os.WIFSIGNALED(attempt(folder, n_answers=int(rng.integers(1, 8)))):
        n_killed += 1
    X, y = pool()
    selected = rounds().fit(X, y, ledger=folder / "labels.jsonl").selected_indices_.tolist()
    for found in (n_killed, selected, rounds().fit(X, y).selected_indices_.tolist()):
        sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
