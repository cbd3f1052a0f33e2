"""containers.conf(5) in what is run, and the flags before the verb."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.facts import wait_until
from tests.images.made import Made, layer
from tests.integration.images.test_images import bring

CONF = """
[containers]
default_ulimits = ["nofile=1000:1001"]
default_sysctls = ["net.ipv4.ping_group_range=0 7", "kernel.msgmax=8000"]
env = ["A=conf", "B=conf"]
volumes = ["/usr:/confusr:ro"]
annotations = ["ann=conf"]
mounts = ["type=tmpfs,target=/conftmp"]
dns_servers = ["192.0.2.4"]
dns_searches = ["conf.example"]
default_capabilities = ["CHOWN", "KILL"]
pids_limit = 77
shm_size = "1m"
umask = "0027"
cgroupns = "host"
uts = "unknown"
host_containers_internal_ip = "192.0.2.7"
base_hosts_file = "none"
[engine]
stop_timeout = 33
pull_policy = "never"
"""
SHOW = (
    "echo $A $B; ulimit -n; umask; grep -h . /etc/resolv.conf; grep CapEff /proc/self/status;"
    "ls -d /confusr; stat -f -c %T /conftmp; cat /proc/sys/kernel/msgmax;"
    "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"
)


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def configured(tmp_path, monkeypatch):
    path = tmp_path / "containers.conf"

    def write(text: str) -> None:
        path.write_text(text)

    monkeypatch.setenv("CONTAINERS_CONF", str(path))
    write(CONF)
    return write


@pytest.mark.root
class TestContainers:
    @pytest.mark.usefixtures("configured")
    def test_what_is_not_given(self, pypod, busybox) -> None:
        out = pypod.ok("run", "--rm", "--net=private", "--rootfs", f"{busybox}:O", "sh", "-c", SHOW).splitlines()
        assert out == [
            *("conf conf", "1000", "0027", "search conf.example", "nameserver 192.0.2.4"),
            *("CapEff:\t0000000000000021", "/confusr", "tmpfs", "8000", "1024"),
        ]

    @pytest.mark.usefixtures("configured")
    def test_what_is_given(self, pypod, busybox) -> None:
        flags = ("-e", "A=x", "--ulimit=nofile=50:60", "--umask=022", "--dns=192.0.2.9", "--cap-drop=KILL")
        flags += ("-v", f"{busybox}:/mine", "--sysctl=kernel.msgmax=8001", "--shm-size=2m", "--net=private")
        run = ("run", "--rm", *flags, "--rootfs", f"{busybox}:O", "sh", "-c", f"{SHOW} 2>&1")
        out = pypod(*run).stdout.splitlines()
        assert [line for line in out if "confusr" not in line] == [
            *("x conf", "50", "0022", "search conf.example", "nameserver 192.0.2.9"),
            *("CapEff:\t0000000000000001", "tmpfs", "8001", "2048"),
        ]

    def test_from_the_library(self, engine, configured, busybox) -> None:
        made = engine.containers.create(["true"], rootfs=busybox, stop_timeout=10).spec()
        assert (made.stop_timeout_s, made.limits.pids) == (10, 77)
        configured("[containers]\npids_limit = 0\n")
        assert engine.containers.create(["true"], rootfs=busybox).spec().limits.pids == -1
        pod = engine.pods.create("p")
        assert pod.run(["true"], rootfs=busybox).wait(timeout=10) == 0

    def test_hosts(self, pypod, configured, busybox) -> None:
        out = pypod.ok("run", "--rm", "--net=private", "--rootfs", f"{busybox}:O", "cat", "/etc/hosts")
        assert "192.0.2.7\thost.containers.internal host.docker.internal\n" in out
        configured('[containers]\nhost_containers_internal_ip = "none"\n')
        out = pypod.ok("run", "--rm", "--net=private", "--rootfs", f"{busybox}:O", "cat", "/etc/hosts")
        assert "host.containers.internal" not in out

    def test_in_a_pod(self, pypod, configured, busybox) -> None:
        configured(
            f"{CONF}\n[containers.x]\ny = 1\n".replace('base_hosts_file = "none"', 'utsns = "host"\nipcns = "host"')
        )
        pypod.ok("pod", "create", "--name=p", "--hostname=mine", "--network=private")
        run = ("run", "--rm", "--pod=p", "--rootfs", f"{busybox}:O", "sh", "-c")
        out = pypod.ok(*run, "hostname; cat /etc/resolv.conf /proc/sys/net/ipv4/ping_group_range")
        assert out.split() == ["mine", "search", "conf.example", "nameserver", "192.0.2.4", "0", "7"]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('pids_limit = "a"', 'toml: line 2 (last key "containers.pids_limit"): incompatible types'),
            ('umask = "9"', '"containers.umask": '),
            ('default_ulimits = ["x"]', "ulimit"),
            ('default_capabilities = ["NOPE"]', '"containers.default_capabilities": '),
            ('shm_size = "x"', '"containers.shm_size": '),
            ('seccomp_profile = "/no/such"', '"containers.seccomp_profile": open /no/such: no such file or directory'),
        ],
    )
    def test_what_is_wrong(self, pypod, configured, busybox, text, problem) -> None:
        configured(f"[containers]\n{text}\n")
        done = pypod("create", "--rootfs", busybox, "true")
        assert (done.returncode, done.stdout) == (125, "")
        assert problem in done.stderr
        assert pypod.ok("ps", "-aq") == "", "commands that create nothing do not read it"

    def test_a_cgroup_manager_that_there_is_not(self, pypod, configured, busybox) -> None:
        for words in (("create", "--rootfs", busybox, "true"), ("pod", "create")):
            configured('[engine]\ncgroup_manager = "x"\n')
            done = pypod(*words)
            assert (done.returncode, done.stdout) == (125, "")
            assert '"engine.cgroup_manager": unsupported Cgroup manager: x - cannot validate' in done.stderr
            configured('[engine]\ncgroup_manager = "systemd"\n')
            pypod.ok(*words)

    def test_a_file_image_and_none_as_hosts(self, pypod, busybox, tmp_path) -> None:
        (tmp_path / "base").write_text("192.0.2.1 base.example\n")
        for word, expected in ((f"{tmp_path}/base", True), ("none", False), ("image", False)):
            run = ("run", "--rm", f"--hosts-file={word}", "--rootfs", f"{busybox}:O", "cat", "/etc/hosts")
            assert ("192.0.2.1\tbase.example\n" in pypod.ok(*run)) == expected
        done = pypod("create", "--hosts-file=/no/such", "--rootfs", f"{busybox}:O", "true")
        message = "Error: failed to read base hosts file: open /no/such: no such file or directory\n"
        assert (done.returncode, done.stderr) == (125, message)


@pytest.mark.root
def test_keys_that_detach(pypod, configured, busybox) -> None:
    configured('[engine]\ndetach_keys = "ctrl-x,q"\n')
    run = ("run", "-it", "--name=c", "--network=none", "--rootfs", f"{busybox}:O", "sh")
    with pypod.terminal(*run) as terminal:
        terminal.type("echo $((6*7))\n")
        terminal.expect("42")
        terminal.type("\x18q")
        assert terminal.wait() == 0
    assert pypod.ok("inspect", "--format", "{{.State.Status}}", "c") == "running\n"


def test_several_images_in_an_archive(pypod, engine, configured, tmp_path) -> None:
    for name in ("a", "b"):
        bring(engine, Made(layer({name: b"x"})), f"localhost/{name}:latest")
    configured("[engine]\nmulti_image_archive = true\n")
    pypod.ok("save", "-q", "-o", str(tmp_path / "both.tar"), "a", "b")
    pypod.ok("rmi", "--all")
    assert pypod.ok("load", "-q", "-i", str(tmp_path / "both.tar")).split()[2::3] == [
        "localhost/a:latest",
        "localhost/b:latest",
    ]


@pytest.mark.usefixtures("configured")
def test_info_tells_which_files_counted(pypod, tmp_path) -> None:
    module = tmp_path / "m.conf"
    module.write_text("[engine]\n")
    found = json.loads(pypod.ok("--module", str(module), "info", "--format", "{{json .Host.ConfigFiles}}"))
    assert found == [str(tmp_path / "containers.conf"), str(module)]


class TestNetworks:
    """Nothing is started here: networks are only rows until a container uses them."""

    POOLS = (
        '[network]\ndefault_subnet = "10.199.0.0/24"\ndefault_subnet_pools = [{base = "10.198.0.0/16", size = 28}]\n'
    )

    @pytest.fixture(autouse=True)
    def default(self, monkeypatch) -> None:
        monkeypatch.delenv("PYPOD_NETWORK")

    def subnets(self, pypod, *names: str) -> list[str]:
        found = json.loads(pypod.ok("network", "inspect", *names))
        return [one["subnets"][0]["subnet"] for one in found]

    def test_subnets(self, pypod, configured) -> None:
        configured(self.POOLS)
        pypod.ok("network", "create", "a")
        assert self.subnets(pypod, "a", "podman") == ["10.198.0.0/28", "10.199.0.0/24"]

    @pytest.mark.root
    def test_another_default_network(self, pypod, configured) -> None:
        configured(f'{self.POOLS}default_network = "mine"\n')
        pypod.ok("create", "--name=c", "--rootfs", "/", "true")
        assert self.subnets(pypod, "mine") == ["10.199.0.0/24"]
        shown = pypod.ok("inspect", "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}", "c")
        assert shown == "mine\n"

    def test_what_is_wrong(self, pypod, configured) -> None:
        for text, key in (('default_subnet = "x"', "subnet"), ("default_subnet_pools = [{size = 4}]", "subnet_pools")):
            configured(f"[network]\n{text}\n")
            done = pypod("network", "create", "a")
            assert done.returncode == 125
            assert f'"network.default_{key}": ' in done.stderr


class TestFlagsBeforeTheVerb:
    @pytest.mark.parametrize(
        "words",
        [
            ("--runroot", "/x", "--tmpdir=/x", "--conmon", "/x", "--network-config-dir=/x"),
            ("--cgroup-manager=systemd", "--events-backend", "file", "--runtime", "pypod", "--runtime-flag", "x"),
            ("--log-level=ERROR", "--syslog", "--trace", "--max-workers", "3", "--hooks-dir", "/no/such"),
            ("--storage-driver=overlay", "--storage-opt", "overlay.mountopt=nodev", "--storage-opt="),
            ("--identity=", "--remote=false", "--url="),
        ],
    )
    def test_accepted(self, pypod, words) -> None:
        assert pypod.ok(*words, "ps", "-q") == ""

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--remote",), "--remote is not available: there is no service to connect to"),
            (("--url=unix:///x",), "--url is not available: there is no service to connect to"),
            (("-c", "x"), "--connection is not available: there is no service to connect to"),
            (("--identity=x",), "--identity is not available: there is no service to connect to"),
            (
                ("--runtime=crun",),
                'default OCI runtime "crun" not found: invalid argument: containers are run',
            ),
            (("--runtime=/usr/bin/runc",), 'default OCI runtime "/usr/bin/runc" not found: invalid argument'),
            (("--cgroup-manager=x",), "configuring runtime: cgroup manager must be one of cgroupfs and systemd"),
            (("--events-backend=x",), 'configuring runtime: "x" is not a valid events backend: invalid argument'),
            (("--events-backend=journald",), "events are not written to the journal: use file or none"),
            (("--storage-driver=btrfs",), "unknown storage driver 'btrfs'"),
            (("--storage-opt=foo=bar",), "overlay: Unknown option foo"),
            (("--namespace=x",), "--namespace is not available"),
            (("--registries-conf=/x",), "configuring runtime: locating specified registries.conf: stat /x: no such"),
            (("--volumepath=/x",), 'does not match our volume path "/x": configuration mismatch'),
            (("--module=x", "info"), 'could not resolve module "x"'),
            (("--nonsense",), "unknown flag: --nonsense"),
        ],
        ids=str,
    )
    def test_refused(self, pypod, words, message) -> None:
        done = pypod(*words, "ps") if "info" not in words else pypod(*words[:-1], "create", "--rootfs", "/", "true")
        assert (done.returncode, done.stdout) == (125, "")
        assert message in done.stderr

    @pytest.mark.usefixtures("configured")
    def test_levels(self, pypod) -> None:
        done = pypod("--log-level=x", "ps")
        words = "trace, debug, info, warn, warning, error, fatal, panic"
        assert (done.returncode, done.stderr) == (1, f'Log Level "x" is not supported, choose from: {words}\n')
        said = pypod("--log-level=debug", "ps").stderr
        assert 'level=debug msg="Failed to decode the keys [\\"containers.uts\\"] from ' in said

    @pytest.mark.root
    @pytest.mark.parametrize("by", ["flag", "file"])
    def test_hooks(self, pypod, configured, busybox, tmp_path, by) -> None:
        """Those of --hooks-dir, else those of containers.conf; a start remembers the directory."""
        places = {name: tmp_path / name for name in ("flag", "file")}
        for name, place in places.items():
            place.mkdir()
            hook = {"path": "/bin/sh", "args": ["sh", "-c", f"echo {name} >> {tmp_path}/log"]}
            content = {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": ["createRuntime"]}
            (place / "a.json").write_text(json.dumps(content))
        configured(f'[engine]\nhooks_dir = ["/no/such", "{places["file"]}"]\n')
        words = (f"--hooks-dir={places['flag']}",) if by == "flag" else ()
        pypod.ok(*words, "create", "--name", "c", "--rootfs", f"{busybox}:O", "true")
        assert not (tmp_path / "log").exists()
        pypod.ok("start", "c")
        assert (tmp_path / "log").read_text() == f"{by}\n"
        pypod.ok("rm", "-f", "c")

    def test_all_are_in_the_help(self, pypod) -> None:
        out = pypod.ok("--help")
        for name in ("root", "runroot", "storage-driver", "log-level", "module", "noout", "volumepath"):
            assert f"--{name} " in out

    @pytest.mark.root
    def test_output(self, pypod, busybox, tmp_path) -> None:
        """A container's output stays; ours goes nowhere, or into the file."""
        run = ("run", "--rm", "--rootfs", f"{busybox}:O", "echo", "hi")
        assert pypod.ok("--noout", *run) == "hi\n"
        assert pypod.ok("--noout", "create", "--rootfs", busybox, "true") == ""
        out = tmp_path / "out"
        assert pypod.ok("--out", str(out), "ps", "-aq") == ""
        assert len(out.read_text().split()) == 1
        assert pypod.ok("--out", str(out), *run) == "hi\n"

    @pytest.mark.root
    def test_no_events(self, pypod, engine, busybox) -> None:
        pypod.ok("--events-backend=none", "run", "--rm", "--rootfs", f"{busybox}:O", "true")
        assert not Path(engine.layout.root, "events.log").exists()
        done = pypod("--events-backend=none", "events", "--stream=false")
        assert (done.returncode, done.stderr) == (125, 'Error: cannot read events with the "none" backend\n')


@pytest.mark.root
class TestEvents:
    def test_none_are_kept(self, pypod, engine, configured, busybox) -> None:
        configured('[engine]\nevents_logger = "none"\n')
        root = ("--network=none", "--rootfs", f"{busybox}:O", "true")
        pypod.ok("run", *root)
        pypod.ok("create", "--rm", "--name=d", *root)
        pypod.ok("rm", pypod.ok("ps", "-aq", "--filter=status=exited").strip())
        pypod.ok("start", "d")  # its monitor removes it
        wait_until(lambda: pypod.ok("ps", "-aq") == "")
        assert not Path(engine.layout.events).exists()
        assert pypod.ok("info", "--format", "{{.Host.EventLogger}}") == "none\n"
        assert pypod("events", "--stream=false").returncode == 125
        pypod.ok("--events-backend=file", "run", "--rm", *root)
        assert Path(engine.layout.events).read_text().count("\n") > 1

    def test_a_logger_that_there_is_not(self, pypod, configured, busybox) -> None:
        configured('[engine]\nevents_logger = "bogus"\n')
        for words in (("create", "--rootfs", busybox, "true"), ("pod", "create"), ("info",), ("volume", "create")):
            done = pypod(*words)
            assert (done.returncode, done.stdout) == (125, "")
            assert done.stderr.startswith("Error: unknown event logger type: BOGUS: it is engine.events_logger of /")


@pytest.mark.root
class TestEngine:
    def test_variables(self, pypod, configured, busybox, monkeypatch) -> None:
        configured('[engine]\nenv = ["A=conf", "B=conf", "HTTPS_PROXY=http://proxy.example"]\n')
        monkeypatch.setenv("B", "set")
        run = ("run", "--rm", "--network=none", "-e", "A", "-e", "B", "--rootfs", f"{busybox}:O", "sh", "-c")
        assert pypod.ok(*run, "echo $A $B $HTTPS_PROXY") == "conf set http://proxy.example\n"

    def test_what_has_no_flag(self, pypod, configured, busybox) -> None:
        configured(
            '[containers]\ncontainer_name_as_hostname = true\nlog_tag = "{{.Name}}"\nlog_driver = "journald"\n'
            'cgroup_conf = ["x"]\n'
        )
        root = ("--network=none", "--rootfs", f"{busybox}:O", "hostname")
        done = pypod("create", *root)
        assert "\"containers.cgroup_conf\": 'x' must be in the form of KEY=VALUE" in done.stderr
        configured('[containers]\ncontainer_name_as_hostname = true\nlog_tag = "{{.Name}}"\n')
        pypod.ok("create", "--name=a_b.c", *root)
        assert pypod.ok("inspect", "--format", "{{.HostConfig.LogConfig.Tag}}", "a_b.c") == "{{.Name}}\n"
        assert pypod.ok("start", "--attach", "a_b.c") == "abc\n"
        assert pypod.ok("run", "--rm", "--hostname=own", *root) == "own\n"

    def test_owners_of_copies(self, pypod, configured, busybox, tmp_path) -> None:
        pypod.ok(
            "create", "--name=c", "--network=none", "--user=33", "--rootfs", f"{busybox}:O", "stat", "-c", "%u", "/f"
        )
        (tmp_path / "f").write_text("x")
        for value, owner in (("false", "0"), ("true", "33")):
            configured(f"[engine]\nchown_copied_files = {value}\n")
            pypod.ok("cp", str(tmp_path / "f"), "c:/f")
            assert pypod.ok("start", "--attach", "c") == f"{owner}\n"
