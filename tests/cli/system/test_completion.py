"""Completion: what the hidden commands offer, and the scripts in the shells that are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import Program, Terminal

pytestmark = pytest.mark.root

SHELLS = ("bash", "zsh", "fish", "powershell")


def offered(world, *words: str) -> tuple[list[str], int]:
    """Return the candidates for the last word, without descriptions, and the directive."""
    done = world.pypod("__completeNoDesc", *words)
    assert done.returncode == 0
    assert done.stderr.startswith("Completion ended with directive: ShellCompDirective")
    *lines, last = done.stdout.splitlines()
    assert last[0] == ":"
    return lines, int(last[1:])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ru"], ["run"]),
        (["pod", "st"], ["start", "stats", "stop"]),
        (["help", "pod", "st"], ["start", "stats", "stop"]),
        (["run", "--hostn"], ["--hostname"]),
        (["rm", "we"], ["web"]),
        (["logs", "-n", "do"], ["done"]),
        (["exec", ""], ["web", "a-infra"]),
        (["start", ""], ["done", "ghost", "idle"]),
        (["unpause", ""], []),
        (["inspect", "mi"], ["mipod"]),
        (["pod", "rm", ""], ["bare", "mipod"]),
        (["pod", "stop", ""], ["mipod"]),
        (["create", "--pod", "m"], ["mipod"]),
        (["create", "--pod=m"], ["mipod"]),
        (["network", "rm", ""], ["podman"]),
        (["network", "connect", "podman", "id"], ["idle"]),
        (["run", "--pull", "n"], ["never", "newer"]),
        (["kill", "-s", "SIGKI"], ["SIGKILL"]),
        (["kill", "-s", "ki"], ["KILL"]),
        (["save", "--format", "oci"], ["oci-archive", "oci-dir"]),
        (["image", "trust", "set", "--type", "s"], ["signedBy"]),
        (["pod", "ps", "--sort", "n"], ["name", "number"]),
        (["--log-level", "t"], ["trace"]),
        (["rename", "idle", ""], []),
        (["rm", "--all", ""], []),
        (["ps", ""], []),
        (["top", "web", "pid,hp"], ["pid,hpid"]),
        (["completion", "z"], ["zsh"]),
        (["ps", "--filter", "status=ru"], ["status=running"]),
        (["ps", "--format", ""], ["json"]),
    ],
)
def test_what_is_offered(world, words: list[str], found: list[str]) -> None:
    candidates, directive = offered(world, *words)
    assert sorted(candidates) == sorted(found)
    assert directive == 4


def test_values_that_something_follows_get_no_space(world) -> None:
    assert offered(world, "run", "--ipc", "cont") == (["container:"], 6)
    assert offered(world, "ps", "--filter", "na") == (["name="], 6)
    assert offered(world, "ps", "--format", "{{.ID}} {{.Status") == (["{{.ID}} {{.Status}}"], 6)
    assert offered(world, "pod", "ps", "--format={{.Infra") == (["{{.InfraID}}", "{{.InfraId}}"], 6)


@pytest.mark.parametrize(
    "words", [["load", "-i", ""], ["exec", "web", ""], ["run", "--env-file", ""], ["--root", ""], ["nonsense", ""]]
)
def test_files_are_left_to_the_shell(world, words: list[str]) -> None:
    assert offered(world, *words) == ([], 0)


def test_ids_are_offered_once_one_is_begun(world) -> None:
    identifier = world.containers["idle"].id
    assert identifier[:12] in offered(world, "rm", identifier[:2])[0]
    assert offered(world, "rm", identifier[:20]) == ([identifier[:20]], 4)


def test_descriptions(world) -> None:
    out = world.pypod("__complete", "rm", "w").stdout
    assert out == "web\tmipod\n:4\n"
    assert world.pypod("__complete", "ru").stdout == "run\tRun a command in a new container\n:4\n"


def test_the_root_among_the_words_is_used(world, tmp_path: Path) -> None:
    pypod = Program(str(tmp_path / "none"))
    assert pypod("__completeNoDesc", "--root", world.pypod.root, "rm", "we").stdout == "web\n:4\n"
    assert pypod("__completeNoDesc", "rm", "").stdout == ":4\n"
    assert not (tmp_path / "none").exists(), "completion creates no storage"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell(world, tmp_path: Path, shell: str) -> None:
    script = world.pypod.ok("completion", shell)
    assert " __complete " in script
    assert " __completeNoDesc " in world.pypod.ok("completion", "--no-desc", shell)
    assert world.pypod.ok("completion", "-f", str(tmp_path / "script"), shell) == ""
    assert (tmp_path / "script").read_text() == script
    program = shutil.which(shell)
    if program and shell != "powershell":
        subprocess.run([program, "-n", str(tmp_path / "script")], check=True)


def test_another_shell_is_refused(world) -> None:
    done = world.pypod("completion", "csh")
    assert (done.returncode, done.stderr) == (125, 'Error: invalid argument "csh" for "pypod completion"\n')
    assert world.pypod("completion").stderr == "Error: accepts 1 arg(s), received 0\n"


def test_bash_completes(world, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(world.pypod.ok("completion", "bash"))
    wrapper = tmp_path / "pypod"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(world.pypod.words)} "$@"\n')
    wrapper.chmod(0o755)
    with Terminal(["env", f"PATH={tmp_path}:/usr/bin:/bin", "PS1=READY ", "bash", "--norc", "-i"], 200, 24) as terminal:
        terminal.expect("READY ")
        terminal.type(f"bind 'set bell-style none'; source {tmp_path}/script\r")
        terminal.expect("READY ")
        for typed, completed in (
            ("pypod ru\t", "pypod run "),
            ("pypod rm we\t", "pypod rm web "),
            ("pypod create --pod=mi\t", "pypod create --pod=mipod "),
            ("pypod run --ipc cont\t", "pypod run --ipc container:"),
            ("pypod system mig\t", "pypod system migrate "),
        ):
            terminal.type(typed)
            terminal.expect(completed)
            terminal.type("\x15")
        terminal.type("pypod pod st\t\t")
        terminal.expect("stats  (Display")
        terminal.type("\x15exit\r")
