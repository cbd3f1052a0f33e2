"""run, create, start, exec, attach and the lifecycle verbs, as a shell user sees them."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.facts import kill_and_wait

pytestmark = pytest.mark.root


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


def test_create_without_a_root_makes_a_pod(pypod, engine) -> None:
    identifier = pypod.ok("create", "--name", "mipod").strip()
    assert (engine.pods.get("mipod").id, engine.pods.get("mipod").status) == (identifier, "Created")


def test_the_life_of_a_pod(pypod, busybox, engine) -> None:
    pypod.ok("create", "--name", "mipod")
    pypod.ok("run", "-d", "--pod", "mipod", "--name", "web", "--rootfs", f"{busybox}:O", "sleep", "100")
    assert pypod.ok("run", "--rm", "--pod", "mipod", "--rootfs", f"{busybox}:O", "hostname") == "mipod\n"
    assert engine.pods.get("mipod").status == "Running"
    pypod.ok("pod", "stop", "mipod")
    assert engine.pods.get("mipod").status == "Exited"
    pypod.ok("pod", "start", "mipod")
    assert engine.pods.get("mipod").status == "Running"
    refused = pypod("pod", "rm", "mipod")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot be removed without force" in refused.stderr
    pypod.ok("pod", "rm", "-f", "mipod")
    assert not engine.pods.exists("mipod")
    assert not engine.containers.exists("web")


def test_the_host_s_own_files_copy_on_write(pypod, tmp_path) -> None:
    marker = f"pypod-{os.getpid()}"
    out = pypod.ok(
        "run", "--rm", "--rootfs", "/:O", "sh", "-c", f"touch /{marker} && ls /{marker} && cat /etc/debian_version"
    )
    assert out == f"/{marker}\n{Path('/etc/debian_version').read_text()}"
    assert not Path(f"/{marker}").exists()


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -TERM $$; sleep 1; exit 3"], 3, ""),  # PID 1 only gets signals that it handles
        (["nosuch"], 127, "executable file `nosuch` not found in $PATH"),
        (["/etc/passwd"], 126, "Permission denied"),
        (["/nosuch"], 127, "No such file or directory"),
    ],
)
def test_exit_codes(pypod, busybox, command, code, message) -> None:
    done = pypod("run", "--rm", "--rootfs", f"{busybox}:O", *command)
    assert done.returncode == code
    assert message in done.stderr
    assert bool(done.stderr) == bool(message)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--group-add", "nosuch"], "unable to find group nosuch: no matching"),
        (["--user", "0:nosuch"], "unable to find group nosuch: no matching"),
        (["--user", "nosuch"], "unable to find user nosuch: no matching"),
        (["-w", "/nosuch"], 'workdir "/nosuch" does not exist on container'),
        (["--tmpfs", "/mnt:size=abc"], "Invalid argument"),
    ],
)
def test_a_start_that_fails_has_podman_s_code(pypod, busybox, engine, flags, message) -> None:
    done = pypod("run", *flags, "--rootfs", f"{busybox}:O", "true")
    assert (done.returncode, done.stdout) == (126, "")
    assert message in done.stderr
    (left,) = engine.containers.list(all=True)  # as with podman
    assert left.state().status == "created"
    again = pypod("run", "--rm", *flags, "--rootfs", f"{busybox}:O", "true")
    assert again.returncode == 126
    assert engine.containers.list(all=True) == [left]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "requires at least 1 arg(s), only received 0"),
        (["run", "--nosuch"], "unknown flag: --nosuch"),
        (["run", "--rootfs", "/nosuch:O", "true"], "stat /nosuch: no such file or directory"),
        (["run", "--pod", "nosuch", "--rootfs", "/:O", "true"], "no pod with name or ID nosuch found: no such pod"),
        (["run", "--name", "a b", "--rootfs", "/:O", "true"], "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*"),
        (["run", "--user", "+0", "--rootfs", "/:O", "true"], "invalid user"),
        (["run", "-v", "/nosuch:/x", "--rootfs", "/:O", "true"], "/nosuch"),
        (["run", "-w", "relative", "--rootfs", "/:O", "true"], "absolute path"),
        (["run", "--cap-add", "NOSUCH", "--rootfs", "/:O", "true"], "NOSUCH"),
        (["run", "--network", "nosuch", "--rootfs", "/:O", "true"], "unable to find network with name or ID nosuch"),
        (["run", "--pull", "never", "nowhere.example/a"], "nowhere.example/a: image not known"),
        (["create", "--name", "p", "--tty"], "--tty is for containers"),
        (["stop"], "you must provide at least one name or id"),
        (["exec", "nosuch", "true"], 'no container with name or ID "nosuch" found: no such container'),
        (["pod", "create", "--share", "nosuch"], "nosuch"),
        (["pod", "create", "--hostname", b"x\xff"], "invalid hostname 'x\\udcff'"),
        (["run", "--hostname", b"x\xff", "--rootfs", "/:O", "true"], "invalid hostname 'x\\udcff'"),
        (["run", "--add-host", b"x\xff:1.2.3.4", "--rootfs", "/:O", "true"], "bad format for add-host"),
        (["run", "-p", "a:80", "--rootfs", "/:O", "true"], "parsing host port: invalid port number: strconv.Atoi"),
        (["pod", "create", "-p", "80:80"], "PortMappings can only be used with Bridge or slirp4netns networking"),
        (["pod", "create", "--infra=false", "-p", "80:80"], "you must have an infra container to publish port bind"),
        (["create", "--name", "p", "-P"], "--publish-all is for containers"),
        (["port"], "you must supply a running container name or id"),
        (["port", "-a", "x"], "no arguments are needed with --all"),
        (["port", "x", "80/tcp/x"], "port formats are port/protocol. '80/tcp/x' is invalid"),
        (["port", "x", "99999"], 'strconv.ParseUint: parsing "99999": value out of range'),
        (["port", "nosuch", "80"], 'no container with name or ID "nosuch" found: no such container'),
        (["run", "--memory", "1x", "--rootfs", "/:O", "true"], "invalid value for memory: invalid size: '1x'"),
        (["create", "--dns", "1.1.1.1", "--name", "p"], "conflicting options: dns and the network mode: none"),
        (["run", "--pod", "new:", "--rootfs", "/:O", "true"], "new pod name must be at least one character"),
        (["run", "--security-opt", "apparmor=x", "--rootfs", "/:O", "true"], "Apparmor is not enabled"),
        (["run", "--security-opt", "bogus", "--rootfs", "/:O", "true"], "invalid --security-opt 1"),
        (["run", "--no-hosts", "--add-host", "a:1.2.3.4", "--rootfs", "/:O", "true"], "cannot be set together"),
        (["run", "--ipc", "host", "--shm-size", "1m", "--rootfs", "/:O", "true"], "cannot set shmsize"),
        (["run", "--net", "container:x", "--add-host", "a:1.2.3.4", "--rootfs", "/:O", "true"], "extra host entries"),
        (["pod", "create", "--infra=false", "--share", "net"], "cannot set share(net) namespaces without an infra"),
        (["stop", "--all", "--latest"], "--all and --latest cannot be used together"),
        (["pod", "rm", "-a", "-l"], "--all and --latest cannot be used together"),
        (["rm", "-a", "--cidfile", "/x"], "--all, --latest, and --cidfile cannot be used together"),
        (["stop", "--cidfile", "/x", "y"], "no arguments are needed with --latest or --cidfile"),
        (["pod", "rm", "-l", "--pod-id-file", "/x"], "--all, --latest, and --pod-id-file cannot be used together"),
        (["stop", ""], "name or ID cannot be empty"),
        (["rm", "-t", "1", "x"], "--force option must be specified to use the --time option"),
        (["start", "--sig-proxy", "x"], "you cannot use sig-proxy without --attach"),
        (
            ["run", "--network", "ns:/nosuch", "--rootfs", "/:O", "true"],
            "cannot find specified network namespace path: stat /nosuch: no such file or directory",
        ),
        (
            ["create", "--pid", "ns:/nosuch", "--rootfs", "/:O", "true"],
            "cannot find specified PID namespace path: stat /nosuch: no such file or directory",
        ),
    ],
)
def test_bad_input_is_one_clear_error_and_changes_nothing(pypod, engine, words, message) -> None:
    done = pypod(*words)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert engine.containers.list(all=True) == []
    assert engine.pods.list() == []


@pytest.mark.parametrize(
    ("words", "infra"),
    [(["none"], "false"), ([""], "false"), (["none", "--infra"], "true"), (["net"], "true")],
)
def test_what_shares_nothing_has_an_infra_only_when_it_is_asked_for(pypod, engine, words, infra) -> None:
    pypod.ok("pod", "create", "--name", "p", "--share", *words)
    assert pypod.ok("pod", "inspect", "--format", "{{.CreateInfra}}", "p") == f"{infra}\n"


def test_hostname_needs_an_own_uts_namespace(pypod, busybox) -> None:
    pypod.ok("create", "--name", "p")
    done = pypod("run", "--rm", "--pod", "p", "--hostname", "x", "--rootfs", f"{busybox}:O", "hostname")
    assert done.returncode == 125
    assert "cannot set hostname when joining the pod UTS namespace" in done.stderr
    out = pypod.ok(
        "run", "--rm", "--pod", "p", "--uts", "private", "--hostname", "x", "--rootfs", f"{busybox}:O", "hostname"
    )
    assert out == "x\n"


def test_standard_input_and_both_streams(pypod, busybox) -> None:
    data = os.urandom(300_000)
    command = [*pypod.words, "run", "-i", "--rm", "--rootfs", f"{busybox}:O", "sh", "-c", "cat; echo warning >&2"]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    assert done.stdout == data
    assert done.stderr == b"warning\n"


def test_without_i_the_input_is_empty(pypod, busybox) -> None:
    assert pypod.ok("run", "--rm", "--rootfs", f"{busybox}:O", "cat", stdin=b"not for it") == ""


def test_what_podman_sets_up(pypod, busybox, tmp_path) -> None:
    run = lambda *words: pypod.ok("run", "--rm", *words)
    root = tmp_path / "root"  # without the mount points that a container on the other one itself leaves there
    shutil.copytree(busybox, root, symlinks=True)
    for name in ("hosts", "hostname"):
        (root / "etc" / name).unlink(missing_ok=True)
    rootfs = ("--rootfs", f"{root}:O")
    assert run("--net", "host", *rootfs, "hostname") == f"{os.uname().nodename}\n"
    assert run("--net", "host", "--hostname", "own", *rootfs, "hostname") == "own\n"
    assert "shm" not in run("--ipc", "none", *rootfs, "ls", "/dev").split()
    assert "TERM=xterm" in run(*rootfs, "env").splitlines()
    assert "hosts" not in run("--no-hosts", *rootfs, "ls", "/etc").split()
    assert "hostname" not in run("--no-hostname", *rootfs, "ls", "/etc").split()
    assert "hidepid=invisible" in run(
        "--security-opt", "proc-opts=hidepid=2", *rootfs, "grep", " /proc ", "/proc/mounts"
    )
    assert run("--security-opt", "mask=/etc", "--security-opt", "unmask=ALL", *rootfs, "ls", "/etc") == ""
    assert run("-e", "", "-u", ":", *rootfs, "id", "-u") == "0\n"
    assert run("--tmpfs", "/mnt:size=1m", "--tmpfs", "/mnt:size=2m", *rootfs, "df", "-k", "/mnt").split()[-5] == "2048"
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "file").touch()
    done = pypod("run", "--rm", "-v", "./v:/mnt", *rootfs, "ls", "/mnt", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("file\n", "")


def test_environment_from_a_file(pypod, busybox, tmp_path) -> None:
    """As in podman, leading whitespace is dropped, trailing whitespace is kept, and a value may contain any bytes."""
    (tmp_path / "env").write_bytes(b"# no\n\n  A=1 2 \r\nB=x\xffy\nTEST_FROM_OUTSIDE\nC=a=b\n")
    script = 'printf "%s|%s|%s|%s" "$A" "$B" "$C" "$TEST_FROM_OUTSIDE" | od -An -tx1'
    words = ["run", "--rm", "--env-file", tmp_path / "env", "--rootfs", f"{busybox}:O", "sh", "-c", script]
    done = pypod(*words, env={**os.environ, "TEST_FROM_OUTSIDE": "in"})
    assert (done.returncode, done.stderr) == (0, "")
    assert bytes.fromhex("".join(done.stdout.split())) == b"1 2 |x\xffy|a=b|in"


def test_exec_streams_exit_code_user_environment_and_directory(pypod, busybox) -> None:
    pypod.ok("run", "-d", "--name", "c", "--rootfs", f"{busybox}:O", "sleep", "100")
    done = pypod("exec", "c", "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (done.returncode, done.stdout, done.stderr) == (9, "out\n", "err\n")
    assert pypod.ok("exec", "-i", "c", "cat", stdin=b"typed\n") == "typed\n"
    assert (
        pypod.ok("exec", "-u", "alice", "-e", "A=b", "-w", "/tmp", "c", "sh", "-c", "id -u; echo $A; pwd")
        == "1001\nb\n/tmp\n"
    )
    assert pypod("exec", "c", "nosuch").returncode == 127
    assert pypod("exec", "c", "/etc/passwd").returncode == 126
    session = pypod.ok("exec", "-d", "c", "touch", "/made").strip()
    assert len(session) == 64
    deadline = time.monotonic() + 5
    while pypod("exec", "c", "test", "-e", "/made").returncode and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pypod("exec", "c", "test", "-e", "/made").returncode == 0


def test_a_signal_to_the_client_goes_to_the_container(pypod, busybox) -> None:
    script = "trap 'echo caught; exit 42' TERM; echo ready; while :; do sleep 0.1; done"
    client = pypod.start("run", "--rm", "--rootfs", f"{busybox}:O", "sh", "-c", script, stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(signal.SIGTERM)
    out, _ = client.communicate(timeout=20)
    assert (client.returncode, out) == (42, b"caught\n")


def test_rm_and_its_exit_codes(pypod, busybox) -> None:
    pypod.ok("run", "-d", "--name", "c", "--rootfs", f"{busybox}:O", "sleep", "100")
    assert pypod("rm", "c").returncode == 2
    assert pypod("rm", "nosuch").returncode == 1
    assert pypod.ok("rm", "-f", "nosuch") == ""
    assert pypod.ok("rm", "-f", "c") == "c\n"


def test_run_d_rm_leaves_nothing_once_it_has_ended(pypod, busybox, engine) -> None:
    identifier = pypod.ok("run", "-d", "--rm", "--rootfs", f"{busybox}:O", "true").strip()
    deadline = time.monotonic() + 10
    while Path(engine.layout.container(identifier)).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(engine.layout.container(identifier)).exists()
    assert not engine.containers.exists(identifier)


def test_pod_new_cidfile_and_pod_id_file(pypod, busybox, engine, tmp_path) -> None:
    cid, pid = tmp_path / "cid", tmp_path / "pid"
    identifier = pypod.ok(
        "create", "--pod", "new:fresh", "--cidfile", str(cid), "--rootfs", f"{busybox}:O", "true"
    ).strip()
    assert cid.read_text() == identifier
    assert engine.containers.get(identifier).pod == engine.pods.get("fresh")
    again = pypod("create", "--cidfile", str(cid), "--rootfs", f"{busybox}:O", "true")
    assert again.returncode == 125
    assert len(engine.containers.list(all=True)) == 1
    pypod.ok("pod", "create", "--name", "second", "--pod-id-file", str(pid))
    made = pypod.ok("create", "--pod-id-file", str(pid), "--rootfs", f"{busybox}:O", "true").strip()
    assert engine.containers.get(made).pod == engine.pods.get("second")


def test_replace(pypod, busybox, engine) -> None:
    first = pypod.ok("run", "-d", "--name", "c", "--rootfs", f"{busybox}:O", "sleep", "100").strip()
    assert pypod("run", "-d", "--name", "c", "--rootfs", f"{busybox}:O", "sleep", "100").returncode == 125
    second = pypod.ok("run", "-d", "--replace", "--name", "c", "--rootfs", f"{busybox}:O", "sleep", "100").strip()
    assert engine.containers.get("c").id == second != first
    assert not engine.containers.exists(first)


def test_output_that_comes_faster_than_it_is_read_is_shown_as_it_comes(pypod, busybox) -> None:
    """Neither memory use nor signals suffer meanwhile: 100 MB of output, of which the first line arrives at once."""
    script = "yes $(printf %0999d 0) | head -c 100000000"
    limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))}
    words = ["run", "--rm", "--rootfs", f"{busybox}:O", "sh", "-c", script]
    began = time.monotonic()
    with pypod.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **limits) as client:
        assert client.stdout.readline() == b"0" * 999 + b"\n"
        first = time.monotonic() - began
        size = 1000 + sum(len(block) for block in iter(lambda: client.stdout.read(1 << 20), b""))
        assert client.wait(60) == 0
    assert (size, client.stderr.read() if not client.stderr.closed else b"") == (100_000_000, b"")
    assert first < 5


@pytest.mark.parametrize("words", [["ps", "-a"], ["pod", "ps"], ["run", "--rm", "--rootfs", "/:O", "echo", "hi"]])
def test_output_that_cannot_be_written_is_one_error(pypod, engine, words) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*pypod.words, *words], stdout=full, stderr=subprocess.PIPE, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (125, b"Error: write /dev/stdout: No space left on device\n")


def test_closed_standard_streams_are_nobody_else_s(pypod, busybox, engine) -> None:
    """The next opened file would reuse a standard descriptor, and output would go into the database."""
    words = " ".join([*pypod.words, "run", "--rm", "--rootfs", f"{busybox}:O", "sh", "-c", "'echo out; echo err >&2'"])
    for closed in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
        done = subprocess.run(["sh", "-c", f"{words} {closed}"], capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, closed
        assert b"Traceback" not in done.stderr
    assert engine.containers.list(all=True) == []
    assert pypod.ok("ps", "-aq") == ""


def test_a_reader_that_goes_away_holds_up_nothing(pypod, busybox, engine) -> None:
    client = pypod.start(
        "run",
        "--name",
        "talker",
        "--rootfs",
        f"{busybox}:O",
        "sh",
        "-c",
        "seq 1 200000; echo done >&2",
        stdout=subprocess.PIPE,
    )
    assert client.stdout.readline() == b"1\n"
    client.stdout.close()
    client.wait(timeout=30)
    assert engine.containers.get("talker").wait(timeout=20) == 0
    pieces = list(engine.containers.get("talker").logs())
    assert b"".join(p.data for p in pieces if p.stream == "stdout") == b"".join(b"%d\n" % i for i in range(1, 200001))
    assert [p.data for p in pieces if p.stream == "stderr"] == [b"done\n"]


@pytest.mark.parametrize("verb", ["run", "exec", "create", "start", "stop", "restart", "kill", "rm", "attach"])
def test_every_verb_has_help(pypod, verb) -> None:
    assert pypod.ok("help", verb) == pypod.ok(verb, "--help")
    assert f"pypod {verb}" in pypod.ok(verb, "--help")
    assert f"pypod container {verb}" in pypod.ok("container", verb, "--help")


def test_output_is_shown_while_the_container_does_not_read_its_input(pypod, busybox) -> None:
    script = "sleep 0.5; seq 1 100000; echo end; cat >/dev/null"
    words = ["run", "-i", "--rm", "--rootfs", f"{busybox}:O", "sh", "-c", script]
    client = pypod.start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = client.communicate(b"x" * 2_000_000, timeout=30)
    assert (client.returncode, out[-10:]) == (0, b"100000\nend\n"[-10:])


def test_exec_neither_side_waits_for_the_other(pypod, busybox) -> None:
    pypod.ok("run", "-d", "--name", "c", "--rootfs", f"{busybox}:O", "sleep", "100")
    client = pypod.start(
        "exec", "-i", "c", "sh", "-c", "seq 1 200000; cat | wc -c", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = client.communicate(b"x" * 2_000_000, timeout=30)
    assert (client.returncode, out.splitlines()[-2:]) == (0, [b"200000", b"2000000"])


def test_a_user_that_is_a_number_has_an_entry(pypod, busybox) -> None:
    """podman's lines: in a pod, by exec, not with --passwd=false, and as --passwd-entry specifies."""
    root = ("--rootfs", f"{busybox}:O")
    last = ("tail", "-n1", "/etc/passwd")
    pypod.ok("create", "--name", "mipod")
    pypod.ok("run", "-d", "--pod", "mipod", "--name", "web", "-u", "5000", "-w", "/tmp", *root, "sleep", "100")
    assert pypod.ok("exec", "web", "sh", "-c", "whoami; cd; pwd") == "5000\n/tmp\n"
    assert pypod.ok("exec", "-u", "5001", "web", *last) == "5000:*:5000:0:container user:/tmp:/bin/sh\n"
    pypod.ok("pod", "rm", "-f", "-t", "0", "mipod")
    unknown = pypod("run", "--rm", "-u", "5000", "--passwd=false", *root, "whoami")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    entry = "u$USERNAME:x:$UID:$GID:$NAME at $HOME:$HOME/$GID:/bin/false"
    said = pypod.ok("run", "--rm", "-u", "5000:33", "--passwd-entry", entry, *root, *last)
    assert said == "u5000:x:5000:33:container user at /://33:/bin/false\n"


def test_a_run_in_a_broken_pod_leaves_nothing(pypod, engine, busybox) -> None:
    """Otherwise the restart that repairs the pod would start it."""
    pod = engine.pods.create("p")
    pod.run(["sleep", "1000"], name="web", rootfs=busybox)
    kill_and_wait(pod.state().infra.pid)
    refused = pypod("run", "--pod", "p", "--rootfs", busybox, "true")
    assert (refused.returncode, refused.stdout) == (125, "")
    assert [one.name for one in pod.containers()] == ["web"]
