"""Long jobs: written block by block, killed, gone on with, and never mixed."""

import json
import multiprocessing
import os
import runpy
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from skal.features import TorchFeatureExtractor, _embedding_file, _lock
from skal.features._loading import read_batches
from skal.features._preparation import Preparation
from skal.features._sources import FileImages

JOB = Path(__file__).with_name("killed_job.py")


class Interrupted(Exception):
    pass


class Patches(torch.nn.Module):
    """The backbone of the other tests."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


class OtherPatches(Patches):
    def forward(self, x):
        return -super().forward(x)


@contextmanager
def before_batch(number, do):
    """Do something before the n-th batch, by a function of torch's: nothing that a job is known by changes."""
    pool, n_batches = torch.nn.functional.adaptive_avg_pool2d, 0

    def watched(x, size):
        nonlocal n_batches
        if n_batches == number:
            do()
        n_batches += 1
        return pool(x, size)

    torch.nn.functional.adaptive_avg_pool2d = watched
    try:
        yield
    finally:
        torch.nn.functional.adaptive_avg_pool2d = pool


def interrupt():
    raise Interrupted


def embed(images, output=None, stop_at=None, **parameters):
    parameters = {"backbone": Patches(), "batch_size": 4, "image_size": 8, **parameters}
    with before_batch(stop_at, interrupt):
        return TorchFeatureExtractor(**parameters).embed(images, output)


def interrupted(output, images, stop_at, **parameters):
    with pytest.raises(Interrupted):
        embed(images, output, stop_at, **parameters)
    return json.loads(Path(f"{output}.json").read_text())


def kill_ten_times(python, output, seed, *folder):
    command = [python, str(JOB), str(output), str(seed), *map(str, folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.slow
def test_killed_ten_times_and_finished_the_bytes_are_those_of_an_uninterrupted_run(tmp_path, warm_python):
    seed = secrets.randbelow(2**32)
    job = runpy.run_path(str(JOB))
    embeddings = job["embed"](job["arrays"](), tmp_path / "whole.npy").embeddings
    assert embeddings.shape == (4000, 48)
    attempts = kill_ten_times(warm_python, tmp_path / "killed.npy", seed)
    n_read = [attempt["n_read"] for attempt in attempts]
    assert [attempt["killed"] for attempt in attempts].count(True) >= 5, f"seed {seed}: {attempts}"
    assert n_read == sorted(n_read), f"seed {seed}: {attempts}"
    assert any(0 < n < 4000 for n in n_read), f"seed {seed}: {attempts}"
    assert (tmp_path / "killed.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes(), f"seed {seed}: {attempts}"
    assert not (tmp_path / "killed.npy.part").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.slow
def test_killed_ten_times_while_it_appends_nothing_is_lost_and_the_file_stays_readable(tmp_path, warm_python):
    seed, folder, later = secrets.randbelow(2**32), tmp_path / "photos", tmp_path / "later"
    job = runpy.run_path(str(JOB))
    n_first, n_all = 40, 2000
    for place in (folder, later):
        place.mkdir()
    for number, image in enumerate(job["arrays"]()[:n_all]):
        Image.fromarray(image).save((folder if number % 50 == 0 else later) / f"{number:05}.bmp")
    first = job["embed"](folder, tmp_path / "whole.npy").embeddings
    attempts = kill_ten_times(warm_python, tmp_path / "killed.npy", seed, folder, later)
    assert [attempt["killed"] for attempt in attempts].count(True) >= 5, f"seed {seed}: {attempts}"
    assert any(n_first < attempt["n_read"] < n_all for attempt in attempts), f"seed {seed}: {attempts}"
    assert {attempt["n_rows"] for attempt in attempts} <= {n_first, n_all}, f"seed {seed}: {attempts}"
    whole = job["embed"](folder, tmp_path / "whole.npy")
    np.testing.assert_array_equal(whole.embeddings[:n_first], first)
    for suffix in ("", ".paths.json"):
        killed, uninterrupted = (Path(f"{tmp_path / name}{suffix}") for name in ("killed.npy", "whole.npy"))
        assert killed.read_bytes() == uninterrupted.read_bytes(), f"seed {seed}: {attempts}"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_file_holds_what_would_be_returned_in_memory(dtype, files, tmp_path):
    output = tmp_path / "embeddings.npy"
    mapped = embed(files, output, dtype=dtype).embeddings
    in_memory = embed(files, None, dtype=dtype).embeddings
    assert isinstance(mapped, np.memmap)
    assert mapped.dtype == in_memory.dtype == dtype
    assert not mapped.flags.writeable
    np.testing.assert_array_equal(mapped, in_memory)
    np.save(tmp_path / "plain.npy", in_memory)
    assert output.read_bytes() == (tmp_path / "plain.npy").read_bytes()


@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_an_error_midway_costs_nothing_that_was_done(stop_at, arrays, tmp_path):
    output = tmp_path / "embeddings.npy"
    manifest = interrupted(output, arrays, stop_at)
    assert manifest["n_read"] == manifest["n_written"] == 4 * stop_at
    assert not output.exists()
    resumed = embed(arrays, output)
    np.testing.assert_array_equal(resumed.embeddings, embed(arrays).embeddings)
    np.testing.assert_array_equal(resumed.valid_indices, np.arange(23))


def test_a_finished_file_is_returned_without_a_pass(arrays, tmp_path):
    output = tmp_path / "embeddings.npy"
    first = embed(arrays, output).embeddings
    again = embed(arrays, output, stop_at=0).embeddings
    np.testing.assert_array_equal(first, again)


def other_images(arrays):
    changed = arrays.copy()
    changed[0, 0, 0, 0] ^= 255
    return changed


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"image_size": 9}, "image_transform.crop: 8 there, 9 now"),
        ({"image_transform": "cifar10"}, "image_transform"),
        ({"batch_size": 5}, "batch_size: 4 there, 5 now"),
        ({"dtype": "float16"}, "dtype: 'float32' there, 'float16' now"),
        ({"normalize": False}, "normalize: True there, False now"),
        ({"autocast": "bfloat16"}, "autocast: None there, 'bfloat16' now"),
        ({"backbone": OtherPatches()}, r"backbone.name: .*\.Patches' there, .*\.OtherPatches' now"),
    ],
)
@pytest.mark.parametrize("is_finished", [True, False])
def test_another_job_is_refused_not_mixed(change, named, is_finished, arrays, tmp_path):
    output = tmp_path / "embeddings.npy"
    if is_finished:
        embed(arrays, output)
    else:
        interrupted(output, arrays, 3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=rf"(?s)begun with something else.*{named}"):
        embed(arrays, output, **change)
    with pytest.raises(ValueError, match=r"(?s)begun with something else.*\nimages\.sha256: '\w+' there, '\w+' now$"):
        embed(other_images(arrays), output)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    embed(arrays, output)


def test_other_weights_are_refused(tmp_path, rng):
    arrays, output = rng.integers(0, 256, size=(5, 32, 32, 3), dtype=np.uint8), tmp_path / "embeddings.npy"
    with pytest.warns(UserWarning, match="random weights"):
        TorchFeatureExtractor(random_state=0).embed(arrays, output)
    with (
        pytest.warns(UserWarning, match="random weights"),
        pytest.raises(ValueError, match=r"What differs:\nweights_sha256: '\w+' there, '\w+' now$"),
    ):
        TorchFeatureExtractor(random_state=1).embed(arrays, output)


def test_files_that_changed_are_refused(files, tmp_path):
    output = tmp_path / "embeddings.npy"
    assert interrupted(output, files, 3)["n_read"] == 12
    Image.new("RGB", (9, 9)).save(files[11])
    with pytest.raises(ValueError, match="whose sizes or times have changed since"):
        embed(files, output)


def test_a_file_that_is_replaced_while_its_batch_runs_is_noticed(files, tmp_path):
    output = tmp_path / "embeddings.npy"
    with before_batch(2, lambda: Image.new("RGB", (9, 9)).save(files[9])):
        embed(files, output, num_workers=0)
    with pytest.raises(ValueError, match="whose sizes or times have changed since"):
        embed(files, output)


def test_a_file_may_be_repaired_before_it_is_read(files, tmp_path):
    output, whole = tmp_path / "embeddings.npy", files[20].read_bytes()
    files[20].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=files[20].name):
        embed(files, output)
    files[20].write_bytes(whole)
    resumed = embed(files, output, stop_at=3)  # three batches are left, so the fourth is never reached
    np.testing.assert_array_equal(resumed.embeddings, embed(files).embeddings)


@pytest.mark.slow
def test_an_interruption_between_any_two_lines_of_a_step_loses_nothing(files, tmp_path):
    files = files[:11]  # three steps
    Image.new("RGB", (1, 1)).save(files[9], format="BMP")
    files[9].write_bytes(files[9].read_bytes()[:20])
    with pytest.warns(UserWarning, match="1 of 11 images were left out"):
        expected = embed(files, on_error="skip", num_workers=0)
    code, n_lines = _embedding_file.EmbeddingFile.append.__code__, 0
    for at in range(100):
        output, seen = tmp_path / f"{at}.npy", [0]

        def stop(frame, event, argument, at=at, seen=seen):
            if frame.f_code is code and event == "line":
                seen[0] += 1
                if seen[0] == at + 1:
                    raise KeyboardInterrupt
            return stop

        sys.settrace(stop)
        try:
            with pytest.warns(UserWarning, match="left out"):
                embed(files, output, on_error="skip", num_workers=0)
            break
        except KeyboardInterrupt:
            n_lines += 1
        finally:
            sys.settrace(None)
        with pytest.warns(UserWarning, match="left out"):
            resumed = embed(files, output, on_error="skip", num_workers=0)
        np.testing.assert_array_equal(resumed.embeddings, expected.embeddings)
        np.testing.assert_array_equal(resumed.valid_indices, expected.valid_indices)
    assert n_lines > 20


def test_a_manifest_whose_rows_are_gone_vouches_for_nothing(arrays, tmp_path, monkeypatch):
    output = tmp_path / "embeddings.npy"
    interrupted(output, arrays, 3)
    Path(f"{output}.part").unlink()
    stale = Path(f"{output}.json").read_text()
    with pytest.raises(Interrupted):
        embed(arrays, output, 0, normalize=False)
    assert Path(f"{output}.json").read_text() == stale  # nothing was begun yet
    # As if killed before the first checkpoint.
    monkeypatch.setattr(_embedding_file.EmbeddingFile, "_checkpoint", lambda self: None)
    with pytest.raises(Interrupted):
        embed(arrays, output, 2, normalize=False)
    monkeypatch.undo()
    assert not Path(f"{output}.json").exists()
    np.testing.assert_array_equal(embed(arrays, output).embeddings, embed(arrays).embeddings)


def test_a_dataset_with_other_items_is_refused(tmp_path):
    items = torch.rand(23, 3, 8, 8)
    output = tmp_path / "embeddings.npy"
    interrupted(output, torch.utils.data.TensorDataset(items), 3)
    with pytest.raises(ValueError, match=r"What differs:\nimages\.sha256: "):
        embed(torch.utils.data.TensorDataset(1 - items), output)
    assert embed(torch.utils.data.TensorDataset(items), output).embeddings.shape == (23, 12)


@pytest.mark.filterwarnings("ignore:.* images were left out:UserWarning")
@pytest.mark.parametrize("stop_at", [None, 1, 3, 4])
def test_what_was_skipped_before_the_stop_is_known_after_it(stop_at, files, tmp_path):
    output, bad = tmp_path / "embeddings.npy", [0, 4, 5, 6, 7, 22]
    for row in bad:
        files[row].write_bytes(b"torn")
    whole = embed(files, None, on_error="skip").embeddings
    if stop_at is not None:
        interrupted(output, files, stop_at, on_error="skip")
        with pytest.raises(ValueError, match=r"000\.png: not an image.*on_error='skip'"):
            embed(files, output)
    resumed = embed(files, output, on_error="skip")
    np.testing.assert_array_equal(resumed.embeddings, whole)
    np.testing.assert_array_equal(resumed.valid_indices, np.setdiff1d(np.arange(23), bad))
    assert resumed.paths == tuple(str(files[row]) for row in resumed.valid_indices)
    np.save(tmp_path / "plain.npy", whole)
    assert output.read_bytes() == (tmp_path / "plain.npy").read_bytes()


def test_a_job_that_met_a_bad_image_goes_on_with_skip(files, tmp_path):
    output = tmp_path / "embeddings.npy"
    files[9].write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"009\.png: not an image"):
        embed(files, output)
    assert json.loads(Path(f"{output}.json").read_text())["n_read"] == 8
    with pytest.warns(UserWarning, match=r"1 of 23 images were left out.*009\.png"):
        assert embed(files, output, on_error="skip").embeddings.shape == (22, 12)


def hold(output, images, is_writing, may_end, n_batches=0, num_workers=0):
    def wait():
        is_writing.set()
        may_end.wait(60)

    with before_batch(n_batches, wait):
        embed(images, output, num_workers=num_workers)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_job_killed_while_its_readers_read_can_be_run_again_at_once(files, tmp_path, monkeypatch):
    monkeypatch.setattr(_embedding_file, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    output = tmp_path / "embeddings.npy"
    fork = multiprocessing.get_context("fork")
    is_writing, may_end = fork.Event(), fork.Event()
    writer = fork.Process(target=hold, args=(output, files, is_writing, may_end, 3, 2))
    writer.start()
    assert is_writing.wait(60)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(60)
    assert json.loads(Path(f"{output}.json").read_text())["n_read"] == 12
    embeddings = embed(files, output).embeddings
    np.testing.assert_array_equal(embeddings, embed(files).embeddings)


def read_for_ever(files, pids):
    """Readers whose batches fill the pipe, because nobody takes them."""
    read = partial(FileImages([*files] * 40).read, of_image=Preparation(resize=64, crop=64).of_image)
    batches = read_batches(read, [range(start, start + 40) for start in range(0, 920, 40)], 2)
    next(batches)
    for child in multiprocessing.active_children():
        pids.put(child.pid)
    time.sleep(600)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_readers_end_with_the_job_they_read_for(files):
    fork = multiprocessing.get_context("fork")
    pids = fork.Queue()
    job = fork.Process(target=read_for_ever, args=(files, pids))
    job.start()
    readers = [pids.get(timeout=60) for _ in range(2)]
    time.sleep(1)
    os.kill(job.pid, signal.SIGKILL)
    job.join(60)
    for _ in range(100):
        if not any(is_running(reader) for reader in readers):
            return
        time.sleep(0.1)
    pytest.fail(f"readers {readers} outlive their job")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_second_writer_is_refused(arrays, tmp_path, monkeypatch):
    monkeypatch.setattr(_lock, "SECONDS_TO_WAIT", 0.1)
    fork = multiprocessing.get_context("fork")
    is_writing, may_end = fork.Event(), fork.Event()
    writer = fork.Process(target=hold, args=(tmp_path / "embeddings.npy", arrays, is_writing, may_end))
    writer.start()
    try:
        assert is_writing.wait(60)
        with pytest.raises(RuntimeError, match=r"Another process is writing to .*embeddings\.npy"):
            embed(arrays, tmp_path / "embeddings.npy")
    finally:
        may_end.set()
        writer.join(60)
    assert writer.exitcode == 0
    assert np.load(tmp_path / "embeddings.npy").shape == (23, 12)


def test_files_that_nothing_explains(arrays, tmp_path):
    output = tmp_path / "embeddings.npy"
    np.save(output, np.zeros(3))
    with pytest.raises(ValueError, match=r"without embeddings\.npy\.json nothing says what is in it"):
        embed(arrays, output)
    assert np.load(output).shape == (3,)
    with pytest.raises(ValueError, match=r"must end in \.npy"):
        embed(arrays, tmp_path / "embeddings.bin")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        embed(arrays, tmp_path / "nowhere" / "embeddings.npy")


def test_damage_is_found(arrays, tmp_path):
    output = tmp_path / "embeddings.npy"
    manifest, part = tmp_path / "embeddings.npy.json", tmp_path / "embeddings.npy.part"
    interrupted(output, arrays, 4)
    whole = part.read_bytes()
    part.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"has \d+ bytes, but embeddings\.npy\.json counts 16 rows of 48 bytes"):
        embed(arrays, output)
    part.write_bytes(whole)
    content = manifest.read_text()
    manifest.write_text(content[:-10])
    with pytest.raises(ValueError, match=r"embeddings\.npy\.json is damaged"):
        embed(arrays, output)
    manifest.write_text(content.replace('"format": 2', '"format": 99'))
    with pytest.raises(ValueError, match="is of format 99; this version reads 2"):
        embed(arrays, output)
    manifest.write_text(content)
    part.unlink()
    assert embed(arrays, output).embeddings.shape == (23, 12)


class Flattens(torch.nn.Module):
    def forward(self, x):
        return x.flatten(1)


@pytest.mark.parametrize("is_finished_before", [True, False])
@pytest.mark.parametrize("to_disk", [True, False])
def test_embeddings_of_another_length_are_refused_not_cut(to_disk, is_finished_before, files, tmp_path):
    output = tmp_path / "embeddings.npy" if to_disk else None
    Image.new("RGB", (9, 9)).save(files[20])
    parameters = {"backbone": Flattens(), "image_size": None, "image_transform": None, "batch_size": 1}
    if to_disk and is_finished_before:
        assert embed(files[:20], output, **parameters).embeddings.shape == (20, 360)
    with pytest.raises(ValueError, match=r"embedding of .*020\.png has length 243, and those before it have 360\. "):
        embed(files, output, **parameters)
    if to_disk and is_finished_before:
        np.testing.assert_array_equal(np.load(output), embed(files[:20], **parameters).embeddings)


def test_embeddings_of_another_length_than_fit_found_are_refused(arrays):
    extractor = TorchFeatureExtractor(Flattens(), image_transform=None).fit(arrays[:, :8])
    with pytest.raises(ValueError, match="has length 360, and fit found 288"):
        extractor.transform(arrays)
    assert extractor.fit(arrays).transform(arrays).shape == (23, 360)


def with_manifest(output, **changes):
    path = Path(f"{output}.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {"n_features": 13},
        {"n_features": 0},
        {"n_features": -12},
        {"n_features": 12.0},
        {"n_features": None},
        {"n_features": True},
        {"n_read": 24},
        {"n_read": 11},
        {"n_read": "12"},
        {"n_written": 3},
        {"n_images": 2},
        {"marks": "x"},
        {"refused": {"3": ["gone", 0]}},
        {"refused": {"99": ["gone", 0]}},
        {"refused": {"three": ["gone", 0]}},
        {"refused": {"3": "gone"}},
        {"refused": [3]},
        {"identity": None},
        {"identity": []},
    ],
    ids=str,
)
def test_a_manifest_that_is_wrong_is_refused_and_nothing_is_lost(changes, is_finished, arrays, tmp_path):
    output = tmp_path / "embeddings.npy"
    if is_finished:
        embed(arrays, output)
    else:
        interrupted(output, arrays, 3)
    good = Path(f"{output}.json").read_text()
    with_manifest(output, **changes)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"is damaged|begun with something else|to start again"):
        embed(arrays, output)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    Path(f"{output}.json").write_text(good)
    np.testing.assert_array_equal(embed(arrays, output).embeddings, embed(arrays).embeddings)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"null", b"3", b'{"format": 2}', b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(content, arrays, tmp_path):
    output = tmp_path / "embeddings.npy"
    interrupted(output, arrays, 3)
    Path(f"{output}.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"embeddings\.npy\.json is damaged; remove it"):
        embed(arrays, output)


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize("at", [0, 7, 9, 20, 64, 100])
def test_a_damaged_head_is_refused(at, is_finished, arrays, tmp_path):
    output = tmp_path / "embeddings.npy"
    if is_finished:
        embed(arrays, output)
    else:
        interrupted(output, arrays, 3)
    present = output if is_finished else Path(f"{output}.part")
    content = bytearray(present.read_bytes())
    content[at] ^= 3
    present.write_bytes(content)
    with pytest.raises(ValueError, match=r"does not begin as embeddings\.npy\.json says, with rows of 12 float32"):
        embed(arrays, output)


def test_no_lock_is_left_behind(arrays, tmp_path):
    interrupted(tmp_path / "a.npy", arrays, 3)
    embed(arrays, tmp_path / "b.npy")
    names = {"a.npy.part", "a.npy.json", "b.npy", "b.npy.json"}
    assert {path.name for path in tmp_path.iterdir()} == names


def enter_many_times(path, n_rounds, results):
    """Count how often somebody else was inside."""
    n_met, inside = 0, path.with_name("inside")
    for _ in range(n_rounds):
        lock = _lock.WriterLock(path)
        lock.acquire()
        try:
            inside.touch(exist_ok=False)
            time.sleep(0.03)
            inside.rename(path.with_name("outside"))
        except FileExistsError:
            n_met += 1
        lock.release()
    results.put(n_met)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lock_that_is_removed_still_keeps_others_out(tmp_path, monkeypatch):
    unlink = os.unlink

    def slow_unlink(path):  # so that somebody waits for the file that goes
        time.sleep(0.06)
        unlink(path)

    monkeypatch.setattr(os, "unlink", slow_unlink)
    monkeypatch.setattr(_lock, "SECONDS_TO_WAIT", 120.0)
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    jobs = [fork.Process(target=enter_many_times, args=(tmp_path / "x.npy", 8, results)) for _ in range(4)]
    for job in jobs:
        job.start()
    assert [results.get(timeout=120) for _ in jobs] == [0] * 4
    for job in jobs:
        job.join(60)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
