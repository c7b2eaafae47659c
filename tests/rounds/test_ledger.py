"""The ledger: what it knows, what it refuses, and that nothing acknowledged is lost."""

import copy
import os
import pickle
import resource
import signal
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal.rounds import Answer, Ledger, SetAside


@pytest.fixture
def closing():
    """Closes at the end what a test has opened."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path, closing):
    """A ledger of 100 rows."""
    path = None if request.param == "memory" else tmp_path / "labels.jsonl"
    return closing.enter_context(Ledger(path, n_samples=100))


@pytest.fixture
def opened_again(closing):
    """Give the same ledger as whoever comes next sees it."""

    def open_again(ledger):
        if ledger.path is None:
            return pickle.loads(pickle.dumps(ledger))
        ledger.close()
        return closing.enter_context(Ledger(ledger.path))

    return open_again


def views(ledger):
    labels = ledger.labels
    return {
        "n_samples": ledger.n_samples, "fingerprint": ledger.fingerprint, "rounds": ledger.rounds,
        "labeled": ledger.labeled_indices.tolist(), "labels": labels.tolist(), "dtype": labels.dtype,
        "pending": ledger.pending.tolist(), "skipped": ledger.skipped.tolist(), "history": ledger.history,
        "unread": ledger.unread, "held out": ledger.held_out.tolist(),
    }  # fmt: skip


def test_what_a_ledger_knows(ledger, opened_again):
    assert ledger.ask([7, 3, 50], sampler="KMeansSampler(budget=3)").number == 1
    ledger.answer(3, "cat", annotator="Ada", source="page", seconds=np.float32(1.5))
    ledger.set_aside(50, "blurred", annotator="Ada")
    ledger.answer([20, 10], ["dog", "cat"], source="import")  # never asked
    for seen in (ledger, opened_again(ledger)):
        assert seen.labeled_indices.tolist() == [3, 20, 10]
        assert seen.labels.tolist() == ["cat", "dog", "cat"]
        assert seen.pending.tolist() == [7]
        assert seen.skipped.tolist() == [50]
        (asked,) = seen.rounds
        assert (asked.number, asked.rows, asked.size, asked.sampler) == (1, (7, 3, 50), 3, "KMeansSampler(budget=3)")
        first = seen.current(3)
        assert (first.label, first.annotator, first.source, first.seconds) == ("cat", "Ada", "page", 1.5)
        assert first.time.tzinfo is not None
        assert asked.time <= first.time
        assert (seen.current(50).reason, seen.current(50).annotator, seen.current(7)) == ("blurred", "Ada", None)
        assert {row: label for row, label in enumerate(seen.y()) if label} == {3: "cat", 20: "dog", 10: "cat"}
        assert seen.y().shape == (100,)


def test_a_correction_replaces_and_undo_brings_back(ledger, opened_again):
    ledger.ask([5, 6])
    ledger.answer(5, 1)
    ledger.answer(6, 2)
    ledger.answer(5, 3)
    ledger.set_aside(6, "cannot tell after all")
    assert (ledger.labeled_indices.tolist(), ledger.labels.tolist(), ledger.skipped.tolist()) == ([5], [3], [6])
    assert ledger.undo().reason == "cannot tell after all"
    assert ledger.undo(5).label == 3
    ledger = opened_again(ledger)
    assert (ledger.labels.tolist(), ledger.skipped.tolist()) == ([1, 2], [])
    assert ledger.undo().row == 6
    assert ledger.undo().row == 5
    assert ledger.pending.tolist() == [5, 6]
    assert [type(each) for each in ledger.history] == [Answer, Answer, Answer, SetAside]
    with pytest.raises(ValueError, match="nothing to undo"):
        ledger.undo()
    with pytest.raises(ValueError, match="nothing to undo for row 5"):
        ledger.undo(5)


def test_several_rows_are_taken_back_at_once_or_none(ledger, opened_again):
    ledger.answer([5, 6, 7], [1, 2, 3])
    ledger.answer(6, 4)
    with pytest.raises(ValueError, match="nothing to undo for row 8"):
        ledger.undo([5, 8])
    assert ledger.labels.tolist() == [1, 4, 3]
    assert [each.label for each in ledger.undo([6, 7])] == [4, 3]
    ledger = opened_again(ledger)
    assert (ledger.labeled_indices.tolist(), ledger.labels.tolist()) == ([5, 6], [1, 2])
    assert ledger.undo([]) == ()
    with pytest.raises(ValueError, match="more than once"):
        ledger.undo([5, 5])


def test_rows_asked_in_place_of_others_belong_to_the_round(ledger, opened_again):
    ledger.ask([1, 2], sampler="A")
    ledger.set_aside(2)
    assert ledger.ask([9], sampler="A", goes_on=True).rows == (1, 2, 9)
    ledger.ask([4], sampler="B")
    assert [(each.number, each.rows, each.size) for each in opened_again(ledger).rounds] == [
        (1, (1, 2, 9), 2),
        (2, (4,), 1),
    ]


WHAT = ["asked", "answer", "set aside", "undo"]


class PlainLedger:
    """The same in the plainest Python: a list of what was done, read from the start each time."""

    def __init__(self):
        self.done = []

    def standing(self):
        standing = []
        for what, row, value in self.done:
            if what == "undo":
                standing.pop(max(place for place, (_, other, _) in enumerate(standing) if other == row))
            elif what != "asked":
                standing.append((what, row, value))
        return standing

    def views(self):
        latest = {row: (what, value) for what, row, value in self.standing()}
        order = list(dict.fromkeys(row for what, row, _ in self.done if what != "undo"))
        asked = [row for what, row, _ in self.done if what == "asked"]
        labeled = [row for row in order if row in latest and latest[row][0] == "answer"]
        return {
            "labeled": labeled, "labels": [latest[row][1] for row in labeled],
            "pending": [row for row in asked if row not in latest],
            "skipped": [row for row in order if row in latest and latest[row][0] == "set aside"],
            "asked": asked,
        }  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_any_sequence_of_entries_is_the_plain_record(seed, ledger, opened_again):
    rng = np.random.default_rng(seed)
    steps = [(rng.choice(WHAT), int(rng.integers(12)), bool(rng.random() < 0.5)) for _ in range(80)]
    before = do_as_the_plain_record(ledger, steps)
    assert len(before["history"]) > 20
    assert views(opened_again(ledger)) == before


@given(steps=st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 5), st.booleans()), max_size=40))
def test_the_shortest_sequence_of_entries_is_the_plain_record_too(steps):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.jsonl"
        with Ledger(path, n_samples=100) as ledger:
            before = do_as_the_plain_record(ledger, steps)
        with Ledger(path) as ledger:
            assert views(ledger) == before


def do_as_the_plain_record(ledger, steps):
    """Take steps of what, row, and whether an undo is the last one's; return the views after them."""
    plain = PlainLedger()
    for value, (what, row, is_last) in enumerate(steps):
        known = plain.views()
        if what == "undo":
            if not plain.standing():
                continue
            standing = [each for _, each, _ in plain.standing()]
            row = standing[-1] if is_last else standing[row % len(standing)]
            assert ledger.undo(None if is_last else row).row == row
        elif what == "answer":
            ledger.answer(row, value)
        elif what == "set aside":
            ledger.set_aside(row)
        elif row in known["asked"] + known["labeled"] + known["skipped"]:
            with pytest.raises(ValueError, match=f"Row {row} was asked, labelled or set aside already"):
                ledger.ask([row])
            continue
        else:
            ledger.ask([row])
        plain.done.append((what, row, value))
        expected, found = plain.views(), views(ledger)
        assert [row for each in found["rounds"] for row in each.rows] == expected.pop("asked")
        assert {name: found[name] for name in expected} == expected
    return views(ledger)


@pytest.mark.parametrize(
    ("labels", "found", "dtype"),
    [
        ([3, np.int8(4), np.uint64(5), np.array(6)], [3, 4, 5, 6], np.int64),
        ([0.5, np.float32(0.25), np.float64(1)], [0.5, 0.25, 1.0], np.float64),
        ([1, 2.5], [1, 2.5], np.float64),
        ([True, np.False_], [True, False], np.bool_),
        (["ä", np.str_("猫\n")], ["ä", "猫\n"], np.dtype("<U2")),
        (["?", 3, True, 0.5], ["?", 3, True, 0.5], object),
        ([True, 1], [True, 1], object),
        ([2**70, -1], [2**70, -1], object),
        ([2**63, -1], [2**63, -1], object),
        ([2**53 + 1, 0.5], [2**53 + 1, 0.5], object),
        ([], [], np.int64),
    ],
)
def test_labels_keep_their_type(labels, found, dtype, ledger, opened_again):
    for row, label in enumerate(labels):
        ledger.answer(row, label)
    for seen in (ledger, opened_again(ledger)):
        assert seen.labels.dtype == dtype
        assert seen.labels.tolist() == found
        kept = [each.label for each in seen.history]
        assert [type(label) for label in kept] == [type(label) for label in found]


@pytest.mark.parametrize("label", [None, np.nan, np.float32("nan"), np.ma.masked])
def test_a_missing_label_is_no_label(label, ledger):
    with pytest.raises(ValueError, match=r"label of row 4 is missing; set_aside\(\)"):
        ledger.answer([3, 4], [1, label])
    assert len(ledger.labels) == 0


@pytest.mark.parametrize("label", [[1, 2], b"cat", 1j, np.inf, {"a": 1}, np.zeros(1), np.datetime64("2026-01-01")])
def test_what_is_no_label_is_refused(label, ledger):
    with pytest.raises(TypeError, match="is no label; a label is an int, a str, a bool or a finite float"):
        ledger.answer(3, label)
    ledger.answer(3, 1)
    assert len(ledger.history) == 1


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([1, 100], [0, 0], "holds 100, which is not a row of the pool: n_samples=100"),
        (-1, 0, "holds -1"),
        ([1, 2, 1], [0, 0, 0], "row 1 more than once"),
        ([0.5], [0], "float64"),
        (np.ones(100, dtype=bool), [0] * 100, "boolean mask"),
        ([[1]], [0], "shape"),
        ([1, 2], [0], "Found 1 labels for 2 rows"),
        ([1, 2, 3], "cat", "Found 1 labels for 3 rows"),
    ],
)
def test_rows_that_cannot_be_answered(rows, labels, message, ledger):
    with pytest.raises(ValueError, match=message):
        ledger.answer(rows, labels)
    assert ledger.history == ()


def test_rounds_ask_for_new_rows():
    ledger = Ledger(n_samples=10)
    with pytest.raises(ValueError, match="There are no rows; a round asks for new rows"):
        ledger.ask([])
    ledger.ask([1])
    ledger.answer(2, "a")
    ledger.set_aside(3)
    for row in (1, 2, 3):
        with pytest.raises(ValueError, match=f"Row {row} was asked, labelled or set aside already"):
            ledger.ask([0, row])
    assert len(ledger.rounds) == 1


def test_a_ledger_belongs_to_one_pool(tmp_path):
    path = tmp_path / "labels.jsonl"
    with Ledger(path) as ledger, pytest.raises(ValueError, match="Say first which pool"):
        ledger.answer(0, 1)
    with Ledger(path, n_samples=50) as ledger:
        ledger.answer(0, 1)
    with pytest.raises(ValueError, match=r"of a pool of 50 rows, and this one has 51. Its row numbers no longer match"):
        Ledger(path, n_samples=51)
    Ledger(path, n_samples=50, fingerprint="3f2a").close()
    for again in (None, "3f2a"):
        with Ledger(path, n_samples=50, fingerprint=again) as ledger:
            assert (ledger.n_samples, ledger.fingerprint) == (50, "3f2a")
    with pytest.raises(ValueError, match=r"there is 3f2a, and that of this one 77. Its row numbers no longer match"):
        Ledger(path, n_samples=50, fingerprint="77")
    with pytest.raises(ValueError, match="fingerprint= needs n_samples="):
        Ledger(path, fingerprint="3f2a")
    with Ledger(path) as ledger:  # every refusal let go of the file
        assert len(ledger.labels) == 1


@pytest.mark.slow
def test_one_writer_at_a_time_and_readers_meanwhile(tmp_path):
    path = tmp_path / "labels.jsonl"
    with Ledger(path, n_samples=50) as ledger:
        ledger.answer(1, "a")
        assert in_another_process(lambda: Ledger(path)) == f"RuntimeError: {path} is open for writing elsewhere"
        with pytest.raises(RuntimeError, match="open for writing"):
            Ledger(path)
        reader = Ledger.read(path)
        assert reader.labels.tolist() == ["a"]
        with pytest.raises(RuntimeError, match="opened to be read only"):
            reader.answer(2, "b")
        ledger.answer(2, "b")
        assert ledger.labels.tolist() == ["a", "b"]
    assert in_another_process(lambda: Ledger(path).answer(3, "c")) == ""
    with pytest.raises(RuntimeError, match=r"closed; Ledger\('.*'\) opens it again"):
        ledger.answer(4, "d")
    assert ledger.labels.tolist() == ["a", "b"]
    assert Ledger.read(path).labels.tolist() == ["a", "b", "c"]


def in_another_process(action):
    """Do it in a forked process; return what it raised, up to the first semicolon."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            action()
        except Exception as error:
            os.write(write_end, f"{type(error).__name__}: {error}".split(";")[0].encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    with os.fdopen(read_end) as pipe:
        return pipe.read()


def test_copies_can_be_looked_at(ledger):
    ledger.answer(3, "cat")
    for twin in (copy.deepcopy(ledger), pickle.loads(pickle.dumps(ledger))):
        assert views(twin) == views(ledger)
        if ledger.path is None:
            twin.answer(4, "dog")
        else:
            with pytest.raises(RuntimeError, match="copy of"):
                twin.answer(4, "dog")
    assert ledger.labels.tolist() == ["cat"]
    assert "1 labelled, 0 pending, 0 set aside" in repr(ledger)


def test_threads_share_a_ledger(ledger, opened_again):
    def label(first):
        for row in range(first, first + 20):
            ledger.answer(row, row)

    threads = [threading.Thread(target=label, args=(first,)) for first in range(0, 100, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger = opened_again(ledger)
    assert sorted(ledger.labels.tolist()) == list(range(100))
    np.testing.assert_array_equal(ledger.labels, ledger.labeled_indices)


def test_a_file_cut_between_any_two_bytes_holds_what_was_whole(tmp_path):
    path = tmp_path / "labels.jsonl"
    sizes = []
    with Ledger(path, n_samples=9) as ledger:
        for entry in (lambda: ledger.ask([3, 1]), lambda: ledger.answer(3, "cat"), lambda: ledger.set_aside(1, "dark")):
            sizes.append((path.stat().st_size, views(ledger)))
            entry()
        sizes.append((path.stat().st_size, views(ledger)))
    content = path.read_bytes()
    for n_bytes in range(sizes[0][0], len(content) + 1):
        path.write_bytes(content[:n_bytes])
        expected = [seen for size, seen in sizes if size <= n_bytes][-1]
        with Ledger(path) as ledger:
            assert views(ledger) == expected
            ledger.answer(5, "dog")
        assert Ledger.read(path).current(5).label == "dog"


def test_a_flipped_digit_is_noticed(tmp_path):
    path = tmp_path / "labels.jsonl"
    with Ledger(path, n_samples=50) as ledger:
        ledger.answer([11, 12], [1, 2])
    path.write_bytes(path.read_bytes().replace(b'"label": 2', b'"label": 3'))
    for way in (Ledger, Ledger.read):
        with pytest.raises(ValueError, match=r"line 4 of .* is damaged"):
            way(path)


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("milk, bread\n")
    with pytest.raises(ValueError, match="is no 'skal ledger 1'"):
        Ledger(path)
    assert path.read_text() == "milk, bread\n"


def test_a_full_disk_loses_nothing_from_sight(tmp_path):
    path = tmp_path / "labels.jsonl"

    def label_until_the_disk_is_full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        ledger, n_acknowledged = Ledger(path, n_samples=1000), 0
        while ledger.path.stat().st_size < 3900 - 200:
            ledger.answer(n_acknowledged, "cat")
            n_acknowledged += 1
        with pytest.raises(OSError, match="too large"):
            ledger.answer(n_acknowledged, "a name too long for what is left " * 20)
        assert len(ledger.labels) == n_acknowledged + 1  # the last one is in memory only
        with pytest.raises(RuntimeError, match="could not be written"):
            ledger.answer(999, "dog")
        ledger.close()
        assert len(Ledger(path).labels) == n_acknowledged

    assert in_another_process(label_until_the_disk_is_full) == ""


def test_an_entry_that_cannot_be_written_is_refused_and_the_next_one_is_not(tmp_path):
    with Ledger(tmp_path / "labels.jsonl", n_samples=9) as ledger:
        with pytest.raises(TypeError):
            ledger.answer(1, "cat", annotator=object())
        ledger.answer(2, "cat")
    assert Ledger.read(ledger.path).labeled_indices.tolist() == [2]


def label_and_tell(path, pipe):
    """Label one row after the other; say so through the pipe once the ledger has acknowledged it."""
    with Ledger(path, n_samples=100_000) as ledger:
        row = len(ledger.labels)
        while True:
            if row % 10 == 0 and len(ledger.pending) == 0:
                ledger.ask(range(row, row + 10))
            ledger.answer(row, f"label of {row}")
            os.write(pipe, f"{row}\n".encode())
            row += 1
            time.sleep(0.003)  # or nearly every kill would come while the disk is busy


def test_twenty_kills_lose_no_acknowledged_label_and_double_none(tmp_path):
    path, rng = tmp_path / "labels.jsonl", np.random.default_rng(0)
    acknowledged = []
    for _ in range(20):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                label_and_tell(path, write_end)
            finally:
                os._exit(1)  # whatever happens, this copy of pytest does not go on
        os.close(write_end)
        pipe = os.fdopen(read_end, "rb")
        n_before = len(acknowledged)
        while len(acknowledged) == n_before:  # it has begun
            acknowledged.append(int(pipe.readline()))
        time.sleep(rng.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with pipe:
            acknowledged += [int(line) for line in pipe]
        found = Ledger.read(path)
        labels = dict(zip(found.labeled_indices.tolist(), found.labels.tolist(), strict=True))
        assert labels == {row: f"label of {row}" for row in range(len(labels))}
        assert len(found.history) == len(labels)
        assert acknowledged == list(range(len(acknowledged)))
        assert 0 <= len(labels) - len(acknowledged) <= 1
        acknowledged = list(range(len(labels)))  # the next process goes on from what is there
    assert len(acknowledged) > 20


def test_rows_to_test_with_and_why_each_was_picked(ledger, opened_again):
    ledger.ask([7, 3, 50], sampler="KMeansSampler", held_out=[50], why=["large cluster", "small cluster", "at random"])
    ledger.ask([8], goes_on=True)
    ledger.ask([9], held_out=[9])
    expected = views(ledger)
    for seen in (ledger, opened_again(ledger)):
        assert views(seen) == expected
        assert seen.held_out.tolist() == [50, 9]
        assert seen.rounds[0].why == ("large cluster", "small cluster", "at random", "")
        assert seen.rounds[1].why == ()


def test_what_is_wrong_with_rows_to_test_with(ledger):
    with pytest.raises(ValueError, match="Row 4 is to be held out, and it is none of the rows asked"):
        ledger.ask([7, 3], held_out=[4])
    with pytest.raises(ValueError, match="Found 1 reasons in why= for 2 rows"):
        ledger.ask([7, 3], why=["near the centre"])
    assert ledger.rounds == ()


def test_a_pool_that_grows(ledger, opened_again):
    ledger.answer(99, "cat")
    with pytest.raises(ValueError, match="row"):
        ledger.answer(100, "dog")
    ledger.grow(120)
    ledger.answer(100, "dog")
    seen = opened_again(ledger)
    assert (seen.n_samples, seen.labels.tolist()) == (120, ["cat", "dog"])
    with pytest.raises(ValueError, match="does not shrink"):
        ledger.grow(119)


def test_everything_that_stands_for_a_row(ledger, opened_again):
    ledger.answer(3, "cat", annotator="Ada")
    ledger.answer(3, "dog", annotator="Grace")
    ledger.answer(3, "cow", annotator="Grace")
    ledger.undo(3)
    for seen in (ledger, opened_again(ledger)):
        assert [(each.annotator, each.label) for each in seen.standing(3)] == [("Ada", "cat"), ("Grace", "dog")]
        assert seen.standing(4) == ()
