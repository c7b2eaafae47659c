"""What each sampler and each head buys at 1, 2, 5 and 10 labels a class, on real pools, against K-means.

Every repetition draws other rows: --rows of a large pool, 90 % of a small one. The samplers are those of the registry;
those that learn from labels go in rounds through the budgets, from their own cold start on. The heads are trained on
what was picked. Half of the test rows measure; by the other half an oracle chooses, of all that was picked for a
budget, the batch that serves a head best: how much better picks there are, not a strategy. Tables give paired
differences over the repetitions, in points.

With --work, each selection and score is kept there, and the same command goes on where it was interrupted; --report
prints what is there. Samplers and heads are known by class and parameters: once their code has changed, take another
folder. Fashion-MNIST's images are those of Debian's package dataset-fashion-mnist. Its embeddings are
made by `python -m benchmarks.fashion_mnist --work DIR --images 12000`, to be given as --lite0 DIR; --data takes other
embeddings. Texts are those of `benchmarks.debian_packages`.

    python -m benchmarks.beyond --quick
    python -m benchmarks.beyond --work DIR --lite0 DIR --data DIR
    python -m benchmarks.beyond --work DIR --report
    python -m benchmarks.beyond --work DIR --report --picture FILE.png
"""

from __future__ import annotations

import argparse
import re
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.datasets
from scipy import stats
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler

import skal.classifiers
from benchmarks.debian_packages import debian_packages
from benchmarks.pictures import draw_what_it_buys
from benchmarks.pools import LabeledPool, add_data_argument, describe_machine, load_pool
from skal import Pool, registry
from skal.datasets import load_fashion_mnist
from skal.evaluation import Selections, score, select
from skal.rounds import IterativeSampler

LABELS_A_CLASS = (1, 2, 5, 10)
BASELINE, BASELINE_HEADS, ORACLE = "K-means", ("1-NN", "LIN"), "oracle"
_HEADS = {"1-NN": "CosineKNNClassifier", "LIN": "LinearProbe", "ridge": "RidgeProbe", "graph": "GraphClassifier"}
_SLOW = ("VAAL",)
_MOST_ROWS = 4000


class Cell(NamedTuple):
    """What was measured over the repetitions."""

    pool: str
    labels: int
    sampler: str
    head: str


def make_heads() -> dict:
    """All heads that this version of skal has, by the names of the tables."""
    return {
        title: getattr(skal.classifiers, name)() for title, name in _HEADS.items() if name in skal.classifiers.__all__
    }


def make_samplers(titles: list[str] | None) -> dict:
    """The samplers of the registry by title; what learns from labels goes in rounds."""
    entries = [entry for entry in registry.samplers() if entry.name != IterativeSampler.__name__]
    wanted = [entry.title for entry in entries if entry.title not in _SLOW] if titles is None else titles
    by_title = {entry.title: entry for entry in entries}
    unknown = [title for title in wanted if title not in by_title]
    if unknown:
        raise SystemExit(f"--samplers {unknown[0]}: there are {', '.join(by_title)}.")
    return {title: _in_rounds(by_title[title]) for title in wanted}


def _in_rounds(entry):
    return IterativeSampler(entry.make()) if entry.needs in ("labels", "labelled rows") else entry.make()


def is_nested(title: str) -> bool:
    """Tell whether a sampler's picks for a small budget are the first of those for a large one.

    Not so where another round learns from more labels, or a bandwidth follows the budget.
    """
    entry = registry.sampler_titled(title)
    return entry.needs == "nothing" and re.search("(^|: )smaller budgets are prefixes", entry.order) is not None


def pools(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], LabeledPool]]]:
    """Yield the pools that can be had, each with its reader; a test set of its own is optional."""
    yield "digits", lambda: _bundled("digits", is_scaled=False)
    yield "wine", lambda: _bundled("wine", is_scaled=True)
    yield "breast cancer", lambda: _bundled("breast_cancer", is_scaled=True)
    if arguments.quick:
        return
    yield "Debian packages, WordLlama × 256", debian_packages
    yield "Fashion-MNIST, pixels", _pixels
    if arguments.lite0 is not None:
        yield "Fashion-MNIST, Lite0 × 1280", lambda: _lite0(arguments.lite0)
    if arguments.data is not None:
        yield f"{arguments.data.name}: {load_pool(arguments.data).name}", lambda: load_pool(arguments.data)


def _bundled(name: str, is_scaled: bool) -> LabeledPool:
    X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    X = (StandardScaler().fit_transform(X) if is_scaled else X).astype(np.float32)
    return LabeledPool(name, X, y, X[:0], y[:0])


def _pixels() -> LabeledPool:
    parts = []
    for split in ("train", "test"):
        collection = load_fashion_mnist(split=split)
        parts += [np.asarray(collection.images).reshape(len(collection.y), -1).astype(np.float32), collection.y]
    return LabeledPool("pixels", *parts)


def _lite0(folder: Path) -> LabeledPool:
    parts = []
    for split in ("train", "test"):
        X = np.load(folder / f"{split}.npy", mmap_mode="r")
        parts += [X, load_fashion_mnist(split=split).y[: len(X)]]
    return LabeledPool("lite0", *parts)


def resample(pool: LabeledPool, repetition: int, most_rows: int = _MOST_ROWS) -> LabeledPool:
    """Draw the rows of one repetition, as many to test; a pool without a test set gives a third of its rows for one."""
    rng = np.random.default_rng(repetition)
    X, y, X_test, y_test = pool.X, np.asarray(pool.y), pool.X_test, np.asarray(pool.y_test)
    if len(X_test) == 0:
        order = rng.permutation(len(X))
        n_test = len(X) // 3
        X, y, X_test, y_test = X[order[n_test:]], y[order[n_test:]], X[order[:n_test]], y[order[:n_test]]
    rows = np.sort(rng.choice(len(X), size=min(most_rows, int(0.9 * len(X))), replace=False))
    n_test = min(most_rows, len(X_test))
    return LabeledPool(pool.name, np.asarray(X[rows]), y[rows], np.asarray(X_test[:n_test]), y_test[:n_test])


class Halves:
    """Accuracy on either half of the test rows: every second row chooses for the oracle, the others measure."""

    def __call__(self, classifier, X, y):
        found = classifier.predict(X)
        return {"chooses": accuracy_score(y[::2], found[::2]), "measures": accuracy_score(y[1::2], found[1::2])}


def run(pool: LabeledPool, samplers: dict, heads: dict, path: Path, only_finished: bool) -> dict:
    """One repetition: the two accuracies by (labels a class, sampler, head)."""
    n_classes = len(np.unique(pool.y))
    budgets = [n * n_classes for n in LABELS_A_CLASS if n * n_classes <= len(pool.y) // 3]
    opened = Pool(pool.X)
    options = {"resume_from": path, "only_finished": only_finished}
    picks: dict = {}
    for title, sampler in samplers.items():
        asked = budgets[-1:] if is_nested(title) else budgets
        for (_, budget, _), rows in select(
            {title: sampler}, opened, pool.y, budgets=asked, n_seeds=1, **options
        ).items():
            smaller = budgets if is_nested(title) else [budget]
            picks |= {(title, total, 0): rows[:total] for total in smaller}
    if not picks:
        return {}
    curve = score(
        Selections(picks, pool.y),
        heads,
        opened,
        pool.y,
        pool.X_test,
        pool.y_test,
        scoring={"half": Halves()},
        **options,
    )
    found: dict = defaultdict(dict)
    for (title, budget, _, head, metric), value in curve.values.items():
        if head is not None:
            found[budget // n_classes, title, head][metric] = 100 * value
    return {key: values for key, values in found.items() if len(values) == 2}


def add_oracle(found: dict) -> dict:
    """Add, for each budget and head, what the batch measures that the other half of the test rows chooses."""
    best = {}
    for (labels, _, head), values in found.items():
        key = (labels, ORACLE, head)
        if key not in best or values["chooses"] > best[key]["chooses"]:
            best[key] = values
    return found | best


def paired(differences: np.ndarray) -> str:
    """A mean and half its 95 % interval."""
    if len(differences) < 2:
        return f"{differences.mean():+.1f}"
    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / len(differences) ** 0.5
    return f"{differences.mean():+.1f} ± {half:.1f}"


def print_pool(name: str, scores: dict[Cell, dict[int, float]], samplers: list[str], heads: list[str]) -> None:
    """Differences to K-means with the same head, and of every pair to K-means with the better of 1-NN and LIN."""
    labels = sorted({cell.labels for cell in scores if cell.pool == name})
    for title, baseline in (
        ("minus K-means with the same head", None),
        ("minus K-means with its better of", BASELINE_HEADS),
    ):
        print(f"\n{name}: {title}{'' if baseline is None else ' ' + ' and '.join(baseline)}\n")
        print("| sampler | head | " + " | ".join(f"{n} a class" for n in labels) + " |")
        print("|---" * (2 + len(labels)) + "|")
        for sampler in [*samplers, ORACLE]:
            for head in heads:
                if sampler == BASELINE and head in (baseline or heads):
                    continue  # compared with itself
                cells = []
                for n in labels:
                    mine = scores.get(Cell(name, n, sampler, head), {})
                    reference = _reference(scores, name, n, baseline or (head,))
                    both = sorted(mine.keys() & reference.keys())
                    cells.append(paired(np.array([mine[r] - reference[r] for r in both])) if both else "")
                print(f"| {sampler} | {head} | " + " | ".join(cells) + " |")


def _reference(scores, pool, labels, heads) -> dict[int, float]:
    """K-means' scores by repetition, with the head that is better on average."""
    given = [scores.get(Cell(pool, labels, BASELINE, head), {}) for head in heads]
    return max(given, key=lambda of: np.mean(list(of.values())) if of else -1.0)


def gaps_to_baseline(scores: dict[Cell, dict[int, float]]) -> dict[Cell, tuple[float, float, float]]:
    """By cell, the mean of the paired differences to K-means with the same head, and the ends of its 95 % interval."""
    found = {}
    for cell, mine in scores.items():
        reference = scores.get(cell._replace(sampler=BASELINE), {})
        gaps = np.array([mine[r] - reference[r] for r in sorted(mine.keys() & reference.keys())])
        if len(gaps) > 1:
            low, high = stats.t.interval(0.95, len(gaps) - 1, gaps.mean(), max(stats.sem(gaps), 1e-12))
            found[cell] = float(gaps.mean()), float(low), float(high)
    return found


def print_means(scores: dict[Cell, dict[int, float]], samplers: list[str], heads: list[str]) -> None:
    """The differences to K-means with the same head: means over the pools of each repetition that all of them have."""
    pools_there = list(dict.fromkeys(cell.pool for cell in scores))
    labels = sorted({cell.labels for cell in scores})
    print(f"\nMinus K-means with the same head, mean of {len(pools_there)} pools\n")
    print(
        "| sampler | head | " + " | ".join(f"{n} a class" for n in labels) + " |\n" + "|---" * (2 + len(labels)) + "|"
    )
    for sampler in [*samplers, ORACLE]:
        for head in heads:
            means = [_mean_over_pools(scores, pools_there, n, sampler, head) for n in labels]
            if sampler != BASELINE:
                print(
                    f"| {sampler} | {head} | " + " | ".join(paired(each) if len(each) else "" for each in means) + " |"
                )


def _mean_over_pools(scores, pools_there, labels, sampler, head) -> np.ndarray:
    of_pools = []
    for pool in pools_there:
        mine, reference = (scores.get(Cell(pool, labels, each, head), {}) for each in (sampler, BASELINE))
        of_pools.append({r: mine[r] - reference[r] for r in mine.keys() & reference.keys()})
    in_all = sorted(set.intersection(*(set(gaps) for gaps in of_pools)))
    return np.array([np.mean([gaps[r] for gaps in of_pools]) for r in in_all])


def print_wins(scores: dict[Cell, dict[int, float]], samplers: list[str], heads: list[str]) -> None:
    """How often a sampler is surely above and surely below K-means with the same head, over pools and labels."""
    gaps = gaps_to_baseline(scores)
    print("\nPools and labels a class at which the 95 % interval to K-means is above 0 / around it / below it\n")
    print("| sampler | " + " | ".join(heads) + " |\n" + "|---" * (1 + len(heads)) + "|")
    for sampler in samplers:
        row = []
        for head in heads:
            counts = [0, 0, 0]
            for cell, (_, low, high) in gaps.items():
                if (cell.sampler, cell.head) == (sampler, head):
                    counts[0 if low > 0 else 2 if high < 0 else 1] += 1
            row.append(" / ".join(map(str, counts)))
        print(f"| {sampler} | " + " | ".join(row) + " |")


def print_losses(scores: dict[Cell, dict[int, float]], samplers: list[str], heads: list[str]) -> None:
    """Where a sampler is surely below K-means with the same head, and by how much on average."""
    gaps = gaps_to_baseline(scores)
    print("\nWhere the interval is below 0: labels a class (points)\n\n| sampler | loses on |\n|---|---|")
    for sampler in samplers:
        places: dict[str, list[str]] = defaultdict(list)
        for cell, (mean, _, high) in sorted(gaps.items()):
            if cell.sampler == sampler and cell.head in heads and high < 0:
                places[f"{cell.pool}, {cell.head}"].append(f"{cell.labels} ({mean:+.1f})")
        lost = "; ".join(f"{place}: {', '.join(values)}" for place, values in places.items())
        if sampler != BASELINE:
            print(f"| {sampler} | {lost or 'nothing that was run'} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--lite0", type=Path, help="folder with embeddings of benchmarks.fashion_mnist")
    parser.add_argument("--work", type=Path, help="folder for selections and scores")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument(
        "--rows", type=int, default=_MOST_ROWS, help="of a large pool in a repetition, and of its test set"
    )
    parser.add_argument("--samplers", nargs="+", help=f"titles of the registry; all but {', '.join(_SLOW)} by default")
    parser.add_argument("--heads", nargs="+", choices=list(_HEADS), help="all by default")
    parser.add_argument("--pools", nargs="+", help="names as the tables have them; all by default")
    parser.add_argument("--quick", action="store_true", help="the bundled pools, three repetitions")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    parser.add_argument("--picture", type=Path, help="draw what the default pair, the paper's and chance give")
    arguments = parser.parse_args()
    samplers = make_samplers(arguments.samplers)
    heads = {name: head for name, head in make_heads().items() if arguments.heads is None or name in arguments.heads}
    with tempfile.TemporaryDirectory() as not_kept:
        work = arguments.work or Path(not_kept)
        work.mkdir(parents=True, exist_ok=True)
        scores = measure(arguments, samplers, heads, work)
    print(f"{describe_machine()}; at most {max(map(len, scores.values()), default=0)} repetitions")
    for name in dict.fromkeys(cell.pool for cell in scores):
        print_pool(name, scores, list(samplers), list(heads))
    print_means(scores, list(samplers), list(heads))
    print_wins(scores, list(samplers), list(heads))
    print_losses(scores, list(samplers), list(heads))
    if arguments.picture is not None:
        drawn = list(dict.fromkeys(cell.pool for cell in scores))
        draw_what_it_buys(lambda *cell: scores.get(Cell(*cell), {}), drawn, arguments.picture)


def measure(arguments: argparse.Namespace, samplers: dict, heads: dict, work: Path) -> dict[Cell, dict[int, float]]:
    """All scores by cell and repetition; every pool has its first repetition before any has its second."""
    readers = [(name, read) for name, read in pools(arguments) if arguments.pools is None or name in arguments.pools]
    loaded = {name: read() for name, read in readers}
    scores: dict[Cell, dict[int, float]] = defaultdict(dict)
    for repetition in range(3 if arguments.quick else arguments.repetitions):
        for name, pool in loaded.items():
            path = work / f"{name.replace(' ', '_').replace('/', '_')}_{repetition}.jsonl"
            if arguments.report and not path.exists():
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = run(resample(pool, repetition, arguments.rows), samplers, heads, path, arguments.report)
            for (labels, sampler, head), values in add_oracle(found).items():
                scores[Cell(name, labels, sampler, head)][repetition] = values["measures"]
            print(f"{name}, repetition {repetition}: {len(found)} scores", flush=True)
    return scores


if __name__ == "__main__":
    main()
