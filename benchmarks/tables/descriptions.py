"""What each table of the paper says was done, one description a table.

Budgets are numbers of labels. Where the paper writes 1K, the description has 1000; where it writes 4×102, 408.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

__all__ = ["TABLES", "Backbone", "Dataset", "Line", "Panel", "Start", "Table", "find_table"]


@dataclass(frozen=True)
class Backbone:
    """A frozen network, as the published CSVs name it."""

    name: str
    architecture: str  # TorchFeatureExtractor's `backbone`
    n_features: int
    checkpoint: str | None  # what the file of weights must hold; None for random weights


@dataclass(frozen=True)
class Dataset:
    """A dataset of `skal.datasets`, with the pool that rows are picked from and the images it is tested on."""

    name: str
    title: str
    n_classes: int
    n_pool: int
    n_test: int
    test_split: str = "test"
    batch_size: int = 128  # of the linear layer


@dataclass(frozen=True)
class Start:
    """The initial pool of the iterative strategies."""

    method: str
    budget: int


@dataclass(frozen=True)
class Panel:
    """The columns of one dataset."""

    dataset: Dataset
    budgets: tuple[int, ...]
    metric: str  # "top-1", "per-class" or "coverage"
    start: Start | None = None  # None where no strategy of the table is iterative


@dataclass(frozen=True)
class Line:
    """A line of a table: a strategy on one backbone's embeddings, evaluated on another's or the same."""

    method: str
    evaluation: str
    selection_backbone: Backbone
    backbone: Backbone | None  # None where the paper does not say


@dataclass(frozen=True)
class Table:
    number: str
    caption: str
    panels: tuple[Panel, ...]
    methods: tuple[str, ...]
    evaluations: tuple[str, ...]  # "LIN", "NN", "fine-tuned", "FixMatch"; "picks" measures the selection itself
    backbones: tuple[tuple[Backbone, Backbone | None], ...]  # of the selection, and of the evaluation
    n_seeds: int = 3

    def lines(self) -> Iterator[Line]:
        """Yield the lines in the paper's order."""
        for evaluation, (selection_backbone, backbone), method in product(
            self.evaluations, self.backbones, self.methods
        ):
            yield Line(method, evaluation, selection_backbone, backbone)


COMPRESS_RESNET18 = Backbone(
    "compress-resnet18", "resnet18", 512, "ResNet-18, CompRess with a MoCo-v2 teacher, 130 epochs on ImageNet"
)
RANDOM_RESNET18 = Backbone("random-resnet18", "resnet18", 512, None)
MOCO_RESNET50 = Backbone("moco-v2-resnet50", "resnet50", 2048, "ResNet-50, MoCo-v2, 800 epochs on ImageNet")
BYOL_RESNET50 = Backbone("byol-resnet50", "resnet50", 2048, "ResNet-50, BYOL, on ImageNet-LT")

CIFAR10 = Dataset("cifar10", "CIFAR-10", 10, 50_000, 10_000, batch_size=4)
CIFAR100 = Dataset("cifar100", "CIFAR-100", 100, 50_000, 10_000, batch_size=4)
IMAGENET = Dataset("imagenet", "ImageNet", 1000, 1_281_167, 50_000, test_split="val")
IMAGENET_LT = Dataset("imagenet_lt", "ImageNet-LT", 1000, 115_846, 50_000)  # its "test" is ImageNet's "val"
FLOWERS102 = Dataset("flowers102", "Flowers-102", 102, 1_020, 6_149)
DTD = Dataset("dtd", "DTD-47", 47, 1_880, 1_880)
AIRCRAFT = Dataset("aircraft", "Aircraft-100", 100, 5_367, 3_333)

EVERY_METHOD = ("Uniform", "Random", "Max-Entropy", "Core-set", "VAAL", "Multi K-means", "K-means")
COMPRESS = ((COMPRESS_RESNET18, COMPRESS_RESNET18),)

CIFAR10_BUDGETS = (10, 20, 50, 70, 100, 200, 300)
CIFAR100_BUDGETS = (100, 300, 500, 1000, 2000, 2500, 4000, 5000, 7500)
IMAGENET_BUDGETS = (1000, 3000, 7000, 13_000, 26_000, 64_000, 128_000, 192_000)
IMAGENET_LT_BUDGETS = (1000, 3000, 5000, 7000, 9000, 12_000)

_TABLES = (
    Table(
        "1",
        "Top-1 linear (LIN) and nearest neighbor (NN) classification results on CIFAR-10",
        panels=(Panel(CIFAR10, CIFAR10_BUDGETS, "top-1", Start("Random", 10)),),
        methods=EVERY_METHOD,
        evaluations=("LIN", "NN"),
        backbones=COMPRESS,
    ),
    Table(
        "2",
        "CIFAR-10 category coverage of selected examples",
        panels=(Panel(CIFAR10, CIFAR10_BUDGETS[:3], "coverage", Start("Random", 10)),),
        methods=EVERY_METHOD,
        evaluations=("picks",),
        backbones=COMPRESS,
    ),
    Table(
        "3",
        "CIFAR-100 category coverage of selected examples",
        panels=(Panel(CIFAR100, CIFAR100_BUDGETS[:4], "coverage", Start("Random", 100)),),
        methods=EVERY_METHOD,
        evaluations=("picks",),
        backbones=COMPRESS,
    ),
    Table(
        "4",
        "Top-1 linear (LIN) and nearest neighbor (NN) classification results on CIFAR-100",
        panels=(Panel(CIFAR100, CIFAR100_BUDGETS, "top-1", Start("Random", 100)),),
        methods=EVERY_METHOD,
        evaluations=("LIN", "NN"),
        backbones=COMPRESS,
    ),
    Table(
        "5",
        "Top-1 linear (LIN) and nearest neighbor (NN) classification results on ImageNet",
        panels=(Panel(IMAGENET, IMAGENET_BUDGETS, "top-1", Start("Random", 1000)),),
        methods=EVERY_METHOD,
        evaluations=("LIN", "NN"),
        backbones=COMPRESS,
    ),
    Table(
        "6a",
        "ImageNet category coverage of selected examples",
        panels=(Panel(IMAGENET, IMAGENET_BUDGETS[:4], "coverage", Start("Random", 1000)),),
        methods=EVERY_METHOD,
        evaluations=("picks",),
        backbones=COMPRESS,
    ),
    Table(
        "7",
        "Top-1 linear (LIN) and nearest neighbor (NN) classification results on ImageNet-LT",
        panels=(Panel(IMAGENET_LT, IMAGENET_LT_BUDGETS, "top-1", Start("Random", 1000)),),
        methods=EVERY_METHOD,
        evaluations=("LIN", "NN"),
        backbones=COMPRESS,
    ),
    Table(
        "8",
        "ImageNet-LT category coverage of selected examples",
        panels=(Panel(IMAGENET_LT, IMAGENET_LT_BUDGETS, "coverage", Start("Random", 1000)),),
        methods=EVERY_METHOD,
        evaluations=("picks",),
        backbones=COMPRESS,
    ),
    Table(
        "9",
        "Evaluation on fine-grained tasks, linear classification",
        panels=(
            Panel(FLOWERS102, (102, 408), "per-class"),
            Panel(DTD, (47, 188), "top-1"),
            Panel(AIRCRAFT, (100, 400), "per-class"),
        ),
        methods=("Uniform", "Random", "K-means"),
        evaluations=("LIN",),
        backbones=COMPRESS,
    ),
    Table(
        "10",
        "Semi-supervised evaluation with FixMatch",
        panels=(
            Panel(CIFAR10, (10, 40, 100), "top-1"),
            Panel(FLOWERS102, (102, 306, 408), "top-1"),
            Panel(DTD, (47, 141, 188), "top-1"),
        ),
        methods=("Uniform", "Uniform(K-means)", "Random", "K-means"),
        evaluations=("FixMatch",),
        backbones=((COMPRESS_RESNET18, None),),
        n_seeds=1,
    ),
    Table(
        "11",
        "Effect of a larger (2%) initial labeled set on ImageNet linear classification results",
        panels=(Panel(IMAGENET, (26_000, 64_000, 128_000), "top-1", Start("Random", 26_000)),),
        methods=("Max-Entropy", "Core-set", "VAAL", "Random", "K-means"),
        evaluations=("LIN",),
        backbones=COMPRESS,
    ),
    Table(
        "12",
        "Effect of 0.08% K-means selected initial set of ImageNet on linear classification results",
        panels=(Panel(IMAGENET, (3000, 7000), "top-1", Start("K-means", 1000)),),
        methods=("Max-Entropy", "Core-set", "VAAL", "K-means"),
        evaluations=("LIN",),
        backbones=COMPRESS,
    ),
    Table(
        "13",
        "Fine-tuning and linear classification results of ablation study on sampling ImageNet using K-means",
        panels=(Panel(IMAGENET, (1000, 3000, 7000, 13_000, 26_000, 64_000, 128_000, 256_000), "top-1"),),
        methods=("K-means",),
        evaluations=("LIN", "fine-tuned"),
        backbones=(
            (RANDOM_RESNET18, RANDOM_RESNET18),
            (RANDOM_RESNET18, COMPRESS_RESNET18),
            (COMPRESS_RESNET18, RANDOM_RESNET18),
            (COMPRESS_RESNET18, COMPRESS_RESNET18),
        ),
    ),
    Table(
        "14",
        "Effect of MoCo-v2 pre-trained R50 on top-1 linear (LIN) and nearest neighbor (NN) results of ImageNet",
        panels=(Panel(IMAGENET, IMAGENET_BUDGETS[:6], "top-1", Start("Random", 1000)),),
        methods=("Uniform", "Random", "Max-Entropy", "Core-set", "VAAL", "K-means"),
        evaluations=("LIN", "NN"),
        backbones=((MOCO_RESNET50, MOCO_RESNET50),),
        n_seeds=1,
    ),
    Table(
        "16",
        "Top-1 linear (LIN) and nearest neighbor (NN) results on ImageNet-LT, backbone pre-trained on ImageNet-LT",
        panels=(Panel(IMAGENET_LT, IMAGENET_LT_BUDGETS, "top-1", Start("Random", 1000)),),
        methods=EVERY_METHOD,
        evaluations=("LIN", "NN"),
        backbones=((BYOL_RESNET50, BYOL_RESNET50),),
    ),
)

TABLES = {table.number: table for table in _TABLES}


def find_table(number: str) -> Table:
    """Return a table by its number; "6" is 6a, whose other half is a picture."""
    number = "6a" if number == "6" else number
    if number not in TABLES:
        raise ValueError(f"There is no table {number!r}; there are {', '.join(TABLES)}.")
    return TABLES[number]
