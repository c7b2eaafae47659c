"""The published numbers are the paper's, and complete but for what is said to be left out."""

import csv
from collections import Counter

import pytest

from benchmarks.tables.descriptions import TABLES, find_table
from benchmarks.tables.published import FOLDER, find_published, read_published

SSL, RANDOM_WEIGHTS = "compress-resnet18", "random-resnet18"

# Read from the paper by eye: table, dataset, method, evaluation, budget, value, std.
READ_BY_EYE = [
    ("1", "cifar10", "Uniform", "LIN", 10, 20.4, 0.2),
    ("1", "cifar10", "Core-set", "LIN", 70, 35.1, 0.1),
    ("1", "cifar10", "K-means", "NN", 300, 42.4, 0.0),
    ("2", "cifar10", "Random", "picks", 20, 86.7, 4.7),
    ("2", "cifar10", "K-means", "picks", 20, 90.0, 0.0),
    ("3", "cifar100", "VAAL", "picks", 500, 95.7, 0.9),
    ("3", "cifar100", "Multi K-means", "picks", 300, 93.0, 0.0),
    ("4", "cifar100", "Random", "LIN", 2500, 29.5, 0.5),
    ("4", "cifar100", "K-means", "LIN", 2000, 29.4, 0.0),
    ("4", "cifar100", "Uniform", "NN", 7500, 30.0, 0.1),
    ("5", "imagenet", "K-means", "LIN", 3000, 35.7, 0.0),
    ("5", "imagenet", "VAAL", "LIN", 192_000, 57.4, 0.0),
    ("5", "imagenet", "Multi K-means", "NN", 64_000, 47.2, 0.0),
    ("6a", "imagenet", "K-means", "picks", 3000, 97.8, 0.2),
    ("6a", "imagenet", "Max-Entropy", "picks", 7000, 94.8, 0.2),
    ("7", "imagenet_lt", "K-means", "LIN", 7000, 31.7, 0.2),
    ("7", "imagenet_lt", "Core-set", "NN", 12_000, 35.9, 0.0),
    ("8", "imagenet_lt", "Random", "picks", 3000, 76.1, 1.0),
    ("8", "imagenet_lt", "Core-set", "picks", 7000, 91.1, 0.8),
    ("9", "flowers102", "Random", "LIN", 408, 82.06, 1.3),
    ("9", "dtd", "Uniform", "LIN", 47, 64.23, 1.6),
    ("9", "aircraft", "K-means", "LIN", 400, 38.67, 0.2),
    ("10", "cifar10", "Uniform(K-means)", "FixMatch", 10, 57.53, None),
    ("10", "flowers102", "Uniform", "FixMatch", 408, 42.54, None),
    ("10", "dtd", "K-means", "FixMatch", 47, 14.36, None),
    ("11", "imagenet", "Max-Entropy", "LIN", 64_000, 51.8, 0.0),
    ("11", "imagenet", "VAAL", "LIN", 128_000, 56.8, None),
    ("12", "imagenet", "K-means", "LIN", 3000, 35.7, 0.0),
    ("12", "imagenet", "K-means", "LIN", 7000, 42.6, 0.1),
    ("14", "imagenet", "Max-Entropy", "LIN", 13_000, 40.7, None),
    ("14", "imagenet", "K-means", "NN", 64_000, 49.8, None),
    ("16", "imagenet_lt", "Uniform", "LIN", 1000, 5.34, 0.1),
    ("16", "imagenet_lt", "Multi K-means", "NN", 7000, 9.20, 0.1),
]

# Of Table 13, with the backbones of the selection and of the classifier.
READ_BY_EYE_13 = [
    (RANDOM_WEIGHTS, RANDOM_WEIGHTS, "LIN", 256_000, 5.08, 0.1),
    (RANDOM_WEIGHTS, SSL, "LIN", 7000, 36.6, 0.1),
    (SSL, RANDOM_WEIGHTS, "LIN", 1000, 0.47, 0.0),
    (SSL, SSL, "fine-tuned", 256_000, 60.0, 0.1),
]

LEFT_OUT = {("12", method, budget) for method in ("Max-Entropy", "Core-set", "VAAL") for budget in (3000, 7000)}
STD_LEFT_OUT = {("11", method) for method in ("Core-set", "VAAL")}
NOT_MONOTONE = {("1", "Max-Entropy", "NN")}

ITERATIVE = ("Max-Entropy", "Core-set", "VAAL")


def key_of(cell):
    return cell.dataset, cell.selection_backbone, cell.backbone, cell.method, cell.evaluation, cell.budget


def value_at(number, method, evaluation, budget, dataset=None):
    (cell,) = [
        cell
        for cell in read_published(number)
        if (cell.method, cell.evaluation, cell.budget) == (method, evaluation, budget)
        and dataset in (None, cell.dataset)
    ]
    return cell.value, cell.std


@pytest.mark.parametrize(("number", "dataset", "method", "evaluation", "budget", "value", "std"), READ_BY_EYE)
def test_cells_read_from_the_paper_by_eye(number, dataset, method, evaluation, budget, value, std):
    assert value_at(number, method, evaluation, budget, dataset) == (value, std)


@pytest.mark.parametrize(("selection", "backbone", "evaluation", "budget", "value", "std"), READ_BY_EYE_13)
def test_cells_of_table_13_read_by_eye(selection, backbone, evaluation, budget, value, std):
    cells = {key_of(cell): cell for cell in read_published("13")}
    cell = cells["imagenet", selection, backbone, "K-means", evaluation, budget]
    assert (cell.value, cell.std) == (value, std)


def test_two_cells_of_every_table_are_checked():
    checked = Counter(number for number, *_ in READ_BY_EYE)
    checked["13"] = len(READ_BY_EYE_13)
    assert set(checked) == set(TABLES)
    assert min(checked.values()) >= 2


@pytest.mark.parametrize("number", TABLES)
def test_cells_are_distinct_and_in_range(number):
    cells = read_published(number)
    assert max(Counter(map(key_of, cells)).values()) == 1
    assert all(0 <= cell.value <= 100 for cell in cells)
    assert all(cell.std is None or 0 <= cell.std < 5 for cell in cells)


@pytest.mark.parametrize("number", TABLES)
def test_every_cell_of_the_description_is_there_or_said_to_be_left_out(number):
    table, cells, met = TABLES[number], read_published(number), []
    for panel in table.panels:
        for line in table.lines():
            for budget in panel.budgets:
                cell = find_published(cells, panel, line, budget)
                assert (cell is None) == ((number, line.method, budget) in LEFT_OUT)
                if cell is None:
                    continue
                has_std = table.n_seeds > 1 and (number, line.method) not in STD_LEFT_OUT
                assert (cell.std is not None) == has_std
                met.append(cell)
    assert Counter(map(key_of, met)) == Counter(map(key_of, cells))


@pytest.mark.parametrize("number", TABLES)
def test_numbers_rise_with_the_budget_where_the_papers_do(number):
    lines = {}
    for cell in sorted(read_published(number), key=lambda cell: cell.budget):
        lines.setdefault(key_of(cell)[:-1], []).append(cell.value)
    falling = {(number, key[3], key[4]) for key, values in lines.items() if values != sorted(values)}
    assert falling == {entry for entry in NOT_MONOTONE if entry[0] == number}


@pytest.mark.parametrize("number", [number for number, table in TABLES.items() if table.panels[0].start])
def test_iterative_strategies_begin_with_the_initial_pool(number):
    table = TABLES[number]
    (panel,) = table.panels
    if panel.start.budget not in panel.budgets:
        return
    for evaluation in table.evaluations:
        initial, _ = value_at(number, panel.start.method, evaluation, panel.start.budget)
        for method in ITERATIVE:
            assert value_at(number, method, evaluation, panel.start.budget)[0] == initial
        if "Multi K-means" in table.methods:
            k_means = value_at(number, "K-means", evaluation, panel.start.budget)
            assert value_at(number, "Multi K-means", evaluation, panel.start.budget) == k_means


@pytest.mark.parametrize(("number", "methods"), [("11", ("Random", "K-means")), ("12", ("K-means",))])
def test_what_a_caption_says_is_repeated_from_table_5(number, methods):
    for method in methods:
        for budget in TABLES[number].panels[0].budgets:
            assert value_at(number, method, "LIN", budget) == value_at("5", method, "LIN", budget)


def test_table_13s_pretrained_line_is_table_5s_k_means():
    cells = {key_of(cell): cell for cell in read_published("13")}
    for budget in TABLES["13"].panels[0].budgets[:-1]:
        cell = cells["imagenet", SSL, SSL, "K-means", "LIN", budget]
        assert (cell.value, cell.std) == value_at("5", "K-means", "LIN", budget)


def test_sizes_of_the_fine_grained_datasets_are_table_15s():
    with (FOLDER / "table_15.csv").open(newline="") as file:
        sizes = {row["dataset"]: row for row in csv.DictReader(file)}
    panels = {panel.dataset.name: panel for panel in TABLES["9"].panels}
    assert panels.keys() == sizes.keys()
    for name, panel in panels.items():
        found = (panel.dataset.n_classes, panel.dataset.n_pool, panel.dataset.n_test, panel.metric)
        assert found == tuple(
            int(text) if text.isdigit() else text
            for text in (sizes[name][column] for column in ("classes", "train", "test", "metric"))
        )


def test_a_table_that_is_not_there():
    assert find_table("6") is TABLES["6a"]
    with pytest.raises(ValueError, match="no table '17'; there are 1, 2"):
        find_table("17")
