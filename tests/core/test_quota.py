"""What control groups allow, read from folders that look like theirs."""

import math

import pytest

from skal._core.quota import cpu_quota


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def quota_of(tmp_path, groups):
    own_groups = tmp_path / "own"
    own_groups.write_text(groups)
    return cpu_quota(tmp_path / "cgroup", own_groups)


def test_nothing_limits_a_machine_without_groups(tmp_path):
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "own") == math.inf


def test_a_container_that_sees_its_own_group_as_the_first(tmp_path):
    write(tmp_path / "cgroup", cpu__max="50000 100000")
    assert quota_of(tmp_path, "0::/\n") == 0.5


@pytest.mark.parametrize(
    ("outer", "inner", "expected"), [("max", "150000", 1.5), ("200000", "max", 2), ("1000", "max", 0.01)]
)
def test_the_least_of_a_group_and_those_above_it(outer, inner, expected, tmp_path):
    write(tmp_path / "cgroup" / "slice", cpu__max=f"{outer} 100000")
    write(tmp_path / "cgroup" / "slice" / "unit", cpu__max=f"{inner} 100000")
    write(tmp_path / "cgroup" / "other", cpu__max="100 100000")
    assert quota_of(tmp_path, "0::/slice/unit\n") == expected


@pytest.mark.parametrize("mounted", ["cpu", "cpu,cpuacct"])
def test_the_first_version(mounted, tmp_path):
    group = tmp_path / "cgroup" / mounted / "docker" / "abc"
    write(group, cpu__cfs_quota_us="250000", cpu__cfs_period_us="100000")
    write(group.parent, cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert quota_of(tmp_path, "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n") == 2.5


def test_a_container_of_the_first_version_whose_group_is_named_as_outside(tmp_path):
    write(tmp_path / "cgroup" / "cpu", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    assert quota_of(tmp_path, "3:cpu:/not/seen/here\n") == 0.5


@pytest.mark.parametrize("text", ["", "max", "max 100000", "nonsense", "10 0"])
def test_what_cannot_be_read_limits_nothing(text, tmp_path):
    write(tmp_path / "cgroup", cpu__max=text)
    assert quota_of(tmp_path, "0::/\nno colons\n") == math.inf


def test_a_limit_that_is_changed_is_seen_a_second_later(tmp_path, monkeypatch):
    now = 5.0
    monkeypatch.setattr("skal._core.quota.time.monotonic", lambda: now)
    write(tmp_path / "cgroup", cpu__max="200000 100000")
    assert quota_of(tmp_path, "0::/\n") == 2
    write(tmp_path / "cgroup", cpu__max="100000 100000")
    now = 6.0
    assert quota_of(tmp_path, "0::/\n") == 1
