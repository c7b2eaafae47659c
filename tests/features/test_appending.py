"""Rows stay tied to files: photos that come later are appended, one that is gone is named."""

import json
import os
import secrets
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from skal.features import TorchFeatureExtractor, _embedding_file
from skal.features._kept_rows import plan_rows
from skal.features._loading import Refusal


class Interrupted(Exception):
    pass


@pytest.fixture
def n_embedded(monkeypatch):
    """Images that went through the backbone; set to a negative number, that many may."""
    counter, pool = [0], torch.nn.functional.adaptive_avg_pool2d

    def counting(x, size):
        counter[0] += len(x)
        if counter[0] == 0:
            raise Interrupted
        return pool(x, size)

    monkeypatch.setattr(torch.nn.functional, "adaptive_avg_pool2d", counting)
    return counter


@pytest.fixture
def photos(files):
    """A folder of twelve photos, and eleven that come later, by name between and behind them."""
    folder, later = files[0].parent, files[0].parent.parent / "later"
    later.mkdir()
    for path in (*files[1::2], files[22]):
        path.rename(later / path.name)
    return folder, later


def embed(folder, output, backbone, **parameters):
    return TorchFeatureExtractor(backbone, batch_size=4, image_size=8, **parameters).embed(folder, output)


def assert_rows_are_of_their_files(embedded, folder, backbone):
    passed = sorted(path.as_posix() for path in folder.iterdir())
    assert embedded.paths == tuple(passed[position] for position in embedded.valid_indices)
    alone = [embed([path], None, backbone).embeddings[0] for path in embedded.paths]
    np.testing.assert_allclose(embedded.embeddings, alone, rtol=1e-5, atol=1e-6)


def test_photos_that_come_later_are_appended_and_only_they_are_embedded(photos, backbone, tmp_path, n_embedded):
    (folder, later), output = photos, tmp_path / "photos.npy"
    before = embed(folder, output, backbone)
    rows, n_embedded[0] = np.array(before.embeddings), 0
    shutil.copytree(later, folder, dirs_exist_ok=True)
    after = embed(folder, output, backbone)
    assert n_embedded[0] == 12
    assert after.embeddings.shape == (23, 12)
    np.testing.assert_array_equal(after.embeddings[:11], rows)
    assert after.paths[:11] == before.paths
    assert_rows_are_of_their_files(after, folder, backbone)
    np.save(tmp_path / "plain.npy", after.embeddings)
    assert output.read_bytes() == (tmp_path / "plain.npy").read_bytes()
    assert json.loads(Path(f"{output}.paths.json").read_text()) == list(after.paths)
    n_embedded[0] = 0
    np.testing.assert_array_equal(embed(folder, output, backbone).embeddings, after.embeddings)
    assert n_embedded[0] == 0


def test_what_was_mapped_before_stays_readable_while_photos_are_appended(photos, backbone, tmp_path, n_embedded):
    (folder, later), output = photos, tmp_path / "photos.npy"
    mapped = embed(folder, output, backbone).embeddings
    rows = np.array(mapped)
    shutil.copytree(later, folder, dirs_exist_ok=True)
    n_embedded[0] = -8
    with pytest.raises(Interrupted):
        embed(folder, output, backbone)
    np.testing.assert_array_equal(mapped, rows)
    np.testing.assert_array_equal(np.load(output), rows)
    n_embedded[0] = 0
    after = embed(folder, output, backbone)
    assert n_embedded[0] == 8  # four were done before the interruption
    shutil.copytree(folder, tmp_path / "kept")
    np.testing.assert_array_equal(after.embeddings[:11], rows)
    assert_rows_are_of_their_files(after, folder, backbone)


def test_photos_that_come_while_a_job_is_unfinished(photos, backbone, tmp_path, n_embedded):
    (folder, later), output = photos, tmp_path / "photos.npy"
    n_embedded[0] = -8
    with pytest.raises(Interrupted):
        embed(folder, output, backbone)
    shutil.copytree(later, folder, dirs_exist_ok=True)
    after = embed(folder, output, backbone)
    first = sorted(path.as_posix() for path in folder.iterdir() if not (later / path.name).exists())
    assert list(after.paths[:4]) == first[:4]
    assert_rows_are_of_their_files(after, folder, backbone)


def test_photos_that_go_again_before_they_were_embedded_leave_no_trace(photos, backbone, tmp_path, n_embedded):
    (folder, later), output = photos, tmp_path / "photos.npy"
    content = np.array(embed(folder, output, backbone).embeddings)
    shutil.copytree(later, folder, dirs_exist_ok=True)
    n_embedded[0] = -4
    with pytest.raises(Interrupted):
        embed(folder, output, backbone)
    for path in later.iterdir():
        (folder / path.name).unlink()
    again = embed(folder, output, backbone)
    np.testing.assert_array_equal(again.embeddings, content)
    assert_rows_are_of_their_files(again, folder, backbone)


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_photo_that_is_gone_is_named(is_finished, photos, backbone, tmp_path, n_embedded):
    (folder, _), output = photos, tmp_path / "photos.npy"
    if is_finished:
        embed(folder, output, backbone)
    else:
        n_embedded[0] = -8
        with pytest.raises(Interrupted):
            embed(folder, output, backbone)
    gone = sorted(folder.iterdir())[1]
    gone.rename(tmp_path / "elsewhere.png")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("photos*")}
    with pytest.raises(
        ValueError, match=rf"rows of 1 files that were not passed now: {gone}\. Rows keep their numbers"
    ):
        embed(folder, output, backbone)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("photos*")} == before
    (tmp_path / "elsewhere.png").rename(gone)
    assert_rows_are_of_their_files(embed(folder, output, backbone), folder, backbone)


def test_a_photo_that_is_gone_before_it_was_embedded_does_no_harm(photos, backbone, tmp_path, n_embedded):
    (folder, _), output = photos, tmp_path / "photos.npy"
    n_embedded[0] = -8
    with pytest.raises(Interrupted):
        embed(folder, output, backbone)
    sorted(folder.iterdir())[-1].unlink()
    assert_rows_are_of_their_files(embed(folder, output, backbone), folder, backbone)


def test_a_photo_that_could_not_be_read_may_go_or_be_repaired(photos, backbone, tmp_path):
    (folder, later), output = photos, tmp_path / "photos.npy"
    passed = sorted(folder.iterdir())
    whole = passed[2].read_bytes()
    for path in (passed[2], passed[5]):
        path.write_bytes(b"torn")
    with pytest.warns(UserWarning, match=r"2 of 11 images were left out.*004\.png.*010\.png"):
        before = embed(folder, output, backbone, on_error="skip")
    passed[5].unlink()
    with pytest.warns(UserWarning, match=r"1 of 10 images were left out.*: [^;]*004\.png[^;]*$"):
        embed(folder, output, backbone, on_error="skip")
    passed[2].write_bytes(whole)
    after = embed(folder, output, backbone)
    assert after.paths == (*before.paths, passed[2].as_posix())
    assert_rows_are_of_their_files(after, folder, backbone)
    shutil.copytree(later, folder, dirs_exist_ok=True)
    assert_rows_are_of_their_files(embed(folder, output, backbone), folder, backbone)


def test_a_photo_is_passed_once(photos, backbone, tmp_path):
    paths = sorted(photos[0].iterdir())
    with pytest.raises(ValueError, match=r"000\.png is passed twice, at positions 0 and 11; .* pass it once"):
        embed([*paths, paths[0]], tmp_path / "photos.npy", backbone)
    assert embed([*paths, paths[0]], None, backbone).embeddings.shape == (12, 12)


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff", b"[3]", None])
def test_a_list_of_paths_that_is_damaged_is_refused(content, photos, backbone, tmp_path):
    folder, output = photos[0], tmp_path / "photos.npy"
    embed(folder, output, backbone)
    listed = Path(f"{output}.paths.json")
    good = listed.read_bytes()
    listed.unlink() if content is None else listed.write_bytes(content)
    with pytest.raises(ValueError, match=r"photos\.npy\.paths\.json is"):
        embed(folder, output, backbone)
    listed.write_bytes(good)
    embed(folder, output, backbone)


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_names_of_any_bytes_and_lines_are_kept(photos, backbone, tmp_path):
    folder, output = photos[0], tmp_path / "photos.npy"
    for name in ("a b\nc.png", "ü – 鬼.png", os.fsdecode(b"\xff\xfe.png"), '"quoted\\".png'):
        Image.new("RGB", (9, 9), len(name)).save(folder / "new.png")
        (folder / "new.png").rename(folder / name)
        embedded = embed(folder, output, backbone)
        assert embedded.paths[-1] == (folder / name).as_posix()
    assert_rows_are_of_their_files(embedded, folder, backbone)


def test_a_plan_by_a_plain_rule(rng):
    """Whatever happened before: rows that are there keep their places, and every other file comes once, at the end."""
    for _ in range(300):
        marks = {f"{number}.png": int(rng.integers(3)) for number in range(8)}
        read, refused = [], {}
        for row in range(rng.integers(10)):
            embedded = {path for each, path in enumerate(read) if each not in refused}
            choices = sorted(marks.keys() - embedded)
            if not choices:
                break
            read.append(choices[rng.integers(len(choices))])
            if rng.random() < 0.4:
                refused[row] = Refusal("torn", int(rng.integers(3)))
        embedded = {path for row, path in enumerate(read) if row not in refused}
        others = [path for path in marks if path not in embedded and rng.random() < 0.7]
        passed = rng.permutation([*embedded, *others]).tolist()
        plan = plan_rows(passed, read, refused, marks.__getitem__)
        assert list(plan.paths[: len(read)]) == read
        rows = [row for row in range(len(plan.paths)) if row not in refused]
        assert len({plan.paths[row] for row in rows}) == len(rows)
        waited_for = [row for row in range(len(plan.paths)) if plan.positions[row] >= 0]
        assert sorted(plan.paths[row] for row in waited_for) == sorted(passed)
        assert all(plan.paths[row] == passed[plan.positions[row]] for row in waited_for)
        assert all(refused[row].mark == marks[plan.paths[row]] for row in waited_for if row in refused)


class Everywhere:
    """Interrupts at the n-th line that runs in a file."""

    def __init__(self, file, at):
        self.file, self.at, self.n_lines = file, at, 0

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename != self.file:
            return None
        if event == "line":
            self.n_lines += 1
            if self.n_lines == self.at:
                raise KeyboardInterrupt
        return self


# Where the file itself was about to be closed, Python does it.
@pytest.mark.filterwarnings("ignore:.*FileIO:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_an_interruption_at_any_line_while_it_appends_loses_nothing(photos, backbone, tmp_path):
    (folder, later), begun = photos, tmp_path / "begun"
    for path in (*sorted(folder.iterdir())[4:], *sorted(later.iterdir())[4:]):
        path.unlink()
    begun.mkdir()
    first = np.array(embed(folder, begun / "photos.npy", backbone).embeddings)
    shutil.copytree(later, folder, dirs_exist_ok=True)
    whole = np.array(embed(folder, None, backbone).embeddings)
    for at in range(1 + secrets.randbelow(3), 1000, 3):  # a third of them, others each time
        job = tmp_path / str(at)
        shutil.copytree(begun, job)
        output, tracer = job / "photos.npy", Everywhere(_embedding_file.__file__, at)
        sys.settrace(tracer)
        try:
            embed(folder, output, backbone)
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert np.load(output).shape in ((4, 12), (8, 12)), at
        np.testing.assert_array_equal(np.load(output)[:4], first)
        embedded = embed(folder, output, backbone)
        np.testing.assert_allclose(embedded.embeddings, whole[embedded.valid_indices], rtol=1e-5, atol=1e-6)
        np.save(job / "plain.npy", embedded.embeddings)
        assert output.read_bytes() == (job / "plain.npy").read_bytes()
        assert {path.name for path in job.iterdir()} <= {
            "photos.npy", "photos.npy.json", "photos.npy.paths.json", "photos.npy.lock", "plain.npy",
        }  # fmt: skip
        shutil.rmtree(job)
    assert 60 < at < 999
