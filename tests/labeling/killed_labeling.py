"""A process that labels and is killed, again and again; run by test_project_files.py in a process of its own.

python killed_labeling.py FOLDER N_KILLS: FOLDER is a project. FOLDER/../acknowledged.txt gets a line for each label
whose call returned.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from skal.labeling import LabelingProject


def label_until_killed(folder):
    with LabelingProject.open(folder) as project, (folder.parent / "acknowledged.txt").open("a", buffering=1) as told:
        number = len(project.ledger.history)
        while True:
            row = number % len(project.images)
            project.label(row, f"label {number}", annotator=f"{os.getpid()}")
            os.write(told.fileno(), f"{row} {number}\n".encode())
            number += 1


def main():
    folder, rng = Path(sys.argv[1]), np.random.default_rng(0)
    n_killed = 0
    for _ in range(int(sys.argv[2])):
        child = os.fork()
        if not child:
            label_until_killed(folder)
        time.sleep(rng.uniform(0.03, 0.3))
        os.kill(child, signal.SIGKILL)
        n_killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    sys.stdout.write(f"{n_killed}\n")


if __name__ == "__main__":
    main()
