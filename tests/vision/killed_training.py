"""Train with a checkpoint after every step, and say when some are done: python -m ... CLASS FOLDER."""

import sys
import time

import numpy as np

from skal.vision import _checkpoint
from tests.vision.conftest import images_of
from tests.vision.test_checkpoints import make_classifier


def data():
    y = np.arange(60) % 3
    return images_of(y, np.random.default_rng(0)), y


def main():
    _checkpoint.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    keep, n_kept = _checkpoint.Checkpoint.keep, 0

    def keep_and_say(self, training):
        nonlocal n_kept
        keep(self, training)
        n_kept += 1
        sys.stdout.write(f"{n_kept}\n")
        sys.stdout.flush()
        time.sleep(0.02)  # so that the kill comes before the end

    _checkpoint.Checkpoint.keep = keep_and_say
    images, y = data()
    make_classifier(sys.argv[1], checkpoint_folder=sys.argv[2]).fit(images, y)


if __name__ == "__main__":
    main()
