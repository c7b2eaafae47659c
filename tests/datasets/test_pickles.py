"""A pickle is a program: what CIFAR's files need is done, anything else is refused and has not run."""

import io
import os
import pickle
import pickletools

import numpy as np
import pytest

from skal.datasets import load_cifar10
from skal.datasets._pickles import read_batch

CONTENT = {
    "data": np.arange(300, dtype=np.uint8).reshape(50, 6),
    "labels": [1, 2, 300],
    "label_names": ["a", "b" * 300],
}


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def in_batch(value, protocol):
    return pickle.dumps({"data": value, "labels": [0]}, protocol)


def as_text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_the_published_kind_of_file_is_one(python2):
    content = python2(CONTENT)
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(content)}
    assert opcodes >= {"GLOBAL", "REDUCE", "BUILD", "SHORT_BINSTRING", "BINSTRING"}
    plain = pickle.loads(content, encoding="latin1")
    assert plain.keys() == CONTENT.keys()
    assert (plain["data"] == CONTENT["data"]).all()


def test_each_way_of_writing_is_read(dump, tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(dump(CONTENT))
    batch = read_batch(path)
    np.testing.assert_array_equal(batch["data"], CONTENT["data"])
    assert batch["data"].dtype == np.uint8
    assert batch["labels"] == CONTENT["labels"]
    assert [as_text(name) for name in batch["label_names"]] == CONTENT["label_names"]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["u1", "<i4", ">i4", "<i8", "u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_whole_numbers_keep_their_values(protocol, dtype, order, tmp_path, rng):
    values = rng.integers(0, 100, (4, 5)).astype(dtype, order=order)
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": values}, protocol))
    np.testing.assert_array_equal(read_batch(path)["data"], values)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("how", ["system", "exec", "open", "getattr", "bytes", "codec"])
def test_code_is_refused_and_has_not_run(protocol, how, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harm = {
        "system": Calls(os.system, "touch harm"),
        "exec": Calls(exec, "open('harm', 'w')"),
        "open": Calls(open, "harm", "w"),
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "bytes": Calls(bytes, 8),
        "codec": Calls(__import__("_codecs").decode, b"", "zlib"),
    }[how]
    path = tmp_path / "batch"
    path.write_bytes(in_batch(harm, protocol))
    with pytest.raises(ValueError, match="refused"):
        read_batch(path)
    assert [file.name for file in tmp_path.iterdir()] == ["batch"]


def test_cifar_with_code_in_it_is_refused(write, tmp_path):
    written = write("cifar10")
    harm = tmp_path / "harm"
    path = written.root / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(in_batch(Calls(os.mkdir, str(harm)), 2))
    with pytest.raises(ValueError, match=r"data_batch_3 is refused.*mkdir"):
        load_cifar10(written.root, check_sizes=False)
    assert not harm.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"(S'touch harm'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch harm'\no.",  # OBJ
        b"cnumpy\nndarray.tofile\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # STACK_GLOBAL
        b"cnumpy\nload\nS'batch'\n\x85R.",
        b"c_codecs\nencode\nS'a'\nS'rot13'\n\x86R.",
        b"c_codecs\nencode\n}S'__call__'\nK\x01sb.",  # BUILD on a stand-in
        b"c_codecs\nencode\nN}S'__class__'\nK\x01s\x86b.",
        b"cnumpy\nndarray\nK\x01\x85R.",
        b"Pname\n.",  # a persistent id
        b"\x82\x01.",  # the extension registry
        b"cnumpy\ndtype\nU\x01OK\x00K\x01\x87R.",
        b"cnumpy\ndtype\nU\x02V8K\x00K\x01\x87R.",
    ],
)
def test_programs_by_hand(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickletools.dis(program, out=io.StringIO())
    path = tmp_path / "batch"
    path.write_bytes(program)
    with pytest.raises(ValueError, match=str(path)):
        read_batch(path)
    assert [file.name for file in tmp_path.iterdir()] == ["batch"]


@pytest.mark.parametrize(
    "values",
    [
        np.array([{}, []], dtype=object),
        np.array([1.5]),
        np.array(["text"]),
        np.zeros(2, "u1,u1"),
        np.datetime64(0, "s"),
    ],
    ids=["objects", "floats", "texts", "records", "scalar"],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_other_arrays_are_refused(values, protocol, tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(in_batch(values, protocol))
    with pytest.raises(ValueError, match="refused"):
        read_batch(path)


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02}r\xff\xff\xff\x7f.",  # LONG_BINPUT 2**31 - 1
        b"}p1000000000\n.",  # PUT
        b"\x80\x04\x95\x00\x00\x00\x00\x10\x00\x00\x00}.",  # FRAME 2**36
    ],
)
def test_no_more_room_is_made_than_the_file_can_need(program, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "batch"
    path.write_bytes(program)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="is refused: it makes room for"):
        read_batch(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_file_cut_off_anywhere_is_an_error_with_its_name(dump, tmp_path):
    content = dump(CONTENT)
    path = tmp_path / "batch"
    for length in [0, 1, *range(2, len(content), 17), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=str(path)):
            read_batch(path)


def test_a_damaged_file_gives_a_dict_or_a_named_error(dump, tmp_path, rng):
    content = bytearray(dump(CONTENT))
    path = tmp_path / "batch"
    errors = []
    for _ in range(200):
        damaged = content.copy()
        damaged[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert isinstance(read_batch(path), dict)
        except ValueError as error:
            errors.append(str(error))
    assert errors
    assert all(str(path) in error for error in errors)


@pytest.mark.parametrize("value", [[1, 2], "text", None])
def test_something_else_than_a_dict_is_refused(value, tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(ValueError, match="expected a dict"):
        read_batch(path)
