"""Listings and inspect compared with podman's, on the same pods and containers, created but never started."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from pypod import Engine
from pypod.cli.containers.ps_row import FIELDS
from tests.cli.program import Program
from tests.oracle.podman import only_4, words_of_4

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]

PODMAN = ["podman", "--log-level=error"]
# Both create an infra; its command, image, mounts and labels (from podman's image) differ.
MEMBERS = ("one", "two", "three")


class Both:
    """podman and pypod with the same objects in them; names begin with ``prefix``."""

    def __init__(self, engine: Engine, rootfs: str) -> None:
        self.prefix = f"o{os.urandom(4).hex()}"
        self.ours = Program(engine.layout.root)
        self.engine = engine
        self._rootfs = rootfs

    def create(self) -> None:
        self._each(
            "pod", "create", "--name", "POD", "--label", "tier=front", "--label", "empty=", "--network", "none",
            "--shm-size", "32m",
        )  # fmt: skip
        self._each("pod", "create", "--name", "POD2", "--infra=false")
        self._container("one", "--pod", "POD", "--label", "app=web", words=["sleep", "1000"])
        self._container(
            "two", "--network", "none", "--label", "app=x", "--env", "A=b", "--user", "33:33", "-v", "/usr:/mnt/usr:ro",
            "--tmpfs", "/scratch:size=1m", "--stop-timeout", "5", "--stop-signal", "INT", "-i",
            words=["sh", "-c", "echo a long command line <&>"],
        )  # fmt: skip
        self._container(
            "three", "--network", "none", "--read-only", "--hostname", "h", "--group-add", "7", "--cap-add",
            "NET_ADMIN", "--cap-drop", "CHOWN", words=["x"],
        )  # fmt: skip

    def _container(self, name: str, *flags: str, words: list[str]) -> None:
        self._each("create", "--name", name, *flags, "--shm-size", "64m", "--rootfs", self._rootfs, *words)

    def _each(self, *words: str) -> None:
        for run in (self.podman, self.pypod):
            done = run(*words)
            assert done.returncode == 0, done.stderr

    def podman(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PODMAN, *self._named(words)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def pypod(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.ours(*self._named(words))

    def _named(self, words: tuple[str, ...]) -> list[str]:
        """Put the prefix before our names; they are words of their own or follow an equals sign."""
        names = "|".join((*MEMBERS, "POD2", "POD"))
        return [re.sub(rf"(^|=\^?)({names})$", rf"\g<1>{self.prefix}\g<2>", word) for word in words]

    def shown(self, text: str) -> str:
        """Make output comparable: remove the prefix, ids, times and durations, and use one program name."""
        text = text.replace(self.prefix, "")
        text = re.sub(r"\b[0-9a-f]{64}\b", "ID64", text)
        text = re.sub(r"\b[0-9a-f]{12}\b", "ID12", text)
        text = re.sub(r"(Less than a second|\d+ seconds?|About a minute|\d+ minutes) ago", "SOME TIME ago", text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* \+0000 UTC", "MOMENT", text)
        text = re.sub(r"  +", "  ", text)  # column widths depend on the replaced text
        return text.replace("pypod", "podman")

    def agree(self, *words: str) -> str:
        """Run both and return the output; fail unless exit code, output and errors are the same."""
        theirs, ours = self.podman(*words), self.pypod(*words)
        assert (ours.returncode, self.shown(ours.stdout), self.shown(ours.stderr)) == (
            theirs.returncode,
            self.shown(theirs.stdout),
            self.shown(theirs.stderr),
        ), words
        return ours.stdout

    def remove(self) -> None:
        for pod in ("POD", "POD2"):
            self.podman("pod", "rm", "-f", pod)
        for name in MEMBERS:
            self.podman("rm", "-f", name)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, busybox: str) -> Iterator[Both]:
    with Engine(str(tmp_path_factory.mktemp("oracle") / "storage")) as engine:
        made = Both(engine, busybox)
        try:
            try:
                made.create()
            except AssertionError as error:
                pytest.skip(f"podman cannot create containers here: {error}")
            yield made
        finally:
            made.remove()
            for pod in engine.pods.list():
                pod.remove(force=True, timeout=0)
            for container in engine.containers.list(all=True):
                container.remove(force=True, timeout=0)


@pytest.mark.parametrize(
    "flags", ["", "-p", "-s", "--ns", "--no-trunc", "-p -s", "--ns -p", "--noheading", "-q", "-q --no-trunc"]
)
def test_layouts_of_ps(both, flags) -> None:
    out = both.agree("ps", "-a", "-f", "name=^one", *(flag for flag in flags.split() if flag != "-s"))
    assert len(out.splitlines()) == (1 if "-q" in flags or "--noheading" in flags else 2)
    if "-s" in flags:  # podman counts the whole rootfs as the writable layer
        theirs, ours = (
            run("ps", "-a", "-f", "name=nosuch", *flags.split()).stdout for run in (both.podman, both.pypod)
        )
        assert ours == theirs


def test_cells_of_several_rows(both) -> None:
    both.agree("ps", "-a", "-f", "name=one", "-f", "name=two", "-f", "name=three", "-p")
    both.agree("ps", "-a", "-f", f"name=^{both.prefix}", "--no-trunc")


def test_widths_of_columns(both) -> None:
    """Compared byte for byte, since nothing has to be replaced."""
    words = (
        "ps",
        "-a",
        "-f",
        f"name=^{both.prefix}",
        "--format",
        "table {{.Names}} {{.Status}} {{.Command}} {{.Labels}}",
    )
    assert both.pypod(*words).stdout == both.podman(*words).stdout


@pytest.mark.parametrize(
    "template",
    [
        only_4("{{.Names}} {{.Image}}|{{.Command}}|{{.Status}}|{{.State}}|{{.Ports}}|{{.Networks}}"),
        "{{.Labels}} {{.Pid}} {{.ExitCode}} {{.Exited}} {{.ExitedAt}} {{.StartedAt}} {{.IsInfra}} {{.AutoRemove}}",
        "{{.ID}} {{.Pod}} {{.CreatedAt}} {{.Created}} {{.RunningFor}} {{.CreatedHuman}}",
        "{{.Namespaces}}{{.Cgroup}}{{.IPC}}{{.MNT}}{{.NET}}{{.PIDNS}}{{.User}}{{.UTS}}{{.CGROUPNS}}{{.USERNS}}",
        only_4("{{json .Labels}} {{json .Names}} {{len .Mounts}} {{upper .Names}}"),
        "{{range .}}{{.Names}};{{end}}",
        "table {{.Names}}\t{{.Status}}",
        "table {{.ID}} {{.Nope}}",
        "{{.Nope}}",
        "{{.ID",
        "plain",
    ],
)
def test_placeholders_of_ps(both, template) -> None:
    theirs = both.podman("ps", "-a", "-f", f"name=^{both.prefix}", "--format", template)
    ours = both.pypod("ps", "-a", "-f", f"name=^{both.prefix}", "--format", template)
    assert (ours.returncode, both.shown(ours.stderr)) == (theirs.returncode, both.shown(theirs.stderr))
    if not theirs.returncode:  # podman has already written the heading when it finds the error
        assert both.shown(ours.stdout) == both.shown(theirs.stdout)


def test_headings_of_all_placeholders(both) -> None:
    # podman panics on ImageID without an image, and writes "<no value>" for the next two and for what podman 5 brought
    names = [name for name in FIELDS if name not in ("ImageID", "CGROUPNS", "USERNS", "Restarts")]
    template = "table " + r"\t".join(f"{{{{.{name}}}}}" for name in names)
    words = ("ps", "-a", "-f", "name=nosuch", "--format", template)
    assert both.pypod(*words).stdout == both.podman(*words).stdout


@pytest.mark.parametrize(
    "filters",
    [
        "status=created", "status=exited", "status=running", "status=foo", "label=app", "label=app=x", "label=app=",
        "label=a*", "label=*pp=web", "label=tier", "label=", "name=one", "name=o", "name=^o", "name=[", "name=",
        "before=two", "since=two", "before=nosuch", "pod=POD", "pod=nosuch", only_4("volume=/usr"), "volume=/etc",
        "ancestor=nosuch", "exited=0", "health=healthy", "network=podman", "until=1h", "until=1s", "until=zz",
        "restart-policy=foo", "foo=bar", "foo", "=x",
    ],
)  # fmt: skip
def test_filters_of_ps(both, filters) -> None:
    words = ("ps", "-a", "-f", f"name=^{both.prefix}", "--format", "{{.Names}}", "-f", filters)
    if filters.startswith("name="):  # values of one filter are alternatives
        words = ("ps", "-a", "--format", "{{.Names}}", "-f", filters, "-f", "label=app")
    both.agree(*words)


@pytest.mark.parametrize("key", ["command", "created", "id", "names", "foo"])
def test_sorting(both, key) -> None:
    words = ("ps", "-a", "-f", f"name=^{both.prefix}", "--sort", key)
    if key == "id":
        ids = both.pypod(*words, "-q", "--no-trunc").stdout.split()
        assert ids == sorted(ids)
    else:
        both.agree(*words, "--format", "{{.Names}}")


@pytest.mark.parametrize(
    "words",
    ["ps x", "ps -l -n 1", "ps -q -s", "ps -q --ns", "ps -s --ns", "ps -n x", "ps -w x", "ps --nosuch", "pod ps x",
     only_4("pod ps --sort foo"), "pod ps -q --format x", "pod ps -f foo", "pod ps -f foo=bar", "pod ps -f status=foo",
     "pod ps -f ctr-status=foo", "inspect", "inspect -l one", only_4("inspect -t foo one"), only_4("inspect nosuch"),
     only_4("inspect nosuch nosuch2"), only_4("inspect -t pod one"), only_4("container inspect POD"),
     only_4("pod inspect nosuch"), "pod inspect",
     "logs", "logs nosuch", "logs -l one", "logs --since foo one", "logs --tail x one", "wait", "wait nosuch",
     "wait --condition foo one", "wait -i 1x one", "wait -l one", "container exists", "container exists one two",
     "container exists nosuch", "container exists one", "pod exists POD", "pod exists one", "version x", "info x"],
)  # fmt: skip
def test_errors_and_exit_codes(both, words) -> None:
    both.agree(*words.split())


def test_what_was_never_started(both) -> None:
    both.agree("wait", "one", "two")
    both.agree("wait", "--condition", "created", "one")
    both.agree("logs", "one")
    both.agree("logs", "-f", "one")


def keys(value: Any) -> Any:
    """Return the names in a JSON value, in order, with the types of their values; contents of maps do not count."""
    if isinstance(value, dict):
        free = ("Labels", "Annotations", "Tmpfs", "Data")
        return [(key, type(item).__name__ if key in free else keys(item)) for key, item in value.items()]
    return type(value).__name__


@words_of_4
def test_json_of_ps(both) -> None:
    theirs, ours = (
        json.loads(run("ps", "-a", "-f", f"name=^{both.prefix}", "--format", "json").stdout)
        for run in (both.podman, both.pypod)
    )
    assert [keys(row) for row in ours] == [keys(row) for row in theirs]
    for our_row, their_row in zip(ours, theirs, strict=True):
        differing = {name for name in our_row if our_row[name] != their_row[name]}
        assert differing <= {"Id", "Pod", "Created", "CreatedAt", "Names", "Mounts"}, differing
        assert sorted(our_row["Mounts"]) == sorted(their_row["Mounts"])


@pytest.mark.parametrize(
    "flags", ["", "--no-trunc", "--ctr-ids", "--ctr-names", "--ctr-status", "--ctr-status --ctr-names", "--noheading"]
)
def test_layouts_of_pod_ps(both, flags) -> None:
    words = ("pod", "ps", "-f", "name=POD2", *flags.split())
    out = both.agree(*words)
    assert len(out.splitlines()) == (1 if "--noheading" in flags else 2)


def test_cells_of_pod_ps(both) -> None:
    both.agree("pod", "ps", "-f", "name=POD")
    both.agree("pod", "ps", "-f", "name=POD", "-q")
    template = "{{.ID}} {{.Id}} {{.Name}} {{.Status}} {{.Labels}} {{.NumberOfContainers}} {{.Created}} {{.InfraId}}"
    both.agree("pod", "ps", "-f", "name=POD", "--format", template)
    both.agree(
        "pod", "ps", "-f", "name=POD", "--format", "table {{.Id}} {{.Name}} {{.NumberOfContainers}} {{.Cgroup}}"[:-12]
    )
    both.agree("pod", "ps", "-f", "name=POD", "--format", "{{.Nope}}")
    for value in ("tier", "tier=front", "tier=back", "nosuch", "*ie*"):
        both.agree("pod", "ps", "-f", f"name={both.prefix}", "-f", f"label={value}", "--format", "{{.Name}}")
    for value in ("0", "2", "x"):
        both.agree("pod", "ps", "-f", f"name={both.prefix}", "-f", f"ctr-number={value}", "--format", "{{.Name}}")
    for key in ("created", "name", "number"):
        both.agree("pod", "ps", "-f", f"name={both.prefix}", "--sort", key, "--format", "{{.Name}}")


@words_of_4
def test_json_of_pod_ps(both) -> None:
    theirs, ours = (
        json.loads(run("pod", "ps", "-f", f"name={both.prefix}", "--format", "json").stdout)
        for run in (both.podman, both.pypod)
    )
    assert [keys(row) for row in ours] == [keys(row) for row in theirs]
    assert [keys(one) for one in ours[1]["Containers"]] == [keys(one) for one in theirs[1]["Containers"]]


# Fields that only one of the programs has.
ONLY_OURS = {"LogPath", "State.ExitCodeKnown"}
ONLY_THEIRS: set[str] = set()


def flat(value: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Return the leaf values by dotted name."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and key not in ("Labels", "Annotations", "Tmpfs", "Data"):
            found.update(flat(item, f"{path}{key}."))
        else:
            found[f"{path}{key}"] = item
    return found


@words_of_4
@pytest.mark.parametrize("name", ["one", "two", "three"])
def test_inspect_of_a_container(both, name) -> None:
    theirs, ours = (flat(json.loads(run("inspect", name).stdout)[0]) for run in (both.podman, both.pypod))
    assert [key for key in ours if key not in ONLY_OURS] == [key for key in theirs if key not in ONLY_THEIRS]
    of_their_own = {
        "Args", "Config.Annotations", "Config.CreateCommand", "Config.Env", "Config.Hostname", "Config.Passwd",
        "Created", "Dependencies", "GraphDriver.Data", "HostConfig.CgroupMode",
        "HostConfig.CgroupParent", "HostConfig.IpcMode", "HostConfig.LogConfig.Path", "HostConfig.NetworkMode",
        "HostConfig.PidsLimit",
        "HostConfig.Tmpfs", "HostConfig.UTSMode", "HostConfig.Ulimits", "Id", "Name", "OCIRuntime", "ConmonPidFile",
        "PidFile", "Pod", "State.OciVersion", "StaticDir",
    }  # fmt: skip
    shared = [key for key in ours if key not in ONLY_OURS | of_their_own]
    assert {key: ours[key] for key in shared} == {key: theirs[key] for key in shared}
    assert set(ours["Config.Env"]) <= {*theirs["Config.Env"], "container=podman"}
    tmpfs = [
        {target: set(options.split(",")) - {"tmpcopyup"} for target, options in one["HostConfig.Tmpfs"].items()}
        for one in (ours, theirs)
    ]
    assert tmpfs[0] == tmpfs[1]
    if name == "two":
        assert ours["HostConfig.CgroupParent"] == theirs["HostConfig.CgroupParent"] == ""
        assert (ours["HostConfig.IpcMode"], ours["HostConfig.NetworkMode"]) == ("shareable", "none")
    if name == "one":
        modes = ("HostConfig.NetworkMode", "HostConfig.IpcMode", "HostConfig.UTSMode")
        assert [both.shown(ours[mode]) for mode in modes] == [both.shown(theirs[mode]) for mode in modes]


@words_of_4
@pytest.mark.parametrize("name", ["POD", "POD2"])
def test_inspect_of_a_pod(both, name) -> None:
    theirs, ours = (json.loads(run("pod", "inspect", name).stdout) for run in (both.podman, both.pypod))
    assert [key for key, _ in keys(ours)] == [key for key, _ in keys(theirs)]
    for key in (
        "ExitPolicy",
        "State",
        "Hostname",
        "CreateInfra",
        "CreateCgroup",
        "NumContainers",
        "InfraConfig",
        "Labels",
    ):
        assert ours.get(key) == theirs.get(key), key
    assert sorted(ours.get("SharedNamespaces", [])) == sorted(theirs.get("SharedNamespaces", []))


@pytest.mark.parametrize(
    "template",
    ["{{.Name}}", "{{.State.Status}} {{.Config.Labels}}", "{{.Config.User}} {{.HostConfig.CapAdd}}",
     only_4("{{.Nope}}"),
     "{{json .State.StartedAt}} {{.State.StartedAt}}", '{{index .Config.Labels "app"}}', "{{json .Config.Volumes}}",
     r"{{.Name}}\t{{.IsInfra}}", "table {{.Name}} {{.IsInfra}}", "{{.Id}} {{.ID}} {{.Created}}",
     "{{range .Mounts}}{{.Source}} {{.RW}}{{end}}", "{{.EffectiveCaps}}{{.HostConfig.Links}}"],
)  # fmt: skip
def test_templates_of_inspect(both, template) -> None:
    both.agree("inspect", "two", "--format", template)
