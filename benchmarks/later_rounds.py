"""What a later round costs: copies it buys, and the accuracy of 10, 20, 50 and 100 labels in rounds against one shot.

Copies: on 1,000 photos × 6 near-copies, the share of the second 50 picks that show a photo labelled already, for every
sampler that learns nothing from labels, Random and Uniform apart.

Rounds: a sampler picks 10 rows; each later round picks with the rows before as labelled ones. One shot picks as many at
once; of a sampler that learns from labels it is what its rounds start from. Both are scored by the nearest labelled row
(cosine). Each repetition has a part of the pool of its own, and the
differences are paired. The pools are scikit-learn's digits, 90 % of the rows a repetition and tested on the others,
and, with --work or --embeddings, 8,000 rows a repetition of the embeddings that `benchmarks.fashion_mnist --work DIR`
makes, or of those in a folder.

    python -m benchmarks.later_rounds
    python -m benchmarks.later_rounds --work DIR
    python -m benchmarks.later_rounds --embeddings DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.datasets import load_digits

from benchmarks.fashion_mnist import embed_images
from benchmarks.pools import LabeledPool, describe_machine, load_pool
from skal import registry
from skal.classifiers import CosineKNNClassifier
from skal.rounds import IterativeSampler, MultiKMeansSampler
from skal.samplers import (
    BADGESampler,
    BAITSampler,
    ConsensusCoverageSampler,
    CoreSetSampler,
    DropQuerySampler,
    GraphCoverageSampler,
    KMeansSampler,
    MarginSampler,
    MaxEntropySampler,
    MaxHerdingSampler,
    TypiClustSampler,
    UHerdingSampler,
    UniformKMeansSampler,
)

TOTALS = (10, 20, 50, 100)
_ROWS_A_REPETITION = 8_000
_NOT_ASKED = ("RandomSampler",)  # nor those that need labels, Uniform among them
Picking = Callable[[np.ndarray, np.ndarray, int], list[np.ndarray]]  # rows, labels, seed → picks at each of TOTALS


def near_copies(n_photos: int = 1_000, n_copies: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Photos of ten classes in 64 features and near-copies of each, shape (n, 64); which photo each row shows, (n,)."""
    rng = np.random.default_rng(0)
    classes = rng.normal(size=(10, 64)).repeat(n_photos // 10, axis=0)
    photo = np.repeat(np.arange(n_photos), n_copies)
    X = (classes + rng.normal(size=(n_photos, 64)))[photo] + 0.02 * rng.normal(size=(len(photo), 64))
    return X.astype(np.float32), photo


def copies_bought() -> Iterator[tuple[str, float]]:
    """Yield each sampler and the share of its second 50 picks that show a photo labelled already."""
    X, photo = near_copies()
    first = KMeansSampler(50, random_state=0).fit_select(X)

    def share(picks: np.ndarray) -> float:
        return float(np.isin(photo[picks], photo[first]).mean())

    for name, sampler in samplers_without_labels().items():
        yield name, share(sampler.fit_select(X, labeled_indices=first))
    yield "K-means, another seed", share(KMeansSampler(50, random_state=1).fit_select(X, labeled_indices=first))
    rounds = MultiKMeansSampler((50, 100, 150), random_state=0).fit(X).rounds_
    yield "Multi K-means (50, 100, 150)", _share_seen_before(photo, rounds)
    rounds = IterativeSampler(KMeansSampler(), (50, 100, 150), random_state=0).fit(X).rounds_
    yield "IterativeSampler(KMeansSampler())", _share_seen_before(photo, rounds)
    paper = KMeansSampler(50, labeled_rows="skip", random_state=0)
    yield 'K-means, labeled_rows="skip"', share(paper.fit_select(X, labeled_indices=first))


def _share_seen_before(photo: np.ndarray, rounds: list[np.ndarray]) -> float:
    seen, n_copies = set(photo[rounds[0]]), 0
    for picks in rounds[1:]:
        n_copies += sum(shown in seen for shown in photo[picks])
        seen |= set(photo[picks])
    return n_copies / sum(map(len, rounds[1:]))


def samplers_without_labels() -> dict:
    """Every sampler of the registry that picks one batch and learns nothing from labels, with a budget of 50."""
    entries = [entry for entry in registry.samplers() if "labels" not in entry.needs and not entry.runs_rounds]
    return {entry.title: _seeded(entry.make(budget=50)) for entry in entries if entry.name not in _NOT_ASKED}


def _seeded(sampler, seed: int = 0):
    return sampler.set_params(random_state=seed) if "random_state" in sampler.get_params() else sampler


def in_one_shot(sampler) -> Picking:
    def pick(X: np.ndarray, y: np.ndarray, seed: int) -> list[np.ndarray]:
        return [_seeded(clone(sampler), seed).set_params(budget=total).fit_select(X) for total in TOTALS]

    return pick


def in_rounds(rounds) -> Picking:
    def pick(X: np.ndarray, y: np.ndarray, seed: int) -> list[np.ndarray]:
        picks = clone(rounds).set_params(budgets=TOTALS, random_state=seed).fit(X, y).selected_indices_
        return [picks[:total] for total in TOTALS]

    return pick


_ALONE = {
    "K-means": KMeansSampler(),
    "Uniform(K-means)": UniformKMeansSampler(),
    "Graph coverage": GraphCoverageSampler(),
    "Consensus coverage": ConsensusCoverageSampler(),
    "MaxHerding": MaxHerdingSampler(),
    "TypiClust": TypiClustSampler(),
    "Core-set": CoreSetSampler(),
}
_LEARNING = {  # and how they start
    "UHerding": (UHerdingSampler(), "MaxHerding"),
    "DropQuery": (DropQuerySampler(), "K-means"),
    "BADGE": (BADGESampler(), "K-means"),
    "BAIT": (BAITSampler(), "K-means"),
    "Margin": (MarginSampler(), "K-means"),
    "Max-Entropy": (MaxEntropySampler(), "K-means"),
}
_ONE_SHOTS = {name: in_one_shot(each) for name, each in _ALONE.items()}
ROUNDS = {
    **{name: (in_rounds(IterativeSampler(each)), _ONE_SHOTS[name]) for name, each in _ALONE.items()},
    "Multi K-means": (in_rounds(MultiKMeansSampler()), _ONE_SHOTS["K-means"]),
    'Multi K-means, labeled_rows="skip"': (in_rounds(MultiKMeansSampler(labeled_rows="skip")), _ONE_SHOTS["K-means"]),
    **{
        f"{name}, against {start}": (in_rounds(IterativeSampler(each, initial=_ALONE[start])), _ONE_SHOTS[start])
        for name, (each, start) in _LEARNING.items()
    },
}


def digits(seed: int) -> LabeledPool:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    picked, tested = np.split(order, [int(0.9 * len(X))])
    X = X.astype(np.float32)
    return LabeledPool("digits", X[picked], y[picked], X[tested], y[tested])


def part_of(pool: LabeledPool, seed: int) -> LabeledPool:
    n_rows = min(_ROWS_A_REPETITION, len(pool.X))
    rows = np.sort(np.random.default_rng(seed).choice(len(pool.X), n_rows, replace=False))
    X, X_test = pool.X[rows].astype(np.float32), pool.X_test.astype(np.float32)
    return LabeledPool(pool.name, X, pool.y[rows], X_test, pool.y_test)


def accuracies(pool: LabeledPool, pick: Picking, seed: int) -> np.ndarray:
    """Accuracy at each total but the first, in percent."""
    model, picks = CosineKNNClassifier(n_neighbors=1), pick(pool.X, pool.y, seed)
    scores = [model.fit(pool.X[idx], pool.y[idx]).score(pool.X_test, pool.y_test) for idx in picks[1:]]
    return 100 * np.array(scores)


def print_rounds(name: str, pool_of: Callable[[int], LabeledPool], wanted: list[str], n_repetitions: int) -> None:
    found: dict[str, list[np.ndarray]] = {title: [] for title in wanted}
    for seed in range(n_repetitions):
        pool, one_shots = pool_of(seed), {}
        for title in wanted:
            rounds, one_shot = ROUNDS[title]
            if one_shot not in one_shots:
                one_shots[one_shot] = accuracies(pool, one_shot, seed)
            found[title].append(np.stack([accuracies(pool, rounds, seed), one_shots[one_shot]]))
            print(f"{name} {seed} {title}: {found[title][-1].round(2).tolist()}", flush=True)
    print(f"\n| {name}, rounds minus one shot | " + " | ".join(map(str, TOTALS[1:])) + " | one shot |")
    print("|---" * (len(TOTALS) + 1) + "|")
    for title, pairs in found.items():
        rounds, one_shot = np.stack(pairs, axis=1)
        gap = rounds - one_shot
        half = student_t.ppf(0.975, len(gap) - 1) * gap.std(axis=0, ddof=1) / np.sqrt(len(gap))
        cells = [f"{mean:+.1f} ± {width:.1f}" for mean, width in zip(gap.mean(axis=0), half, strict=True)]
        alone = ", ".join(f"{mean:.1f}" for mean in one_shot.mean(axis=0))
        print(f"| {title} | " + " | ".join(cells) + f" | {alone} |", flush=True)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--work", type=Path, help="folder of benchmarks.fashion_mnist; what is missing is embedded")
    source.add_argument(
        "--embeddings", type=Path, help="folder with *_X_train.npy, *_y_train.npy, *_X_test.npy, *_y_test.npy"
    )
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--rounds", nargs="+", choices=ROUNDS, default=list(ROUNDS), help="which to compare")
    parser.add_argument("--skip", nargs="*", choices=["copies", "digits"], default=[], help="parts to leave out")
    arguments = parser.parse_args()

    print(f"{describe_machine()}; {torch.get_num_threads()} threads\n")
    if "copies" not in arguments.skip:
        print("| copies among the second 50 | % |\n|---|---|")
        for name, share in copies_bought():
            print(f"| {name} | {100 * share:.1f} |", flush=True)
        print()
    if "digits" not in arguments.skip:
        print_rounds("digits", digits, arguments.rounds, arguments.repetitions)
    if arguments.work or arguments.embeddings:
        pool = load_pool(arguments.embeddings) if arguments.embeddings else embed_images(arguments.work, None)
        print_rounds(pool.name, lambda seed: part_of(pool, seed), arguments.rounds, arguments.repetitions)


if __name__ == "__main__":
    main()
