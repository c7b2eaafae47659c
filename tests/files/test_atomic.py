"""A file is written as a whole or not at all."""

import os

import pytest

from skal._files._atomic import write_atomically


@pytest.mark.parametrize("content", [b"\x00\xff", "größer"])
def test_the_file_holds_the_content_and_nothing_is_left_beside_it(content, tmp_path):
    path = tmp_path / "file"
    path.write_text("an older file, and a longer one")
    write_atomically(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("older")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left.*file") as raised:
        write_atomically(path, "newer")
    assert raised.value.errno == 28
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["file"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "file", "text")


def test_content_and_name_are_on_disk_in_that_order(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def note(descriptor):
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", note)
    write_atomically(tmp_path / "file", "text")
    assert synced[0].startswith(".file.")
    assert synced[1:] == [tmp_path.name]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_follow_the_umask(umask, tmp_path):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").write_text("older")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", "newer")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "newer"
