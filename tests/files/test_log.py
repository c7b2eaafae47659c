"""Nothing that was acknowledged is lost or doubled, whatever happens."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal._files._log import AppendLog, read_log

JOB = Path(__file__).with_name("appending_job.py")


def open_log(path, **more):
    return AppendLog(path, format="numbers 1", **more)


def fill(path, n_entries=3):
    with open_log(path, belongs_to={"pool": "3f2a"}) as log:
        for number in range(n_entries):
            log.append({"number": number})


def numbers_in(path):
    return [entry["number"] for entry in read_log(path, format="numbers 1")[1]]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


def start_job(path, name, n_entries):
    command = [sys.executable, JOB, path, name, str(n_entries)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_entries_come_back_in_order_and_may_be_added_to(path):
    with open_log(path) as log:
        log.append({"label": "größer", "score": float("nan"), "picks": [1, 2]})
        log.extend([{"number": 1}, {}])
        assert [*log][1:] == [{"number": 1}, {}]
    with open_log(path) as log:
        first, *others = log
        log.append({"number": 2})
    assert first["label"] == "größer"
    assert first["score"] != first["score"]
    assert first["picks"] == [1, 2]
    assert others == [{"number": 1}, {}]
    belongs_to, entries = read_log(path, format="numbers 1")
    assert belongs_to == {}
    assert entries[1:] == [{"number": 1}, {}, {"number": 2}]
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.slow
def test_twenty_kills_lose_and_double_nothing(path, rng):
    acknowledged = []
    for _ in range(20):
        with start_job(path, "one", 10**9) as job:
            acknowledged.append(int(job.stdout.readline()))  # it is past its imports
            time.sleep(rng.uniform(0, 0.03))
            job.kill()
            acknowledged += [int(line) for line in job.stdout if line.endswith("\n")]
    assert job.returncode == -signal.SIGKILL
    found = numbers_in(path)
    assert found == list(range(len(found)))
    assert acknowledged == sorted(set(acknowledged))
    assert set(acknowledged) <= set(found)
    assert len(found) - len(acknowledged) <= 20  # those that were on disk but could not be said any more
    assert len(acknowledged) > 40


def test_two_processes_at_once_lose_nothing(path):
    with start_job(path, "one", 50) as one, start_job(path, "other", 50) as other:
        assert [job.wait() for job in (one, other)] == [0, 0]
    entries = read_log(path, format="numbers 1")[1]
    for name in ("one", "other"):
        assert [entry["number"] for entry in entries if entry["of"] == name] == list(range(50))


class WritingByteByByte:
    """A file that lets other threads in between two bytes."""

    def __init__(self, file):
        self.file, self.closed = file, False
        self.truncate, self.fileno, self.close = file.truncate, file.fileno, file.close

    def write(self, content):
        time.sleep(0)
        return self.file.write(content[:1])


def test_threads_may_append(path):
    with open_log(path) as log:
        log._file = WritingByteByByte(log._file)
        threads = [
            threading.Thread(target=lambda: [log.append({"number": number}) for number in range(20)]) for _ in range(4)
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert sorted(numbers_in(path)) == sorted(4 * list(range(20)))


def test_a_log_that_is_open_elsewhere_is_refused_and_can_be_read(path):
    with open_log(path) as log:
        log.append({"number": 7})
        with pytest.raises(RuntimeError, match=r"log\.jsonl is open for writing elsewhere"):
            open_log(path)
        assert numbers_in(path) == [7]
    with open_log(path) as log:
        assert [*log] == [{"number": 7}]


def test_what_a_kill_left_of_the_last_line_is_cut_off_at_every_byte(path):
    fill(path)
    whole = path.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for n_bytes in range(start, len(whole)):
        path.write_bytes(whole[:n_bytes])
        assert numbers_in(path) == [0, 1]
        with open_log(path) as log:
            assert [entry["number"] for entry in log] == [0, 1]
            log.append({"number": 2})
        assert path.read_bytes() == whole


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=6,
)
BATCHES = st.lists(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4), max_size=6)


@given(batches=BATCHES, reopens=st.lists(st.booleans(), min_size=6, max_size=6), share=st.floats(0, 1))
def test_any_entries_come_back_and_any_cut_leaves_the_first_of_them(batches, reopens, share):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        log = open_log(path)
        for batch, reopen in zip(batches, reopens, strict=False):
            log.extend(batch)
            if reopen:
                log.close()
                log = open_log(path)
        log.close()
        entries = [entry for batch in batches for entry in batch]
        assert read_log(path, format="numbers 1")[1] == entries
        whole = path.read_bytes()
        n_header = whole.index(b"\n") + 1
        path.write_bytes(whole[: n_header + round(share * (len(whole) - n_header))])
        left = read_log(path, format="numbers 1")[1]
        assert left == entries[: len(left)]
        with open_log(path) as log:
            log.extend(entries[len(left) :])
        assert path.read_bytes() == whole


@given(numbers=st.lists(st.integers(), min_size=1, max_size=4), place=st.floats(0, 1), byte=st.integers(0, 255))
def test_any_other_byte_is_found_or_cuts_the_last_line(numbers, place, byte):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        with open_log(path) as log:
            log.extend({"number": number} for number in numbers)
        whole = bytearray(path.read_bytes())
        position = min(int(place * len(whole)), len(whole) - 1)
        is_same, whole[position] = whole[position] == byte, byte
        path.write_bytes(whole)
        message = ""
        try:
            found = numbers_in(path)
        except ValueError as error:
            message = str(error)
        is_refused = "damaged" in message or "is no 'numbers 1' log" in message
        assert is_refused or found == (numbers if is_same else numbers[:-1])


def test_every_flipped_bit_is_found(path):
    fill(path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        for bit in (1, 4, 128):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :])
            with pytest.raises(ValueError, match=r"damaged|is no 'numbers 1' log"), open_log(path) as log:
                list(log)


def test_a_damaged_line_is_named(path):
    fill(path)
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("1", "7", 1)
    path.write_text("\n".join(lines) + "\n")
    with open_log(path) as log, pytest.raises(ValueError, match=r"line 3 of .*log\.jsonl is damaged.*remove that line"):
        list(log)
    path.write_text("\n".join([*lines[:2], *lines[3:]]) + "\n")
    assert numbers_in(path) == [0, 2]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "no line at all", "{}\n", "[]\n", "\n"])
def test_other_files_are_refused_and_left_alone(content, path):
    path.write_text(content)
    for use in (open_log, lambda path: read_log(path, format="numbers 1")):
        with pytest.raises(ValueError, match=r"log\.jsonl exists and is no 'numbers 1' log"):
            use(path)
        assert path.read_text() == content


def test_another_format_and_another_owner_are_named(path):
    fill(path)
    with pytest.raises(ValueError, match="holds 'numbers 1', not 'words 1'"):
        AppendLog(path, format="words 1")
    for use in (open_log, lambda path, **more: read_log(path, format="numbers 1", **more)):
        with pytest.raises(ValueError, match=r"was written for other pool \(it says pool 3f2a; asked for is pool 77\)"):
            use(path, belongs_to={"pool": "77"})
    with open_log(path) as log:
        assert log.belongs_to == {"pool": "3f2a"}
    with open_log(path, belongs_to={"pool": "3f2a"}) as log:
        assert len([*log]) == 3


def test_an_empty_file_becomes_a_log(path):
    path.touch()
    fill(path)
    assert numbers_in(path) == [0, 1, 2]


@pytest.mark.parametrize("n_bytes_written", [0, 1, 30, None])
def test_a_full_disk_is_said_and_the_log_goes_on(n_bytes_written, path, monkeypatch):
    fill(path)
    before = path.read_bytes()

    def full_disk(*args):
        raise OSError(28, "No space left on device")

    with open_log(path) as log:
        with monkeypatch.context() as patch:
            if n_bytes_written is None:
                patch.setattr("os.fsync", full_disk)
            else:
                patch.setattr(log, "_file", FillingUp(log._file, n_bytes_written))
            with pytest.raises(OSError, match=r"No space left on device: .*log\.jsonl"):
                log.append({"number": 3})
        assert path.read_bytes() == before
        log.append({"number": 4})
    assert numbers_in(path) == [0, 1, 2, 4]


class FillingUp:
    """A file on a disk that has room for some more bytes."""

    def __init__(self, file, n_bytes):
        self.file, self.n_bytes, self.closed = file, n_bytes, False
        self.truncate, self.fileno = file.truncate, file.fileno

    def write(self, content):
        if self.n_bytes == 0:
            raise OSError(28, "No space left on device")
        written, self.n_bytes = self.file.write(content[: self.n_bytes]), 0
        return written


def test_entries_that_json_does_not_know_leave_the_log_as_it_is(path):
    with open_log(path) as log:
        with pytest.raises(TypeError, match="JSON"):
            log.extend([{"number": 0}, {"number": object()}])
        log.append({"number": 1})
        with pytest.raises(TypeError, match="dict"):
            log.append(["number"])
    assert numbers_in(path) == [1]


def test_a_closed_log_takes_nothing(path):
    log = open_log(path)
    log.close()
    log.close()
    with pytest.raises(RuntimeError, match="is closed; open it again"):
        log.append({})


def test_each_entry_is_on_disk_when_append_returns(path, monkeypatch):
    n_synced, fsync = [0], os.fsync

    def count(descriptor):
        n_synced[0] += 1
        fsync(descriptor)

    with open_log(path) as log:
        monkeypatch.setattr("os.fsync", count)
        log.append({})
        assert n_synced == [1]
        log.extend([{}, {}])
        assert n_synced == [2]


@contextlib.contextmanager
def without_rights():
    """Let root be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file_and_folder_are_said():
    with tempfile.TemporaryDirectory() as folder:  # others may look into it, unlike tmp_path
        path = Path(folder, "log.jsonl")
        fill(path)
        path.chmod(0o444)
        path.with_name("log.jsonl.lock").chmod(0o666)
        Path(folder).chmod(0o755)
        with without_rights():
            with pytest.raises(PermissionError, match=r"log\.jsonl'"):
                open_log(path)
            assert numbers_in(path) == [0, 1, 2]
            with pytest.raises(PermissionError, match=r"its folder must be writable.*other\.jsonl'"):
                open_log(path.with_name("other.jsonl"))
        with open_log(path) as log:
            assert len([*log]) == 3


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_log(tmp_path / "nowhere" / "log")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_log(tmp_path / "nowhere", format="numbers 1")
