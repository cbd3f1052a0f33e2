"""LD_PRELOAD, PYTHONPATH, sitecustomize, TMPDIR and HOME of the caller, against launcher, monitor and container.

The caller's own Python obeys them, as any program does: whoever may set root's environment is root. They must not
reach processes that outlive the command or run with other privileges: the C programs, the command that a monitor runs
at the end, and containers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.facts import wait_until

pytestmark = pytest.mark.root

SCRIPT = str(Path(sysconfig.get_path("scripts"), "pypod"))
PRELOADED = """
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void arrive(void)
{
	char program[256] = "";
	FILE *marks = fopen("%s", "a");
	if (!marks || readlink("/proc/self/exe", program, sizeof program - 1) < 0)
		return;
	fprintf(marks, "%%d %%s\\n", getpid(), program);
	fclose(marks);
}
"""
SITE = "import os\nwith open({!r}, 'a') as marks: print(os.getpid(), 'sitecustomize', file=marks)\n"
NAMES = ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "TMPDIR", "GLIBC_TUNABLES", "SECRET")


class Hostile:
    """A hostile environment, and the processes that it reached."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.marks = place / "marks"
        self.marks.write_text("")
        for name in ("site", "tmp", "home"):
            (place / name).mkdir()
        for name in ("sitecustomize", "usercustomize"):
            (place / "site" / f"{name}.py").write_text(SITE.format(str(self.marks)))
        library = place / "preloaded.so"
        source = PRELOADED % self.marks
        subprocess.run(["gcc", "-shared", "-fPIC", "-xc", "-", "-o", library], input=source.encode(), check=True)
        self.variables = dict.fromkeys(NAMES, "x") | {
            "LD_PRELOAD": str(library),
            "LD_LIBRARY_PATH": str(place),
            "PYTHONPATH": str(place / "site"),
            "TMPDIR": str(place / "tmp"),
            "HOME": str(place / "home"),
            "GLIBC_TUNABLES": "glibc.malloc.check=3",
        }
        self.callers: set[int] = set()

    def run(self, *command: str) -> str:
        with subprocess.Popen(command, env=os.environ | self.variables, stdout=subprocess.PIPE, text=True) as process:
            self.callers.add(process.pid)
            text, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return text

    def reached(self) -> set[str]:
        """Return the processes that have loaded the library or imported the module."""
        return {line for line in self.marks.read_text().splitlines() if int(line.split()[0]) not in self.callers}


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    return Hostile(tmp_path)


@pytest.fixture(params=[[SCRIPT], [sys.executable, "-m", "pypod"]], ids=["script", "module"])
def pypod(request, engine, hostile):
    return lambda *words: hostile.run(*request.param, "--root", engine.layout.root, *words)


def environment(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(word.partition("=")[::2] for word in words if word)


def test_none_of_it_is_in_a_container_or_its_monitor(engine, busybox, hostile: Hostile, pypod) -> None:
    pypod("run", "-d", "--name", "c", "--rootfs", busybox, "sleep", "1000")
    assert hostile.marks.read_text(), "the caller itself must have loaded it"
    state = engine.containers.get("c").state()
    assert environment(state.supervisor_pid) == {}
    inside = environment(state.pid)
    assert not set(NAMES) & set(inside)
    assert inside["HOME"] == "/root"
    told = dict(line.partition("=")[::2] for line in pypod("exec", "c", "env").splitlines())
    assert not set(NAMES) & set(told)
    assert told["HOME"] == "/root"
    assert hostile.reached() == set()
    assert list((hostile.place / "tmp").iterdir()) == []
    assert list((hostile.place / "home").iterdir()) == []


def test_none_of_it_is_in_an_infra(engine, busybox, hostile: Hostile, pypod) -> None:
    pypod("pod", "create", "p")
    pypod("pod", "start", "p")
    infra = engine.pods.get("p").infra.state().pid
    assert environment(infra) == {}
    assert hostile.reached() == set()


def test_none_of_it_is_in_what_a_monitor_runs_at_the_end(engine, busybox, hostile: Hostile, pypod) -> None:
    """``--rm``: by then nothing waits for the result, and an effect would go unnoticed."""
    pypod("run", "-d", "--rm", "--rootfs", busybox, "true")
    wait_until(lambda: engine.containers.list(all=True) == [], 20)
    assert hostile.reached() == set()


def test_python_can_be_told_to_heed_none_of_it(engine, hostile: Hostile) -> None:
    """-I is not in the script's first line: pip generates its own, without options."""
    command = (sys.executable, "-I", "-m", "pypod", "--root", engine.layout.root)
    hostile.run(*command, "ps")
    assert "sitecustomize" not in hostile.marks.read_text()
