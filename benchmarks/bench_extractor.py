"""Images per second of TorchFeatureExtractor beside a plain DataLoader loop over the same backbone, on Fashion-MNIST.

    python -m benchmarks.bench_extractor                     # arrays, at 28 × 28 and resized to 64 × 64
    python -m benchmarks.bench_extractor --as-files          # PNG files, decoded and resized
    python -m benchmarks.bench_extractor --batch-sizes 8 16 32 64 128 --threads 1 --images 256 --sizes 64 224
                                                             # which batch size costs least

The images are those of Debian's package dataset-fashion-mnist, or of the folder `--data`. The ways are taken in turn,
in one process; medians of `--repeats`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.pools import describe_machine
from skal.datasets import load_fashion_mnist
from skal.features import TorchFeatureExtractor, resnet

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class PlainImages(Dataset):
    """One image at a time, as in any tutorial."""

    def __init__(self, images: np.ndarray | list[Path], size: int) -> None:
        self.images = images
        self.size = size
        self.margin = 1.0 if isinstance(images, np.ndarray) else 256 / 224

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> torch.Tensor:
        image = self.images[row]
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else Image.open(image)
        image = image.convert("RGB")
        if image.size != (self.size, self.size):
            side = round(self.size * self.margin)
            image = image.resize((side, side), Image.Resampling.BILINEAR)
            corner = round((side - self.size) / 2)
            image = image.crop((corner, corner, corner + self.size, corner + self.size))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(torch.float32) / 255
        return (pixels - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)


def plain_loop(
    images: np.ndarray | list[Path], size: int, model: torch.nn.Module, batch_size: int, n_workers: int
) -> np.ndarray:
    model = model.eval()
    rows = []
    with torch.no_grad():
        for batch in DataLoader(PlainImages(images, size), batch_size=batch_size, num_workers=n_workers):
            rows.append(torch.nn.functional.normalize(model(batch)))
    return torch.cat(rows).numpy()


def write_files(images: np.ndarray, folder: Path) -> list[Path]:
    paths = [folder / f"{row:06}.png" for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def compare(images: np.ndarray | list[Path], size: int, arguments: argparse.Namespace) -> None:
    model = resnet(arguments.backbone)
    extractor = TorchFeatureExtractor(model, image_size=size, batch_size=arguments.batch_size)
    ways = {"skal": lambda: extractor.transform(images)}
    for n_workers in arguments.workers:
        ways[f"plain loop, {n_workers} workers"] = lambda n_workers=n_workers: plain_loop(
            images, size, model, arguments.batch_size, n_workers
        )
    rates: dict[str, list[float]] = {name: [] for name in ways}
    embeddings = {}
    for _ in range(arguments.repeats):
        for name, embed in ways.items():
            start = time.perf_counter()
            embeddings[name] = embed()
            rates[name].append(len(images) / (time.perf_counter() - start))
    ours = np.median(rates["skal"])
    for name in ways:
        rate, difference = np.median(rates[name]), np.abs(embeddings[name] - embeddings["skal"]).max()
        print(f"| {size} × {size} | {name} | {rate:.0f} | {ours / rate:.2f} | {difference:.0e} |", flush=True)


def compare_batch_sizes(images: np.ndarray | list[Path], size: int, arguments: argparse.Namespace) -> None:
    """Print milliseconds an image for each batch size: CPU time of the process, which other processes hardly change."""
    model, is_on_gpu = resnet(arguments.backbone), torch.cuda.is_available()
    clock = time.perf_counter if is_on_gpu else time.process_time
    seconds: dict[int, list[float]] = {batch_size: [] for batch_size in arguments.batch_sizes}
    for _ in range(arguments.repeats):
        for batch_size, runs in seconds.items():
            extractor = TorchFeatureExtractor(model, image_size=size, batch_size=batch_size)
            start = clock()
            extractor.transform(images)
            runs.append(clock() - start)
    cells = " | ".join(f"{1e3 * np.median(runs) / len(images):.1f}" for runs in seconds.values())
    print(f"| {arguments.backbone}, {size} × {size} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the IDX files; by default Debian's")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 64])
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="compare these with each other, and nothing else")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="of the plain loop's DataLoader")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--as-files", action="store_true", help="write the images as PNG files first")
    arguments = parser.parse_args()

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    options = {} if arguments.data is None else {"root": arguments.data}
    images = load_fashion_mnist(split="train", **options).images[: arguments.images]
    print(
        f"{len(images)} images of Fashion-MNIST{' as PNG files' if arguments.as_files else ''}, {arguments.backbone}, "
    )
    batches = arguments.batch_sizes or [arguments.batch_size]
    print(f"batches of {', '.join(map(str, batches))}; {torch.get_num_threads()} threads; {describe_machine()}")
    if arguments.batch_sizes:
        print(f"| ms an image, by batch size | {' | '.join(map(str, batches))} |")
        print("|---" * (1 + len(batches)) + "|")
    else:
        print("| size | way | images/s | skal's / its | largest difference |")
        print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        given = write_files(images, Path(folder)) if arguments.as_files else images
        for size in arguments.sizes:
            (compare_batch_sizes if arguments.batch_sizes else compare)(given, size, arguments)


if __name__ == "__main__":
    main()
