"""ns: the sharing matrix, the difference between two processes, the links of one."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from pypod import compare
from pypod.engine.inspect.sharing import Column, Row, matrix

pytestmark = pytest.mark.root


def cells(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


@pytest.fixture
def duo(world, busybox):
    """Return a pod with two running members."""
    pod = world.engine.pods.create("duo")
    members = [pod.run(["sleep", "1000"], name=name, rootfs=busybox) for name in ("a", "b")]
    yield pod, *members
    pod.remove(force=True, timeout=0)


def test_the_matrix_of_the_classic_slide(world, duo) -> None:
    table = cells(world.pypod.ok("ns", "duo"))
    assert table.pop("NAMESPACE") == ["host", "infra", "a", "b"]
    for kind in ("net", "ipc", "uts"):
        assert table.pop(kind) == ["A", "B", "B", "B"], kind
    for kind in ("mnt", "pid"):
        assert table.pop(kind) == ["A", "B", "C", "D"], kind
    assert table.pop("cgroup") == ["A", "A", "B", "C"]
    assert table.pop("user") == ["A", "A", "A", "A"]
    assert set(table) <= {"time"}


def test_inodes_are_those_of_the_kernel(world, duo) -> None:
    pod, a, b = duo
    pids = [os.getpid(), *(one.state().pid for one in (pod.infra, a, b))]
    table = cells(world.pypod.ok("ns", "-n", "--inodes", "duo"))
    for kind, shown in table.items():
        assert shown == [str(os.stat(f"/proc/{pid}/ns/{kind}").st_ino) for pid in pids], kind
    assert str(pod.matrix()).splitlines() == world.pypod.ok("ns", "duo").splitlines()


def test_json_has_a_form_of_its_own(world, duo) -> None:
    pod, a, b = duo
    found = json.loads(world.pypod.ok("ns", "duo", "--json"))
    assert found["pod"] == "duo"
    assert [(one["name"], one["role"]) for one in found["columns"]] == [
        ("host", "host"), ("infra", "infra"), ("a", "member"), ("b", "member"),
    ]  # fmt: skip
    assert [one["pid"] for one in found["columns"]][1:] == [one.state().pid for one in (pod.infra, a, b)]
    rows = {row["type"]: row for row in found["namespaces"]}
    assert rows["net"]["marks"] == ["A", "B", "B", "B"]
    assert rows["net"]["ns"][1:] == [a.namespaces()["net"]] * 3
    assert set(found) == {"pod", "columns", "namespaces"}
    assert all(set(row) == {"type", "ns", "marks"} for row in found["namespaces"])


def test_who_does_not_run_has_no_column(world, duo) -> None:
    pod, a, _ = duo
    a.stop(timeout=0)
    assert cells(world.pypod.ok("ns", "duo"))["NAMESPACE"] == ["host", "infra", "b"]
    pod.stop(timeout=0)
    assert cells(world.pypod.ok("ns", "duo"))["net"] == ["A"]


def test_difference(world, duo) -> None:
    table = cells(world.pypod.ok("ns", "diff", "a", "b"))
    assert table.pop("NAMESPACE") == ["a", "b", "SAME"]
    same = {kind for kind, row in table.items() if row == ["A", "A", "yes"]}
    other = {kind for kind, row in table.items() if row == ["A", "B", "no"]}
    assert (same - {"time"}, other) == ({"net", "ipc", "uts", "user"}, {"mnt", "pid", "cgroup"})
    with_a_pod = cells(world.pypod.ok("ns", "diff", "duo", "a"))
    assert with_a_pod["net"][2] == "yes"
    with_a_process = cells(world.pypod.ok("ns", "diff", "a", str(os.getpid()), "--inodes"))
    assert with_a_process["net"][1:] == [str(os.stat("/proc/self/ns/net").st_ino), "no"]
    assert set(json.loads(world.pypod.ok("ns", "diff", "a", "b", "--json"))) == {"columns", "namespaces"}


def test_links_as_ls_shows_them(world, duo) -> None:
    pid = duo[1].state().pid
    expected = subprocess.run(
        ["ls", "-l", f"/proc/{pid}/ns"], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
    ).stdout
    assert world.pypod.ok("ns", "ls", "a").splitlines() == expected.splitlines()[1:]
    assert world.pypod.ok("ns", "ls", str(pid)) == world.pypod.ok("ns", "ls", "a")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "no pod with name or ID nosuch found: no such pod"),
        (["diff", "a"], "accepts 2 arg(s), received 1"),
        (["diff", "a", "nosuch"], "no process with name or ID nosuch found"),
        (["diff", "idle", "done"], "container idle is created: it has no namespaces"),
        (["ls", "99999999"], "no process with name or ID 99999999 found"),
        (["ls", "bare"], "pod bare has neither an infra nor members"),
        (["duo", "more"], "accepts 1 arg(s), received 2"),
    ],
)
def test_bad_input(world, duo, words: list[str], message: str) -> None:
    done = world.pypod("ns", *words)
    assert (done.returncode, done.stdout) == (125, "")
    assert message in done.stderr


def test_more_namespaces_than_letters() -> None:
    marks = Row(kind="mnt", inodes=tuple(range(60))).marks
    assert (marks[0], marks[25], marks[26], marks[53]) == ("A", "Z", "A1", "B2")
    assert len(set(marks)) == 60


def test_a_process_that_has_gone_has_no_marks() -> None:
    rows = matrix([Column(name="x", role="process", pid=os.getpid()), Column(name="y", role="process", pid=1 << 22)])
    assert {row.marks for row in rows.rows} == {("A", "-")}


def test_compare_takes_handles_names_and_pids(world, duo) -> None:
    pod, a, _ = duo
    pid = a.state().pid
    table = compare(a, "a", pod, pid, engine=world.engine)
    assert [column.name for column in table.columns] == ["a", "a", "duo", str(pid)]
    assert table == compare("a", a.id, "duo", str(pid), engine=world.engine)
