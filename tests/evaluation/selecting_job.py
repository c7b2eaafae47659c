"""Select in rounds and say each as soon as it is kept; killed by test_resume.py."""

import sys

import numpy as np

from skal.evaluation import select
from skal.rounds import IterativeSampler
from skal.samplers import KMeansSampler


def say(what):
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main(data, records):
    arrays = np.load(data)
    say("ready")
    select(
        {"Rounds": IterativeSampler(KMeansSampler())},
        arrays["X"],
        arrays["y"],
        budgets=range(3, 90, 3),
        n_seeds=1,
        resume_from=records,
        on_selection=lambda selection: say(selection.budget),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
