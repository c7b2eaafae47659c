"""Tables end to end, on small datasets in their real layouts on disk."""

import csv
import errno
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from typer.testing import CliRunner

import skal
from benchmarks.tables.__main__ import app
from benchmarks.tables.descriptions import TABLES
from benchmarks.tables.groups import Settings
from benchmarks.tables.running import TableRun
from skal.classifiers import LinearProbe
from skal.evaluation import category_coverage
from skal.samplers import KMeansSampler
from skal.vision import FineTuneClassifier, FixMatchClassifier

pytestmark = pytest.mark.slow

FOLDER_OF = {"1": "", "2": "", "5": "imagenet", "7": "imagenet", "9": "", "10": "", "13": "imagenet"}
BUDGETS = (4, 8)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def n_seeds_of(number):
    return 2 if number in ("2", "5") else 1


def budgets_of(number):
    return "4" if number == "10" else ",".join(map(str, BUDGETS))


def command(number, datasets, weights, output, *more):
    of_data = ("--data", datasets / FOLDER_OF[number], "--weights", weights, "--any-size", "--workers", 0)
    short = ("--steps", 1, "--batch-size", 2, "--epochs", 1)
    return (
        number,
        *of_data,
        *short,
        "--budgets",
        budgets_of(number),
        "--seeds",
        n_seeds_of(number),
        "--output",
        output,
        *more,
    )


def read_cells(output, number):
    with (output / f"table_{number}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def output(tmp_path_factory):
    """One folder for all tables, as a user would have."""
    return tmp_path_factory.mktemp("output")


@pytest.mark.parametrize("number", ["1", "5", "7", "9", "10", "13"])
def test_a_table_end_to_end(number, datasets, weights, output):
    finished = run(*command(number, datasets, weights, output))
    assert finished.exit_code == 0, finished.output
    cells, table = read_cells(output, number), TABLES[number]
    assert len(cells) == len(list(table.lines())) * len(table.panels) * len(budgets_of(number).split(","))
    for cell in cells:
        assert 0 <= float(cell["mean"]) <= 100
        assert cell["n_seeds"] == str(n_seeds_of(number))
        assert (cell["std"] == "") == (cell["n_seeds"] == "1")
    markdown = (output / f"table_{number}.md").read_text()
    for line in table.lines():
        assert line.method in finished.output
        assert f"| {line.method} |" in markdown
    assert not list((output / "checkpoints").glob("*"))
    assert "…" not in finished.output


def test_cells_are_what_the_parts_give_by_hand(datasets, weights, output):
    finished = run(*command("2", datasets, weights, output))
    assert finished.exit_code == 0, finished.output
    table_run = TableRun(TABLES["2"], Settings(datasets, output, weights, any_size=True))
    backbone = TABLES["2"].backbones[0][0]
    pool = table_run.embed(TABLES["2"].panels[0].dataset, "train", backbone)
    for budget in BUDGETS:
        coverages = [
            category_coverage(pool.y, KMeansSampler(budget, random_state=seed).fit_select(pool.pool.X))
            for seed in (0, 1)
        ]
        (cell,) = [
            cell for cell in read_cells(output, "2") if (cell["method"], cell["budget"]) == ("K-means", str(budget))
        ]
        assert float(cell["mean"]) == pytest.approx(100 * np.mean(coverages), rel=1e-5)
        assert float(cell["std"]) == pytest.approx(100 * np.std(coverages, ddof=1), rel=1e-5)


def test_nearest_neighbor_and_per_class_by_hand(datasets, weights, output):
    assert run(*command("1", datasets, weights, output)).exit_code == 0
    dataset, backbone = TABLES["1"].panels[0].dataset, TABLES["1"].backbones[0][0]
    settings = Settings(datasets, output, weights, any_size=True, n_seeds=1, budgets=(8,))
    table_run = TableRun(TABLES["1"], settings)
    pool, test = (table_run.embed(dataset, split, backbone) for split in ("train", "test"))
    picks = KMeansSampler(8, random_state=0).fit_select(pool.pool.X)
    unit_test, unit_picked = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (test.pool.X, pool.pool.X[picks])
    )
    predicted = pool.y[picks[(unit_test @ unit_picked.T).argmax(axis=1)]]
    by_class = [np.mean(predicted[test.y == label] == label) for label in np.unique(test.y)]
    (group,) = table_run.groups()
    curve = table_run.score(group, "NN", table_run.select(group))
    assert curve.scores("K-means", 8, "NN", "accuracy") == pytest.approx([np.mean(predicted == test.y)])
    assert curve.scores("K-means", 8, "NN", "balanced_accuracy") == pytest.approx([np.mean(by_class)])


def test_table_13_picks_by_one_backbone_and_classifies_by_another(datasets, weights, output):
    settings = Settings(
        datasets / "imagenet", output, weights, any_size=True, n_seeds=1, budgets=(8,), n_workers=0, n_epochs=1
    )
    table_run = TableRun(TABLES["13"], settings)
    results, dataset = table_run.run(), TABLES["13"].panels[0].dataset
    for line in TABLES["13"].lines():
        if line.evaluation != "LIN":
            continue
        picks = KMeansSampler(8, random_state=0).fit_select(
            table_run.embed(dataset, "train", line.selection_backbone).pool.X
        )
        pool, test = (table_run.embed(dataset, split, line.backbone) for split in ("train", "val"))
        both = pool.both_views.X.reshape(-1, 512)  # an image, and its mirror image
        np.testing.assert_array_equal(both[::2], pool.pool.X)
        rows = np.stack([2 * picks, 2 * picks + 1], axis=1).ravel()
        probe = LinearProbe(random_state=0).fit(both[rows], np.repeat(pool.y[picks], 2), X_pool=both)
        assert results[0, line, 8] == pytest.approx([probe.score(test.pool.X, test.y)])


def test_the_papers_numbers_stand_beside_ours(datasets, weights, output):
    arguments = command("1", datasets, weights, output)
    finished = run(*arguments[: arguments.index("--budgets")], "--budgets", "10", "--seeds", 1, "--output", output)
    assert finished.exit_code == 0, finished.output
    (cell,) = [c for c in read_cells(output, "1") if (c["method"], c["evaluation"]) == ("K-means", "LIN")]
    assert (cell["published"], cell["published_std"], cell["std"]) == ("28.5", "0.2", "")
    assert float(cell["difference"]) == pytest.approx(float(cell["mean"]) - 28.5, abs=1e-3)
    assert f"28.5 ({float(cell['difference']):+.1f})" in finished.output


class Interrupt:
    """Count the steps, and interrupt after a number of them."""

    def __init__(self, after):
        self.after, self.steps = after, []

    def __call__(self, what):
        self.steps.append(what)
        if len(self.steps) == self.after:
            raise KeyboardInterrupt


def kept_in(folder):
    """How often each selection and each score was computed, by what it depends on."""
    lines = [line for file in folder.rglob("*.jsonl") for line in file.read_text().splitlines()]
    entries = [json.loads(line)["entry"] for line in lines]
    names = ("sampler", "totals", "classifier", "picks", "scorer")
    return Counter(str([entry.get(name) for name in names]) for entry in entries if "picks" in entry)


def test_interrupted_again_and_again_no_finished_cell_is_computed_twice(datasets, weights, tmp_path):
    def table_run(folder, on_step):
        settings = Settings(datasets, tmp_path / folder, weights, any_size=True, n_seeds=1, budgets=BUDGETS)
        return TableRun(TABLES["1"], settings, on_step)

    in_one_go = Interrupt(after=None)
    wanted = table_run("one go", in_one_go).run()
    steps, results = [], None
    while results is None:
        interrupt = Interrupt(after=7)
        try:
            results = table_run("in parts", interrupt).run()
        except KeyboardInterrupt:
            assert interrupt.steps
        steps += interrupt.steps
    assert results == wanted
    assert steps == in_one_go.steps
    kept = kept_in(tmp_path / "in parts")
    assert kept == kept_in(tmp_path / "one go")
    assert set(kept.values()) == {1}
    nothing = Interrupt(after=1)
    assert table_run("in parts", nothing).run() == wanted
    assert nothing.steps == []


def test_more_seeds_and_budgets_later_compute_only_those(datasets, weights, tmp_path):
    def run_with(n_seeds, budgets):
        done = Interrupt(after=None)
        settings = Settings(datasets, tmp_path, weights, any_size=True, n_seeds=n_seeds, budgets=budgets)
        return TableRun(TABLES["2"], settings, done).run(), done.steps

    few, _ = run_with(1, (4,))
    more, steps = run_with(2, (4, 8))
    assert not [step for step in steps if "picked 4, seed 0" in step]
    for place, scores in few.items():
        assert more[place][:1] == scores


def test_rounds_on_the_way_are_made_and_not_scored(datasets, weights, tmp_path):
    settings = Settings(datasets, tmp_path, weights, any_size=True, n_seeds=1, budgets=(20,))
    done = Interrupt(after=None)
    table_run = TableRun(TABLES["1"], settings, done)
    (group,) = table_run.groups()
    curve = table_run.score(group, "NN", table_run.select(group))
    assert [step for step in done.steps if "Core-set picked" in step] == [
        f"CIFAR-10: Core-set picked {total}, seed 0" for total in (10, 20)
    ]
    assert curve.budgets == (20,)


def test_a_full_disk_is_said_and_what_is_finished_kept(datasets, weights, tmp_path, monkeypatch):
    sync, n_synced = os.fsync, []

    def fill_up(file):
        n_synced.append(file)
        if len(n_synced) > 25:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return sync(file)

    monkeypatch.setattr(os, "fsync", fill_up)
    failed = run(*command("2", datasets, weights, tmp_path))
    assert failed.exit_code == 1
    assert f"The disk of {tmp_path} is full" in failed.output
    before = kept_in(tmp_path)
    assert before
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.setattr(os, "fsync", sync)
    assert run(*command("2", datasets, weights, tmp_path)).exit_code == 0
    assert before < kept_in(tmp_path)
    assert set(kept_in(tmp_path).values()) == {1}


def test_a_full_disk_does_not_cost_an_older_table(datasets, weights, tmp_path, monkeypatch):
    assert run(*command("2", datasets, weights, tmp_path)).exit_code == 0
    older = (tmp_path / "table_2.csv").read_text()

    def fill_up(path, text):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", fill_up)
    failed = run(*command("2", datasets, weights, tmp_path))
    assert failed.exit_code == 1
    assert f"The disk of {tmp_path} is full" in failed.output
    assert (tmp_path / "table_2.csv").read_text() == older
    assert not list(tmp_path.rglob("*.part"))


def test_damaged_selections_are_named(datasets, weights, tmp_path):
    assert run(*command("2", datasets, weights, tmp_path)).exit_code == 0
    (path,) = (tmp_path / "selections").glob("*.jsonl")
    content = path.read_bytes()
    place = content.rindex(b'"picks": [') + len(b'"picks": [')
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    failed = run(*command("2", datasets, weights, tmp_path))
    assert failed.exit_code == 1
    assert f"of {path} is damaged" in failed.output
    assert "remove that line" in failed.output


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_what_is_kept_follows_the_umask(umask, datasets, weights, output, tmp_path):
    before = os.umask(umask)
    try:
        settings = Settings(datasets, tmp_path, weights, any_size=True, n_seeds=1, budgets=(4,))
        TableRun(TABLES["2"], settings).run()
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.jsonl")} == {0o666 & ~umask}


def test_embeddings_are_hashed_once_a_run(datasets, weights, output, monkeypatch):
    run(*command("1", datasets, weights, output))
    hashed, hash_of = [], skal.pool._pool.fingerprint
    monkeypatch.setattr("skal.pool._pool.fingerprint", lambda X: hashed.append(X.shape) or hash_of(X))
    assert run(*command("1", datasets, weights, output, "--dry-run")).exit_code == 0
    n_of_dry_run = len(hashed)
    assert run(*command("1", datasets, weights, output)).exit_code == 0
    assert (n_of_dry_run, len(hashed)) == (4, 8)  # the pool and the test set, with and without mirrored images


def test_what_is_missing_is_said_before_anything_is_embedded(datasets, weights, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "flowers102").symlink_to(datasets / "flowers102")
    failed = run(*command("9", datasets, weights, tmp_path / "out"), "--data", tmp_path / "data")
    assert failed.exit_code == 1
    assert "dtd/labels/train1.txt" in failed.output
    assert not list((tmp_path / "out").rglob("*.npy"))


def test_two_runs_at_once_are_refused(datasets, weights, tmp_path):
    with FileLock(tmp_path / "lock"):
        failed = run(*command("2", datasets, weights, tmp_path))
    assert failed.exit_code == 1
    assert f"Another run writes to {tmp_path}" in failed.output


def test_a_missing_dataset(tmp_path, weights):
    failed = run("5", "--data", tmp_path, "--weights", weights, "--output", tmp_path / "out")
    assert failed.exit_code == 1
    assert "train/<wnid>/*.JPEG" in failed.output
    assert "is kept in" in failed.output


def test_a_part_of_a_dataset_is_refused_unless_it_is_meant(datasets, weights, tmp_path):
    arguments = command("5", datasets, weights, tmp_path)
    failed = run(*(argument for argument in arguments if argument != "--any-size"))
    assert failed.exit_code == 1
    assert "found 4 classes in train, expected 1,000" in failed.output
    assert "--any-size" in failed.output


def test_a_wrong_checkpoint(datasets, tmp_path):
    path = tmp_path / "wrong.pth"
    torch.save({"state_dict": {"layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)}}, path)
    failed = run(*command("5", datasets, path, tmp_path / "out"))
    assert failed.exit_code == 1
    assert "conv1.weight" in failed.output
    assert not list((tmp_path / "out").rglob("*.npy"))


def test_other_weights_are_not_mixed_with_what_is_there(datasets, weights, output, tmp_path):
    assert run(*command("5", datasets, weights, output)).exit_code == 0
    other = torch.load(weights, weights_only=True)
    other["model"]["module.conv1.weight"] += 1
    torch.save(other, tmp_path / "other.pth")
    failed = run(*command("5", datasets, tmp_path / "other.pth", output))
    assert failed.exit_code == 1
    assert "weights" in failed.output


def test_no_weights(datasets, tmp_path):
    failed = run("5", "--data", datasets / "imagenet", "--any-size", "--budgets", "4", "--output", tmp_path)
    assert failed.exit_code == 1
    assert "needs --weights FILE: ResNet-18, CompRess" in failed.output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--budgets", "4;8"), "expected numbers of labels"),
        (("--budgets", "0"), "a budget is 1 or more"),
        (("--budgets", "33"), "has 32 images to pick from here, fewer than a budget of 33"),
        (("--device", "cuda:99"), "cuda:99"),
    ],
)
def test_what_a_command_line_may_not_say(more, message, datasets, weights, output):
    failed = run(*command("5", datasets, weights, output), *more)
    assert failed.exit_code == 1
    assert message in failed.output


def test_a_table_that_is_not_there(datasets):
    failed = run("17", "--data", datasets)
    assert failed.exit_code == 1
    assert "no table '17'" in failed.output


def test_tables_on_images_by_hand(datasets, weights, output):
    settings = {
        "any_size": True,
        "n_seeds": 1,
        "budgets": (8,),
        "n_workers": 0,
        "n_steps": 2,
        "batch_size": 2,
        "n_epochs": 1,
    }
    of_13 = TableRun(TABLES["13"], Settings(datasets / "imagenet", output, weights, **settings))
    results, (panel,) = of_13.run(), TABLES["13"].panels
    images, test = (of_13.load_images(panel.dataset, split) for split in ("train", "val"))
    line = next(line for line in TABLES["13"].lines() if line.evaluation == "fine-tuned" and line.backbone.checkpoint)
    picks = KMeansSampler(8, random_state=0).fit_select(
        of_13.embed(panel.dataset, "train", line.selection_backbone).pool.X
    )
    tuned = FineTuneClassifier("resnet18", weights, freeze_batch_norm=False, n_epochs=1, random_state=0)
    tuned.fit([images.images[row] for row in picks], images.y[picks])
    assert results[0, line, 8] == pytest.approx([tuned.score(test, test.y)])

    table = replace(TABLES["10"], panels=TABLES["10"].panels[:1], methods=("K-means",))
    of_10 = TableRun(table, Settings(datasets, output, weights, **settings))
    dataset, (line,) = table.panels[0].dataset, table.lines()
    images, test = (of_10.load_images(dataset, split) for split in ("train", "test"))
    picks = KMeansSampler(8, random_state=0).fit_select(of_10.embed(dataset, "train", line.selection_backbone).pool.X)
    matched = FixMatchClassifier(n_steps=2, batch_size=2, image_size=32, image_transform="cifar10", random_state=0)
    matched.fit(images.images[picks], images.y[picks], X_pool=images)
    assert of_10.run()[0, line, 8] == pytest.approx([matched.score(test, test.y)])


def test_a_dry_run_says_what_is_to_do_and_does_nothing(datasets, weights, tmp_path):
    before = run(*command("1", datasets, weights, tmp_path, "--dry-run"))
    assert before.exit_code == 0, before.output
    assert not list(tmp_path.iterdir())
    assert "there, 40" in before.output
    assert "14 of 14 selections to make" in before.output
    assert "In all about" in before.output
    assert run(*command("1", datasets, weights, tmp_path)).exit_code == 0
    after = run(*command("1", datasets, weights, tmp_path, "--dry-run"))
    assert "0 of 14 selections to make" in after.output
    assert after.output.count("0 of 14 cells to compute") == 2
    assert after.output.count(": finished") == 2


def test_a_dry_run_without_data_says_what_is_needed(tmp_path):
    planned = run("9", "--data", tmp_path / "nowhere", "--dry-run")
    assert planned.exit_code == 0
    for needed in ("imagelabels.mat", "dtd/labels/train1.txt", "variants.txt", "--weights FILE"):
        assert needed in planned.output
