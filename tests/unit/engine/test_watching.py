"""The changes that ns watch derives from two given snapshots."""

from __future__ import annotations

import pytest

from pypod.cli.namespaces.board import Board
from pypod.cli.namespaces.watch import line, table
from pypod.model.reports.namespace_watch import SeenNamespace, changes

NET = SeenNamespace(pod="p", kind="net", inode=7, nprocs=1, pid=10, who=("infra",), why=("process",), command="pause")
UTS = NET.replace(kind="uts", inode=8)


def looked(*namespaces: SeenNamespace) -> dict:
    return {one.key: one for one in namespaces}


def marks(rows) -> str:
    return " ".join(f"{mark}{one.kind}" for mark, one in rows)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((), (), ""),
        ((NET,), (NET,), ""),
        ((), (NET, UTS), "+net +uts"),
        ((NET, UTS), (UTS,), "-net"),
        ((NET,), (UTS,), "-net +uts"),
        ((NET,), (NET.replace(nprocs=2),), "~net"),
        ((NET,), (NET.replace(pid=11),), "~net"),
        ((NET,), (NET.replace(who=()),), "~net"),
        ((NET,), (NET.replace(why=("process", "bind")),), "~net"),
        ((NET,), (NET.replace(command="other"),), ""),
        ((NET,), (NET.replace(pod="q"),), "-net +net"),
    ],
)
def test_changes_between_two_looks(before, now, expected) -> None:
    assert marks(changes(looked(*before), looked(*now))) == expected


def test_a_change_has_what_is_now_and_a_loss_what_was() -> None:
    after = NET.replace(nprocs=2)
    assert changes(looked(NET), looked(after)) == [("~", after)]
    assert changes(looked(after), looked()) == [("-", after)]


def test_the_board_marks_for_a_while() -> None:
    board = Board(hold_s=3)
    board.update(looked(NET), 0)
    assert marks(board.rows()) == "=net"
    board.update(looked(NET, UTS), 1)
    assert marks(board.rows()) == "=net +uts"
    board.update(looked(UTS), 2)
    assert marks(board.rows()) == "-net +uts"
    board.update(looked(UTS), 3.9)
    assert marks(board.rows()) == "-net +uts"
    board.update(looked(UTS), 4)
    assert marks(board.rows()) == "-net =uts"
    board.update(looked(UTS), 5)
    assert marks(board.rows()) == "=uts"
    board.update(looked(UTS.replace(nprocs=5)), 6)
    assert marks(board.rows()) == "~uts"
    board.update(looked(UTS.replace(nprocs=5)), 6.1)
    assert marks(board.rows()) == "=uts"


def test_what_comes_and_changes_is_still_new_and_what_comes_again_is_there_twice() -> None:
    board = Board(hold_s=3)
    board.update(looked(), 0)
    board.update(looked(NET), 1)
    board.update(looked(NET.replace(nprocs=2)), 1.5)
    assert marks(board.rows()) == "+net"
    board.update(looked(), 2)
    board.update(looked(NET), 2.5)
    assert marks(board.rows()) == "+net -net"


def test_a_line_for_a_pipe() -> None:
    assert line("+", NET) == "+ net 7 pod p infra 10 nprocs 1 why process"
    gone = NET.replace(who=(), pid=None, nprocs=0, why=("bind", "fd"))
    assert line("~", gone) == "~ net 7 pod p - - nprocs 0 why bind,fd"


def test_a_table_for_a_terminal() -> None:
    heading, first, second = table([("=", NET), ("+", UTS.replace(who=("infra", "web")))], 0)
    assert heading.split() == ["POD", "TYPE", "NS", "NPROCS", "PID", "WHY", "WHO", "COMMAND"]
    assert first.split() == ["p", "net", "7", "1", "10", "process", "infra", "pause"]
    assert second.split() == ["+", "p", "uts", "8", "1", "10", "process", "infra,web", "pause"]


def test_a_command_does_nothing_to_the_terminal() -> None:
    hostile = NET.replace(command="a\nb\r\x1b[2J\x9b31m\udc80\u202e\t\x7f" + "x" * 300)
    lines = table([("=", hostile)], 80)
    assert len(lines) == 2
    assert all(one.isprintable() and len(one) <= 80 for one in lines)
    assert "a\\x0ab\\x0d\\x1b[2J" in table([("=", hostile)], 0)[1]
