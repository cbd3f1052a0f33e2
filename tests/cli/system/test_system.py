"""version, info and system check, as root and as an unprivileged user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from pypod import __version__
from pypod.cli.system.info import yaml
from pypod.engine.inspect.check import NEEDED
from pypod.kernel.host.checks import check
from tests.facts import wait_until

USER = 12345


def unprivileged(*words: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run the program as a user without any privilege, with an interpreter that this user can reach."""
    if shutil.which("setpriv") is None or not Path("/usr/bin/python3").exists():
        pytest.skip("setpriv or /usr/bin/python3 is not installed")
    source = Path(__file__).parents[3]
    command = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "/usr/bin/python3", "-I", "-c"]
    places = [str(source), sysconfig.get_path("platlib")]
    code = f"import sys; sys.path[:0] = {places!r}; from pypod.cli.main import main; main()"
    reachable = subprocess.run([*command, f"import os; [os.listdir(one) for one in {places!r}]"], check=False)
    if reachable.returncode:
        pytest.skip("the source tree is not readable for other users")
    return subprocess.run(
        [*command, code, "--root", str(root), *words], capture_output=True, text=True, check=False, timeout=30
    )


@pytest.fixture
def others_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that belongs to the unprivileged user, on a path that everybody may traverse."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pypod-test-", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        root = Path(directory, "storage")
        root.mkdir(mode=0o700)
        os.chown(root, USER, USER)
        yield root


def test_yaml_quotes_what_would_be_something_else() -> None:
    value = {
        "b": {"text": "plain text", "number": "12", "truth": "true", "empty": "", "colon": "a: b", "dash": "- x"},
        "a": [1, "x", True],
        "none": None,
        "nothing": [],
    }
    assert yaml(value) == (
        "a:\n- 1\n- x\n- true\n"
        'b:\n  colon: "a: b"\n  dash: "- x"\n  empty: ""\n  number: "12"\n  text: plain text\n  truth: "true"\n'
        "none: null\nnothing: []\n"
    )
    assert yaml({"text": "one\ntwo: 2", "odd": "a\x07\nb"}) == 'odd: "a\\a\\nb"\ntext: |-\n  one\n  two: 2\n'


def test_what_is_needed_exists_as_a_check() -> None:
    assert NEEDED - {"user", "programs", "session", "storage", "storage-driver"} <= {one.name for one in check()}


@pytest.mark.root
@pytest.mark.parametrize(
    "verb",
    [
        *("ps", "container ls", "container list", "pod ps", "pod ls", "inspect", "container inspect", "pod inspect"),
        *("logs", "wait", "container exists", "pod exists", "info", "version", "system check", "system info"),
    ],
)
def test_every_verb_has_help(engine, verb) -> None:
    from tests.cli.program import Program

    out = Program(engine.layout.root).ok(*verb.split(), "--help")
    assert f"Usage:\n  pypod {verb}" in out


@pytest.mark.root
def test_version(world) -> None:
    lines = world.pypod.ok("version").splitlines()
    assert lines[0].split() == ["Client:", "Pypod", "Engine"]
    assert lines[1].split() == ["Version:", __version__]
    assert world.pypod.ok("version", "-f", "{{.Client.Version}} {{.Version}}") == f"{__version__} {__version__}\n"
    assert json.loads(world.pypod.ok("version", "-f", "json"))["Client"]["Version"] == __version__
    done = world.pypod("version", "word")
    assert (done.returncode, done.stderr.splitlines()[0]) == (125, "Error: `pypod version` takes no arguments")


@pytest.mark.root
def test_info_names_programs_and_places(world) -> None:
    told = json.loads(world.pypod.ok("info", "--format", "json"))
    host, store = told["host"], told["store"]
    assert os.path.basename(host["conmon"]["path"]) == "monitor"
    for program in (host["conmon"], host["ociRuntime"]):
        assert os.access(program["path"], os.X_OK)
        assert program["version"].endswith(__version__)
    assert (host["eventLogger"], host["remoteSocket"]["exists"], host["serviceIsRemote"]) == ("file", False, False)
    for name in ("slirp4netns", "pasta"):
        assert host[name]["executable"] == (shutil.which(name) or "")
        assert bool(host[name]["version"]) == bool(shutil.which(name))
    assert store["runRoot"] == store["graphRoot"] == world.pypod.root
    assert os.path.dirname(store["volumePath"]) == world.pypod.root
    form = "{{.Host.CgroupsVersion}} {{.Host.Slirp4NetNS.Executable}} {{.Host.EventLogger}} {{.Version.Built}}"
    words = world.pypod.ok("info", "--format", form).split()
    assert words[0] in ("v1", "v2")
    assert words[-2:] == ["file", str(told["version"]["Built"])]
    assert os.path.getmtime(host["conmon"]["path"]) <= told["version"]["Built"] + 1


@pytest.mark.root
def test_info_tells_facts(world) -> None:
    info = json.loads(world.pypod.ok("info", "--format", "json"))
    assert list(info) == ["host", "plugins", "registries", "store", "version"]
    host, store = info["host"], info["store"]
    assert host["kernel"] == os.uname().release
    assert host["hostname"] == os.uname().nodename
    assert host["cpus"] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert host["memTotal"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = dict(line.split()[:2] for line in Path("/proc/meminfo").read_text().splitlines())
    assert 0 < host["memFree"] < host["memTotal"]
    assert (host["swapTotal"], host["swapFree"] <= host["swapTotal"]) == (int(memory["SwapTotal:"]) * 1024, True)
    days = float(Path("/proc/uptime").read_text().split()[0]) / 86400
    assert float(host["uptime"].partition("Approximately ")[2].split()[0]) == pytest.approx(days, abs=0.02)
    assert set(host["namespaces"]) == {
        name for name in os.listdir("/proc/self/ns") if not name.endswith("_for_children")
    }
    assert host["security"]["rootless"] is False
    assert info["plugins"]["network"] == ["bridge", "macvlan", "ipvlan"]
    assert info["host"]["networkBackend"] == "pypod"
    assert store["graphRoot"] == world.pypod.root
    assert store["imageStore"] == {"number": 0}
    assert store["containerStore"] == {"created": 1, "number": 5, "paused": 0, "running": 2, "stopped": 2}
    none = dict.fromkeys(("degraded", "exited", "stopped", "broken"), 0)
    assert store["podStore"] == {"number": 2, "created": 1, "running": 1, **none}
    assert info["version"]["Version"] == __version__


@pytest.mark.root
def test_info_as_text_and_by_template(world) -> None:
    text = world.pypod.ok("info")
    assert text.startswith("host:\n  arch: ")
    assert '\nstore:\n  configFile: ""\n  containerStore:\n    created: 1\n    number: 5\n' in text
    # Go's field names
    template = "{{.Host.Kernel}} {{.Host.OCIRuntime.Name}} {{.Store.ContainerStore.Running}} {{.Version.Version}}"
    assert world.pypod.ok("info", "-f", template) == f"{os.uname().release} pypod 2 {__version__}\n"
    done = world.pypod("info", "-f", "{{.Host.Nope}}")
    assert (done.returncode, done.stdout) == (125, "")
    assert "can't evaluate field Nope in type *define.HostInfo" in done.stderr


@pytest.mark.root
def test_check_tells_every_judgement(world) -> None:
    done = world.pypod("system", "check")
    lines = {line.split()[1]: line for line in done.stdout.splitlines() if line[:2] == "ok" or line[:7] == "missing"}
    for one in check():
        assert lines[one.name].split()[0] == ("ok" if one.ok else "missing")
        assert one.reason in lines[one.name]
        assert one.consequence in lines[one.name]
    assert f"{world.pypod.root}: 2 pods, 5 containers" in lines["storage"]
    assert "left behind" not in done.stdout
    fine = all(one.ok for one in check() if one.name in NEEDED)
    assert (done.returncode, "Pods can run here as this user." in done.stdout) == (0 if fine else 1, fine)


@pytest.mark.root
def test_check_repairs_what_a_crash_left(engine) -> None:
    from tests.cli.program import Program

    pypod = Program(engine.layout.root)
    kept = engine.containers.create(["true"], name="kept", rootfs="/")
    orphan = Path(engine.layout.container("f" * 64))
    rubbish = Path(engine.layout.trash, "old.1")
    for directory in (orphan, rubbish, Path(kept.directory)):
        (directory / "upper").mkdir(parents=True)
    told = pypod("system", "check").stdout
    assert f"left behind: {orphan}\nleft behind: {rubbish}\npypod system check --repair mends it\n" in told
    assert orphan.exists()
    done = pypod("system", "check", "--repair").stdout
    assert f"removed {orphan}\n" in done
    assert f"deleted {rubbish}\n" in done
    wait_until(lambda: not os.listdir(engine.layout.trash))
    assert not orphan.exists()
    assert Path(kept.directory, "upper").exists()
    assert "nothing to repair" in pypod("system", "check", "--repair").stdout
    orphan.mkdir()
    assert "removed" in pypod("system", "check", "-q", "-f", "-m", "1h", "-r").stdout  # podman 5's


@pytest.mark.root
def test_prune_external_removes_only_what_a_crash_left(engine) -> None:
    from tests.cli.program import Program

    pypod = Program(engine.layout.root)
    engine.containers.create(["true"], name="stopped", rootfs="/")
    orphan = Path(engine.layout.container("f" * 64))
    orphan.mkdir(parents=True)
    for words in (("--all",), ("--volumes",), ("--filter", "label=x")):
        refused = pypod("system", "prune", "--external", "-f", *words)
        assert refused.returncode == 125
        assert refused.stderr == "Error: system prune --external cannot be combined with other options\n"
    assert orphan.exists()
    assert pypod.ok("system", "prune", "--external") == ""
    assert not orphan.exists()
    assert engine.containers.exists("stopped")


@pytest.mark.root
def test_without_privilege_everything_that_reads_works(others_root) -> None:
    told = unprivileged("system", "check", root=others_root)
    assert (told.returncode, told.stderr) == (0, "")
    assert "Pods can run here as this user." in told.stdout
    info = unprivileged("info", "-f", "{{.Host.Security.Rootless}} {{.Store.GraphRoot}}", root=others_root)
    assert (info.stdout, info.stderr) == (f"true {others_root}\n", "")
    for words in (["ps", "-a", "-q"], ["pod", "ps", "-q"]):
        done = unprivileged(*words, root=others_root)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert unprivileged("container", "exists", "x", root=others_root).returncode == 1


@pytest.mark.root
def test_a_storage_that_cannot_be_used_is_one_clear_error(others_root, engine) -> None:
    taken = others_root.parent / "taken"
    taken.mkdir(mode=0o755)
    for words in (["ps"], ["info"], ["pod", "ps"], ["inspect", "x"]):
        done = unprivileged(*words, root=taken)
        assert (done.returncode, done.stdout) == (125, "")
        assert done.stderr.startswith(f"Error: {taken} belongs to uid 0, not to uid {USER}: use another with --root")
        assert done.stderr.count("\n") == 1
    told = unprivileged("system", "check", root=taken)
    assert told.returncode == 1
    assert any(line.startswith("missing") and "storage" in line for line in told.stdout.splitlines())


@pytest.mark.root
@pytest.mark.parametrize("words", [(), ("pod",), ("system",)])
def test_without_a_command_help_is_shown_and_it_is_an_error(world, words: tuple[str, ...]) -> None:
    done = world.pypod(*words)
    path = " ".join(("pypod", *words))
    assert (done.returncode, done.stderr) == (125, f"Error: missing command '{path} COMMAND'\n")
    assert done.stdout == world.pypod.ok(*words, "--help")
