"""Every sampler on a generated pool of ImageNet's size: time and peak memory, each in a process of its own.

Processor time is that of all threads; others on the machine hardly change it.

The pool is a float16 memmap, 1,281,167 × 512 in 1,000 classes; with --long-tail it has ImageNet-LT's 115,846 rows,
1280 down to 5 a class. Samplers that learn from labels get a random 1,000 of them.

    python -m benchmarks.imagenet_scale --pool FILE.npy
    python -m benchmarks.imagenet_scale --pool FILE.npy --long-tail --samplers K-means Core-set
    python -m benchmarks.imagenet_scale --pool FILE.npy --rows 50000 --budget 500
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.bench_beyond_speed import OURS
from benchmarks.bench_samplers import make_samplers
from benchmarks.measuring import peak_memory, status_mib
from benchmarks.pools import describe_machine, imagenet_sized_pool, long_tailed_sizes
from skal.samplers import RandomSampler

IMAGENET_ROWS, IMAGENET_LT_ROWS = 1_281_167, 115_846


def class_sizes(n: int, n_classes: int) -> np.ndarray:
    """ImageNet-LT's sizes; a smaller pool has a smaller largest class, half of the rows at most."""
    largest = 1280 * (n / n_classes) / (IMAGENET_LT_ROWS / 1000)
    return long_tailed_sizes(n, n_classes, min(round(largest), n // 2))


def all_samplers(budget: int, n_labeled: int) -> dict:
    """The paper's samplers, and those beyond it at the size they scale to."""
    of_paper = make_samplers(budget, n_labeled)
    beyond = {name: sampler.set_params(budget=budget) for name, sampler in OURS.items() if "all references" not in name}
    return beyond | of_paper


def load_shape(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    sizes = class_sizes(arguments.rows, arguments.classes) if arguments.long_tail else None
    return imagenet_sized_pool(arguments.pool, arguments.features, arguments.rows, arguments.classes, sizes)


def measure(arguments: argparse.Namespace) -> dict:
    """Fit the one sampler of `arguments` in this process."""
    X, y = load_shape(arguments)
    labeled = RandomSampler(min(1000, len(X) // 10), random_state=1).fit_select(X)
    sampler = all_samplers(arguments.budget, len(labeled))[arguments.only]
    measured: dict = {}
    with peak_memory(measured):
        picks = sampler.fit(X, y, labeled_indices=labeled).selected_indices_
    is_sound = len(np.union1d(picks, labeled)) == arguments.budget + len(labeled)
    return {**measured, "peak_mib": status_mib("VmHWM"), "is_sound": is_sound}


def measure_apart(name: str, argv: list[str]) -> dict | str:
    """Measure one sampler in a process of its own; the last line of its complaint where it fails."""
    command = [sys.executable, "-m", "benchmarks.imagenet_scale", *argv, "--only", name]
    finished = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if finished.returncode == 0:
        return json.loads(finished.stdout.splitlines()[-1])
    complaint = finished.stderr.strip().splitlines() or [f"ended by signal {-finished.returncode}"]
    return complaint[-1]


def parse(argv: list[str]) -> argparse.Namespace:
    names = list(all_samplers(10, 10))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True, help="a .npy file, generated where it is missing (1.3 GB)")
    parser.add_argument("--long-tail", action="store_true", help="class sizes of ImageNet-LT")
    parser.add_argument("--rows", type=int, help=f"default {IMAGENET_ROWS}, with --long-tail {IMAGENET_LT_ROWS}")
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--budget", type=int, default=3000)
    parser.add_argument("--samplers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--only", choices=names, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.rows is None:
        arguments.rows = IMAGENET_LT_ROWS if arguments.long_tail else IMAGENET_ROWS
    return arguments


def main(argv: list[str]) -> None:
    arguments = parse(argv)
    if arguments.only:
        print(json.dumps(measure(arguments)))
        return
    X, y = load_shape(arguments)
    sizes = np.bincount(y, minlength=arguments.classes)
    print(f"{X.shape[0]} × {X.shape[1]} {X.dtype} memmap, {sizes.max()} to {sizes.min()} rows in {len(sizes)} classes;")
    print(f"budget {arguments.budget}; {describe_machine()}\n")
    print("| sampler | seconds | of a processor | peak MiB beside the pool | of the process, with the pool's pages |")
    print("|---|---|---|---|---|", flush=True)
    failed = []
    for name in arguments.samplers:
        result = measure_apart(name, argv)
        if isinstance(result, str) or not result["is_sound"]:
            failed.append(name)
            print(f"| {name} | – | – | – | {result if isinstance(result, str) else 'wrong picks'} |", flush=True)
            continue
        figures = (result["seconds"], result["cpu_seconds"], result["mib"], result["peak_mib"])
        print(f"| {name} | " + " | ".join(f"{figure:.0f}" for figure in figures) + " |", flush=True)
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main(sys.argv[1:])
