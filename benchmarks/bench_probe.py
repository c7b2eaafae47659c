"""LinearProbe beside a plain PyTorch loop with the same schedule, on the same labels.

    python -m benchmarks.bench_probe --data DIR

With --stacked, R probes at once beside R single fits and R plain loops, on R random draws of labels:

    python -m benchmarks.bench_probe --data DIR --stacked 24 --budgets 100 --batch-sizes 4
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.pools import add_data_argument, describe_machine, load_pool
from skal.classifiers import LinearProbe
from skal.samplers import KMeansSampler


def plain_loop(X, y, X_test, y_test, batch_size, seed, zero_start):
    torch.manual_seed(seed)
    mean, deviation = X.mean(0), X.std(0, correction=0)
    deviation[deviation == 0] = 1
    classes, targets = y.unique(return_inverse=True)
    linear = torch.nn.Linear(X.shape[1], len(classes))
    if zero_start:
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    optimizer = torch.optim.Adam(linear.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [50, 75], 0.1)
    loader = DataLoader(TensorDataset((X - mean) / deviation, targets), batch_size=batch_size, shuffle=True)
    for _ in range(100):
        for rows, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(linear(rows), labels).backward()
            optimizer.step()
        scheduler.step()
    with torch.inference_mode():
        predicted = classes[linear((X_test - mean) / deviation).argmax(1)]
    return float((predicted == y_test).float().mean())


def measure_stack(pool, budget, batch_size, n_probes, n_repeats):
    """Seconds of R fits each way, alternating in one process, and how often the predictions agree."""
    X, X_test = pool.X.astype(np.float32), pool.X_test.astype(np.float32)
    draws = [np.random.default_rng(seed).permutation(len(X))[:budget] for seed in range(n_probes)]
    sets = [(X[rows], pool.y[rows]) for rows in draws]
    X_first, y_first = (torch.from_numpy(part) for part in (sets[0][0], sets[0][1].astype(np.int64)))

    def make():
        return [LinearProbe(batch_size=batch_size, random_state=seed) for seed in range(n_probes)]

    def fit_each(**pool_of_all):
        return [probe.fit(*labeled, **pool_of_all) for probe, labeled in zip(make(), sets, strict=True)]

    ways = {
        "single": fit_each,
        "stacked": lambda: LinearProbe.fit_many(make(), sets),
        "single, pool": lambda: fit_each(X_pool=X),
        "stacked, pool": lambda: LinearProbe.fit_many(make(), sets, X_pool=X),
        "one plain loop": lambda: plain_loop(X_first, y_first, X_first, y_first, batch_size, 0, zero_start=True),
    }
    seconds = {name: [] for name in ways}
    for _ in track(range(n_repeats), transient=True, console=Console(stderr=True)):
        for name, fit in ways.items():
            start = time.perf_counter()
            fit()
            seconds[name].append(time.perf_counter() - start)
    pairs = zip(fit_each(), LinearProbe.fit_many(make(), sets), strict=True)
    agreement = np.mean([alone.predict(X_test) == stacked.predict(X_test) for alone, stacked in pairs])
    return {name: float(np.median(times)) for name, times in seconds.items()}, float(agreement)


def print_stacks(pool, arguments) -> None:
    R = arguments.stacked
    print(f"{R} probes; medians of {arguments.repeats}; {torch.get_num_threads()} thread(s)\n")
    header = ("labels", "batch", "stacked, s", "single / stacked", "with a pool", "plain / stacked", "same predictions")
    print(f"| {' | '.join(header)} |")
    print("|---" * len(header) + "|")
    for budget in arguments.budgets:
        for batch_size in arguments.batch_sizes:
            seconds, agreement = measure_stack(pool, budget, batch_size, R, arguments.repeats)
            stacked = seconds["stacked"]
            ratios = (
                seconds["single"] / stacked,
                seconds["single, pool"] / seconds["stacked, pool"],
                R * seconds["one plain loop"] / stacked,
            )
            cells = " | ".join(f"{ratio:.1f}" for ratio in ratios)
            print(f"| {budget} | {batch_size} | {stacked:.2f} | {cells} | {100 * agreement:.3f} % |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--budgets", type=int, nargs="+", default=[20, 100, 1000])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 4])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--stacked", type=int, metavar="R", help="fit R probes at once instead")
    parser.add_argument("--repeats", type=int, default=5, help="of each timing with --stacked")
    arguments = parser.parse_args()

    pool = load_pool(arguments.data)
    X, X_test = (part.astype(np.float32) for part in (pool.X, pool.X_test))
    y_test = torch.from_numpy(pool.y_test.astype(np.int64))
    print(f"{pool.name}: {X.shape[0]} × {X.shape[1]}; {describe_machine()}")
    if arguments.stacked:
        print_stacks(pool, arguments)
        return
    print("| labels | batch | plain loop, % | the same from zero, % | LinearProbe, % | time of the loop / ours |")
    print("|---|---|---|---|---|---|")
    for budget in arguments.budgets:
        picks = KMeansSampler(budget, random_state=0, max_iter=10).fit_select(X)
        labels = torch.from_numpy(pool.y[picks].astype(np.int64))
        tensors = (torch.from_numpy(X[picks]), labels, torch.from_numpy(X_test), y_test)
        for batch_size in arguments.batch_sizes:
            rows = []
            for seed in track(range(arguments.seeds), transient=True, console=Console(stderr=True)):
                start = time.perf_counter()
                probe = LinearProbe(batch_size=batch_size, random_state=seed).fit(X[picks], pool.y[picks])
                ours = probe.score(X_test, pool.y_test)
                after_ours = time.perf_counter()
                plain = plain_loop(*tensors, batch_size, seed, zero_start=False)
                ratio = (time.perf_counter() - after_ours) / (after_ours - start)
                from_zero = plain_loop(*tensors, batch_size, seed, zero_start=True)
                rows.append((100 * plain, 100 * from_zero, 100 * ours, ratio))
            plain, from_zero, ours, _ = np.mean(rows, axis=0)
            ratio = np.median([row[-1] for row in rows])
            print(f"| {budget} | {batch_size} | {plain:.2f} | {from_zero:.2f} | {ours:.2f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
