"""Trainings that are killed in the middle: python -m tests.vision.killed_training FOLDER KIND...

Each keeps a checkpoint after every step, in FOLDER/KIND. It is forked from this process, which has imported what all
need, and killed when 17 steps are done. Prints how each ended: the signal, negative.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # as each optimizer does, for a second

from skal.vision import _checkpoint
from tests.vision.conftest import images_of
from tests.vision.test_checkpoints import make_classifier


def data():
    y = np.arange(60) % 3
    return images_of(y, np.random.default_rng(0)), y


def train(kind, folder, said):
    """Say on a pipe after each step that it is kept."""
    _checkpoint.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    keep = _checkpoint.Checkpoint.keep

    def keep_and_say(self, training):
        keep(self, training)
        os.write(said, b".")
        time.sleep(0.02)  # so that the kill comes before the end

    _checkpoint.Checkpoint.keep = keep_and_say
    make_classifier(kind, checkpoint_folder=folder / kind).fit(*data())


def kill_after(n_steps, kind, folder):
    """In the middle of an epoch; returns how the process ended."""
    reading, said = os.pipe()
    child = os.fork()
    if child == 0:
        train(kind, folder, said)
        os._exit(0)
    os.close(said)
    for _ in range(n_steps):
        os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.close(reading)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main():
    torch.set_num_threads(1)  # a process that is forked from one with many would wait for the others
    folder, *kinds = sys.argv[1:]
    for kind in kinds:
        sys.stdout.write(f"{kill_after(17, kind, Path(folder))}\n")
        sys.stdout.flush()  # or the next child would write it again


if __name__ == "__main__":
    main()
