"""Whether a signal reaches the first process of a container, by what the kernel shows of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from pypod.engine.stopping import can_hear
from pypod.kernel.proc import Proc

PID, TERM, KILL = 77, 15, 9
ITS_TERM = f"{1 << (TERM - 1):016x}"


def hears(
    root: Path, number: int = TERM, *, place: str | None = "do_wait", nspid: str = "77\t1", **fields: str
) -> bool:
    directory = root / str(PID)
    directory.mkdir()
    shown = {
        "State": "S (sleeping)",
        "Pid": "77",
        "NSpid": nspid,
        "Uid": "0\t0\t0\t0",
        "Gid": "0\t0\t0\t0",
        "Groups": "",
    }
    shown |= dict.fromkeys(("SigBlk", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16) | fields
    (directory / "status").write_text("".join(f"{name}:\t{value}\n" for name, value in shown.items()))
    if place is not None:
        (directory / "wchan").write_text(place)
    return can_hear(SimpleNamespace(proc=Proc(str(root))), PID, number)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["do_sigtimedwait.isra.0", "__se_sys_rt_sigtimedwait"])
def test_who_waits_for_signals_hears(tmp_path: Path, place: str) -> None:
    assert hears(tmp_path, place=place)


@pytest.mark.parametrize("field", ["SigCgt", "SigBlk"])
def test_who_handles_or_blocks_it_hears(tmp_path: Path, field: str) -> None:
    assert hears(tmp_path, **{field: ITS_TERM})


def test_who_does_neither_is_not_waited_for(tmp_path: Path) -> None:
    assert not hears(tmp_path)


def test_who_is_not_the_first_of_its_namespace_hears(tmp_path: Path) -> None:
    assert hears(tmp_path, nspid="77")


def test_nothing_keeps_from_sigkill(tmp_path: Path) -> None:
    assert hears(tmp_path, KILL)


@pytest.mark.parametrize("place", ["0", "", None])
def test_where_the_kernel_does_not_say_in_what_it_sleeps_it_may_hear(tmp_path: Path, place: str | None) -> None:
    """A kernel without symbols, or a process that is not ours to look at: an init must not be killed at once."""
    assert hears(tmp_path, place=place)


def test_who_is_awake_sleeps_in_nothing(tmp_path: Path) -> None:
    assert not hears(tmp_path, place="0", State="R (running)")
