"""The table of later rounds counts what it says it does."""

import numpy as np

from benchmarks import later_rounds as bench
from benchmarks.pools import LabeledPool
from skal import registry
from skal.rounds import IterativeSampler
from skal.samplers import RandomSampler


def test_copies_are_counted_against_all_rounds_before():
    photo = np.array([0, 0, 1, 1, 2, 2])
    rounds = [np.array([0]), np.array([1, 2]), np.array([3, 4])]
    assert bench._share_seen_before(photo, rounds) == 0.5


def test_every_sampler_without_labels_is_asked():
    assert {"K-means", "Core-set", "Uniform(K-means)", "VAAL"} <= set(bench.samplers_without_labels())
    assert not {"Random", "Uniform", "Max-Entropy"} & set(bench.samplers_without_labels())


def test_the_table_gives_mean_and_interval_of_paired_differences(blobs, monkeypatch, capsys):
    X, y = blobs
    pool = LabeledPool("blobs", X, y, X[1::2], y[1::2])
    random = bench.in_rounds(IterativeSampler(RandomSampler())), bench.in_one_shot(RandomSampler())
    monkeypatch.setattr(bench, "ROUNDS", {"Random": random})
    gaps, alone = [], []
    for seed in range(3):
        rounds, one_shot = (bench.accuracies(pool, pick, seed) for pick in random)
        gaps.append(rounds - one_shot)
        alone.append(one_shot)
    bench.print_rounds("blobs", lambda seed: pool, ["Random"], 3)
    row = capsys.readouterr().out.splitlines()[-2]
    half = 4.302653 * np.std(gaps, axis=0, ddof=1) / 3**0.5  # Student's t, two degrees of freedom
    cells = " | ".join(f"{mean:+.1f} ± {width:.1f}" for mean, width in zip(np.mean(gaps, axis=0), half, strict=True))
    assert row == f"| Random | {cells} | {', '.join(f'{mean:.1f}' for mean in np.mean(alone, axis=0))} |"


def test_every_sampler_has_rounds_but_those_that_are_a_yardstick_or_slow():
    titles = {title.split(",")[0] for title in bench.ROUNDS}
    known = {entry.title for entry in registry.samplers()} - {
        "Iterative",
        "Random",
        "Uniform",
        "Least confidence",
        "VAAL",
    }
    assert titles == known


def test_learning_rounds_begin_with_the_one_shot(blobs):
    X, y = blobs
    rounds, one_shot = bench.ROUNDS["Margin, against K-means"]
    np.testing.assert_array_equal(rounds(X, y, 0)[0], one_shot(X, y, 0)[0])
