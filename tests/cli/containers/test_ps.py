"""ps and pod ps as a user sees them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.facts import kill_and_wait

pytestmark = pytest.mark.root

AGO = r"(Less than a second|1 second|\d+ seconds|About a minute|\d+ minutes) ago"


def cells(text: str) -> list[list[str]]:
    """Return the cells of each line of a table, whose columns are two or more spaces apart."""
    return [re.split(r"  +", line.rstrip()) for line in text.splitlines()]


def test_only_what_runs_is_shown(world) -> None:
    lines = world.pypod.ok("ps").splitlines()
    assert re.split(r"  +", lines[0]) == ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert [line.split()[-1] for line in lines[1:]] == [world.infra.name, "web"]
    short = world.containers["web"].id[:12]
    # the columns are aligned with their headings
    starts = [lines[0].index(word) for word in ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES")]
    web = [lines[2][start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
    assert [web[0], web[1], web[2], web[5]] == [short, "", "sh -c exec sleep ...", "web"]
    assert re.fullmatch(AGO, web[3])
    assert re.fullmatch(f"Up {AGO}", web[4])
    assert lines[1][starts[1] :].startswith("pypod/infra")


def test_every_status(world) -> None:
    out = world.pypod.ok("ps", "-a", "--format", "{{.Names}}={{.Status}}")
    found = dict(line.split("=") for line in out.splitlines())
    assert found["idle"] == "Created"
    assert found["ghost"] == "Exited (unknown)"
    assert re.fullmatch(rf"Exited \(3\) {AGO}", found["done"])
    assert re.fullmatch(f"Up {AGO}", found["web"])
    assert list(found) == [world.infra.name, "web", "done", "idle", "ghost"]


def test_a_long_command_is_cut_unless_told_otherwise(world) -> None:
    whole = world.containers["done"].record().command
    assert world.pypod.ok("ps", "-a", "-f", "name=done", "--format", "{{.Command}}") == f"{whole[:17]}...\n"
    assert world.pypod.ok("ps", "-a", "-f", "name=done", "--format", "{{.Command}}", "--no-trunc") == f"{whole}\n"


def test_pod_columns(world) -> None:
    heading, infra, web = cells(world.pypod.ok("ps", "--pod"))
    assert heading[-2:] == ["POD ID", "PODNAME"]
    pod = world.pods["mipod"].id
    assert infra[-2:] == web[-2:] == [pod[:12], "mipod"]
    assert cells(world.pypod.ok("ps", "-p", "--no-trunc"))[2][-2:] == [pod, "mipod"]


def test_quiet_and_noheading(world) -> None:
    ids = [world.infra.id, world.containers["web"].id]
    assert world.pypod.ok("ps", "-q").split() == [identifier[:12] for identifier in ids]
    assert world.pypod.ok("ps", "-q", "--no-trunc").split() == ids
    assert [line[0] for line in cells(world.pypod.ok("ps", "--noheading"))] == [identifier[:12] for identifier in ids]


def test_namespaces_are_those_of_the_process(world) -> None:
    heading, _, web = cells(world.pypod.ok("ps", "--ns"))
    names = ["CGROUPNS", "IPC", "MNT", "NET", "PIDNS", "USERNS", "UTS"]
    assert heading == ["CONTAINER ID", "NAMES", "PID", *names]
    pid = world.containers["web"].state().pid
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    inodes = [os.readlink(f"/proc/{pid}/ns/{kind}").split("[")[1].rstrip("]") for kind in kinds]
    assert web[2:] == [str(pid), *inodes]
    every = " ".join(f"{{{{.{name}}}}}" for name in names)
    assert world.pypod.ok("ps", "--ns", "-f", "name=web", "--format", every).split() == inodes
    # a container that is not running has none
    assert world.pypod.ok("ps", "-a", "-f", "name=idle", "--format", "{{.Pid}}{{.NET}}") == "0\n"


def test_size_is_what_was_written(world) -> None:
    upper = Path(world.containers["web"].directory, "upper")
    (upper / "big").write_bytes(b"x" * 1_234_567)
    os.link(upper / "big", upper / "same")
    os.symlink("/usr", upper / "not-followed")
    try:
        heading, _, web = cells(world.pypod.ok("ps", "-s"))
        assert (heading[-1], web[-1]) == ("SIZE", "1.23MB (virtual 0B)")
        assert world.pypod.ok("ps", "-s", "-f", "name=web", "--format", "{{.Size}}") == "1.23MB (virtual 0B)\n"
        listed = json.loads(world.pypod.ok("ps", "-s", "-f", "name=web", "--format", "json"))
        assert listed[0]["Size"] == {"rootFsSize": 0, "rwSize": 1_234_567 + len("/usr")}
        without = world.pypod("ps", "-f", "name=web", "--format", "{{.Size}}")
        assert (without.stdout, without.stderr) == ("\n", "Size format requires --size option\n")
    finally:
        for name in ("big", "same", "not-followed"):
            (upper / name).unlink()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-n", "2"], "idle ghost"),
        (["-n", "99"], "INFRA web done idle ghost"),
        (["-n", "0"], "INFRA web"),
        (["-l"], "ghost"),
        (["-al"], "ghost"),
        (["-n", "2", "-f", "status=running"], "INFRA web"),
        (["-a", "-f", "name=o"], "done ghost"),
        (["-a", "-f", "name=^o"], ""),
        (["-a", "-f", "name=web,name=idle"], "web idle"),
        (["-a", "-f", "name=["], ""),
        (["-a", "-f", "name=w[e]b"], "web"),
        (["-f", "name=done"], ""),
        (["-f", "status=exited"], "done ghost"),
        (["-f", "status=stopped", "-f", "status=created"], "done idle ghost"),
        (["-a", "-f", "exited=3"], "done"),
        (["-a", "-f", "exited=0"], ""),
        (["-a", "-f", "exited=-1"], "ghost"),
        (["-a", "-f", "label=app"], "web idle"),
        (["-a", "-f", "label=app=x"], "idle"),
        (["-a", "-f", "label=app", "-f", "label=odd"], "web"),
        (["-a", "-f", "label=tier=front"], "INFRA"),
        (["-a", "-f", "label=*dd"], "web"),
        (["-a", "-f", "label="], ""),
        (["-a", "-f", "before=idle"], "INFRA web done"),
        (["-a", "-f", "since=web"], "done idle ghost"),
        (["-a", "-f", "since=web", "-f", "since=done"], "done idle ghost"),
        (["-a", "-f", "pod=mipod"], "INFRA web"),
        (["-a", "-f", "pod=mipod", "-f", "name=web"], "web"),
        (["-a", "-f", "pod=nosuch"], ""),
        (["-a", "-f", "volume=/usr"], "web"),
        (["-a", "-f", "volume=/mnt/usr"], "web"),
        (["-a", "-f", "volume=/scratch"], "web"),
        (["-a", "-f", "volume=/mnt"], ""),
        (["-a", "-f", "health=healthy"], ""),
        (["-a", "-f", "network=podman"], ""),
        (["-a", "-f", "ancestor=pypod/infra"], "INFRA"),
        (["-a", "-f", "until=1h"], ""),
        (["-a", "-f", "until=0s"], "INFRA web done idle ghost"),
        (["-a", "--sort", "names"], "INFRA done ghost idle web"),
        (["-a", "--sort", "status"], "idle done ghost INFRA web"),
        (["-a", "--sort", "command"], "INFRA idle done web ghost"),
    ],
)
def test_which_and_in_what_order(world, words, expected) -> None:
    assert world.listed("ps", *words) == expected.replace("INFRA", world.infra.name).split()


def test_filter_by_the_beginning_of_an_id(world) -> None:
    assert world.listed("ps", "-f", f"id=^{world.containers['web'].id[:12]}") == ["web"]
    assert world.listed("ps", "-a", "-f", f"since={world.containers['idle'].id[:12]}") == ["ghost"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-l", "-n", "1"], "last and latest are mutually exclusive"),
        (["-q", "-s"], "quiet conflicts with size and namespace"),
        (["-q", "--ns"], "quiet conflicts with size and namespace"),
        (["-s", "--ns"], "size and namespace options conflict"),
        (["word"], "`pypod ps` takes no arguments"),
        (["-f", "foo=bar"], "foo is an invalid filter"),
        (["-f", "foo"], 'invalid filter "foo"'),
        (["-f", "status=Exited"], "unknown container state: Exited: invalid argument"),
        (["-f", "before=nosuch"], 'no container with name or ID "nosuch" found: no such container'),
        (["-f", "until=zz"], 'failed to parse value as time or duration: "zz"'),
        (["-f", "until=1s", "-f", "until=2s"], "specify exactly one timestamp for until"),
        (["-f", "restart-policy=x"], "x invalid restart policy"),
        (["-f", "restart-policy="], " invalid restart policy"),
        (["-f", "exited=x"], 'exited code out of range "x": strconv.ParseInt: parsing "x": invalid syntax'),
        (
            ["--format", "{{.Nope}}"],
            'template: ps:1:13: executing "ps" at <.Nope>: can\'t evaluate field Nope in type containers.psReporter',
        ),
    ],
)
def test_bad_input_is_one_clear_error(world, words, message) -> None:
    done = world.pypod("ps", *words)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == f"Error: {message}\n"


def test_a_bad_sort_key(world) -> None:
    done = world.pypod("ps", "--sort", "foo")
    assert done.returncode == 125
    assert done.stderr.startswith('Error: invalid argument "foo" for "--sort" flag: "foo" is not a valid value.')


def test_placeholders(world) -> None:
    def shown(template: str) -> str:
        return world.pypod.ok("ps", "-a", "-f", "name=web", "--format", template).rstrip("\n")

    record, state = world.containers["web"].record(), world.containers["web"].state()
    assert shown("{{.ID}}|{{.Image}}|{{.Ports}}|{{.Networks}}") == f"{record.id[:12]}|||"
    assert shown("{{.Labels}} {{.Mounts}}") == "map[app:web odd:<a&b>] [/mnt/usr /scratch]"
    assert shown('{{index .Labels "app"}} {{json .Labels}}') == 'web {"app":"web","odd":"<a&b>"}'
    assert shown("{{.Pod}} {{.PodName}}") == f"{record.pod_id[:12]} mipod"
    assert shown("{{.Pid}} {{.IsInfra}} {{.AutoRemove}} {{.Exited}}") == f"{state.pid} false false false"
    assert shown("{{.StartedAt}} {{.ExitedAt}}") == f"{state.started_ns // 10**9} -62135596800"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \w+", shown("{{.CreatedAt}}"))
    assert re.fullmatch(AGO, shown("{{.RunningFor}}"))
    table = shown("table {{.Names}} {{.Status}}").splitlines()
    assert table[0] == "NAMES       STATUS"
    assert table[1].startswith("web         Up ")


def test_json(world) -> None:
    listed = json.loads(world.pypod.ok("ps", "-a", "--ns", "-p", "--format", "json"))
    by_name = {row["Names"][0]: row for row in listed}
    web, ghost, done = by_name["web"], by_name["ghost"], by_name["done"]
    state = world.containers["web"].state()
    assert (web["Id"], web["State"], web["Pid"]) == (world.containers["web"].id, "running", state.pid)
    assert web["Command"] == ["sh", "-c", "exec sleep 1000", "a b"]
    assert web["Namespaces"]["Net"] == os.readlink(f"/proc/{state.pid}/ns/net").split("[")[1].rstrip("]")
    assert (web["PodName"], web["Labels"], web["Mounts"]) == (
        "mipod",
        {"app": "web", "odd": "<a&b>"},
        ["/mnt/usr", "/scratch"],
    )
    assert (ghost["ExitCode"], ghost["Exited"], ghost["Status"], ghost["Labels"]) == (
        -1,
        True,
        "Exited (unknown)",
        None,
    )
    assert (done["ExitCode"], done["Namespaces"]) == (3, {})
    assert by_name[world.infra.name]["IsInfra"] is True
    assert by_name[world.infra.name]["Labels"] == {"tier": "front", "empty": ""}


def test_watch_shows_the_list_again(world) -> None:
    start = time.monotonic()
    client = world.pypod.start("ps", "-w", "1", "--format", "{{.Names}}", "-f", "name=web", stdout=subprocess.PIPE)
    try:
        assert client.stdout is not None
        assert client.stdout.readline() == b"web\n"
        assert client.stdout.readline() == b"\x1b[2J\x1b[1;1Hweb\n"
        assert time.monotonic() - start > 1
    finally:
        client.kill()
        client.communicate(timeout=10)


def test_the_plain_listing_loads_and_decodes_nothing_it_does_not_need(world) -> None:
    code = (
        "import sys; from pypod.cli.main import run; code = run(sys.argv[1:]); "
        "print(code, *sorted(sys.modules), file=sys.stderr)"
    )
    # exclude the modules that site imports
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(Path.cwd())!r}); {code}"]
    done = subprocess.run(
        [*command, "--root", world.pypod.root, "ps", "-a"], capture_output=True, text=True, check=True
    )
    code, *modules = done.stderr.split()
    assert code == "0"
    heavy = "argparse ctypes dataclasses datetime enum json pathlib re socket sqlite3 subprocess typing".split()
    assert not set(heavy).intersection(modules)
    assert not {"pypod.api.pod", "pypod.engine.inspect.containers", "pypod.runtime.oci", "pypod.cli.go.fmt"} & set(
        modules
    )


class TestPodPs:
    def test_columns(self, world) -> None:
        heading, bare, mipod = cells(world.pypod.ok("pod", "ps"))
        assert heading == ["POD ID", "NAME", "STATUS", "CREATED", "INFRA ID", "# OF CONTAINERS"]
        assert bare[:3] == [world.pods["bare"].id[:12], "bare", "Created"]
        assert bare[4:] == ["0"]  # no infra
        assert mipod[:3] == [world.pods["mipod"].id[:12], "mipod", "Running"]
        assert mipod[4:] == [world.infra.id[:12], "2"]

    def test_quiet_is_never_truncated(self, world) -> None:
        assert world.pypod.ok("pod", "ps", "-q").split() == [world.pods["bare"].id, world.pods["mipod"].id]

    def test_containers_of_each_pod(self, world) -> None:
        out = cells(world.pypod.ok("pod", "ps", "--ctr-ids", "--ctr-names", "--ctr-status"))
        assert out[0] == ["POD ID", "NAME", "STATUS", "CREATED", "INFRA ID", "IDS", "NAMES", "STATUS"]
        web = world.containers["web"].id
        assert out[2][5:] == [f"{world.infra.id[:12]},{web[:12]}", f"{world.infra.name},web", "running,running"]
        whole = cells(world.pypod.ok("pod", "ps", "--ctr-ids", "--no-trunc"))
        assert whole[2][-1] == f"{world.infra.id},{web}"

    def test_namespaces(self, world) -> None:
        heading, _, mipod = cells(world.pypod.ok("pod", "ps", "--ns"))
        assert heading[5:] == ["CGROUP", "NAMESPACES", "# OF CONTAINERS"]
        assert mipod[5:] == ["/pypod", "ipc,net,uts", "2"]

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["-l"], "bare"),
            (["--sort", "name"], "bare mipod"),
            (["--sort", "number"], "bare mipod"),
            (["-f", "name=mi"], "mipod"),
            (["-f", "status=running"], "mipod"),
            (["-f", "status=created", "-f", "status=running"], "bare mipod"),
            (["-f", "label=tier"], "mipod"),
            (["-f", "label=tier=back"], ""),
            (["-f", "ctr-names=web"], "mipod"),
            (["-f", "ctr-names=infra"], "mipod"),
            (["-f", "ctr-number=0"], "bare"),
            (["-f", "ctr-number=x"], ""),
            (["-f", "ctr-status=running"], "mipod"),
            (["-f", "ctr-status=exited"], ""),
            (["-f", "network=x"], ""),
            (["-f", "until=1h"], ""),
        ],
    )
    def test_which(self, world, words, expected) -> None:
        assert world.pypod.ok("pod", "ps", *words, "--format", "{{.Name}}").split() == expected.split()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--sort", "foo"], "invalid option for --sort, options are: id, names, or number"),
            (["-q", "--format", "x"], "quiet and format cannot be used together"),
            (["-f", "foo=bar"], "foo is an invalid filter"),
            (["-f", "foo"], "filter input must be in the form of filter=value: foo is invalid"),
            (["-f", "status=foo"], "foo is not a valid pod status"),
            (["-f", "ctr-status=foo"], "foo is not a valid status"),
            (["word"], "`pypod pod ps` takes no arguments"),
            (
                ["--format", "{{.Nope}}"],
                'template: ps:1:13: executing "ps" at <.Nope>: can\'t evaluate field Nope in type pods.ListPodReporter',
            ),
        ],
    )
    def test_bad_input(self, world, words, message) -> None:
        done = world.pypod("pod", "ps", *words)
        assert (done.returncode, done.stdout, done.stderr) == (125, "", f"Error: {message}\n")

    def test_json(self, world) -> None:
        _, mipod = json.loads(world.pypod.ok("pod", "ps", "--format", "json"))
        assert (mipod["Id"], mipod["InfraId"], mipod["Status"]) == (world.pods["mipod"].id, world.infra.id, "Running")
        assert mipod["Containers"] == [
            {"Id": world.infra.id, "Names": world.infra.name, "Status": "running"},
            {"Id": world.containers["web"].id, "Names": "web", "Status": "running"},
        ]
        assert mipod["Labels"] == {"tier": "front", "empty": ""}

    def test_placeholders(self, world) -> None:
        template = "{{.ID}} {{.Name}} {{.NumberOfContainers}} {{.Cgroup}} {{.InfraID}} {{.Labels}}"
        out = world.pypod.ok("pod", "ps", "--no-trunc", "-f", "name=mipod", "--format", template)
        pod = world.pods["mipod"].id
        assert out == f"{pod} mipod 2 /pypod {world.infra.id} map[empty: tier:front]\n"

    def test_a_pod_whose_infra_died_is_broken(self, engine, busybox) -> None:
        from tests.cli.program import Program

        pod = engine.pods.create("p")
        pod.run(["sleep", "1000"], rootfs=busybox)
        kill_and_wait(pod.state().infra.pid)
        pypod = Program(engine.layout.root)
        assert pypod.ok("pod", "ps", "--format", "{{.Status}}") == "Broken\n"
        assert pypod.ok("pod", "ps", "-f", "status=broken", "-q").split() == [pod.id]
        assert json.loads(pypod.ok("pod", "inspect", "p"))["State"] == "Broken"
        shown = pypod.ok("ps", "-a", "-f", f"id={pod.infra.id}", "--format", "{{.Status}}")
        assert shown == "Exited (unknown)\n"


def test_all_have_no_restart_policy(world) -> None:
    assert world.listed("ps", "-a", "-f", "restart-policy=none") == world.listed("ps", "-a")
    assert world.listed("ps", "-a", "-f", "restart-policy=always") == []
