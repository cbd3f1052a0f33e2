"""secret create, ls, inspect, rm and exists, and --secret."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

import pypod
from pypod.errors import AlreadyExists, InvalidSpec, NoSuchSecret, Unsupported
from tests.cli.program import Program


@pytest.fixture
def storage(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "content").write_bytes(b"swordfish")
    return str(tmp_path / "content")


class TestCommands:
    def test_create_and_inspect(self, storage, engine, file) -> None:
        identifier = storage.ok("secret", "create", "-l", "a=b", "-l", "c", "--driver-opts", "k=v", "s1", file).strip()
        assert len(identifier) == 25
        (found,) = json.loads(storage.ok("secret", "inspect", "s1"))
        assert (found["ID"], found["Spec"]["Name"], found["Spec"]["Labels"]) == (identifier, "s1", {"a": "b", "c": ""})
        assert found["Spec"]["Driver"]["Options"]["k"] == "v"
        assert found["CreatedAt"] == found["UpdatedAt"]
        path = Path(engine.layout.root, "secrets", identifier)
        assert path.read_bytes() == b"swordfish"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_sources(self, storage, monkeypatch) -> None:
        storage.ok("secret", "create", "a", "-", stdin=b"from stdin")
        monkeypatch.setenv("A_SECRET", "from a variable")
        storage.ok("secret", "create", "--env", "b", "A_SECRET")
        shown = storage.ok("secret", "inspect", "--showsecret", "--format", "{{.SecretData}}", "a", "b")
        assert shown == "from stdin\nfrom a variable\n"

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("s1", "/no/such"), "open /no/such: no such file or directory"),
            (("--env", "s1", "NO_SUCH"), "cannot create store secret data: environment variable NO_SUCH is not set"),
            (("s1", "/"), "secret data must be larger than 0 and less than 512000 bytes"),
            (("s1", "/dev/zero"), "secret data must be larger than 0 and less than 512000 bytes"),
            (("-d", "bogus", "s1", "FILE"), "invalid driver"),
            (("s1",), "accepts 2 arg(s), received 1"),
        ],
    )
    def test_nothing_is_created(self, storage, engine, file, words, message) -> None:
        done = storage("secret", "create", *[file if word == "FILE" else word for word in words])
        assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (125, "", f"Error: {message}")
        assert storage.ok("secret", "ls", "-q") == ""
        assert not Path(engine.layout.root, "secrets").exists() or not os.listdir(f"{engine.layout.root}/secrets")

    def test_a_name_in_use(self, storage, engine, file) -> None:
        first = storage.ok("secret", "create", "s1", file)
        done = storage("secret", "create", "s1", file)
        assert (done.returncode, done.stderr) == (125, "Error: s1: secret name in use\n")
        assert storage.ok("secret", "create", "--ignore", "s1", file) == first
        other = storage.ok("secret", "create", "--replace", "s1", "-", stdin=b"new")
        assert other != first
        assert {name[:25] for name in os.listdir(f"{engine.layout.root}/secrets")} == {other.strip()}
        (found,) = json.loads(storage.ok("secret", "inspect", "s1"))
        assert found["CreatedAt"] < found["UpdatedAt"]

    def test_ls(self, storage, file) -> None:
        for name in ("b4", "b5"):
            storage.ok("secret", "create", name, file)
        heading, *rows = storage.ok("secret", "ls").splitlines()
        assert heading.split() == ["ID", "NAME", "DRIVER", "CREATED", "UPDATED"]
        assert [row.split()[1:3] for row in rows] == [["b4", "file"], ["b5", "file"]]
        assert storage.ok("secret", "ls", "--filter", "name=^b4", "--format", "{{.Name}}") == "b4\n"
        identifier = storage.ok("secret", "ls", "-q", "--filter", "name=b5")
        assert storage.ok("secret", "ls", "--noheading", "--filter", f"id={identifier[3:9]}").split()[1] == "b5"
        for words, message in (
            ("foo=1", 'invalid filter "foo"'),
            ("name", "filter input must be in the form of filter=value: name is invalid"),
        ):
            done = storage("secret", "ls", "--filter", words)
            assert (done.returncode, done.stderr) == (125, f"Error: {message}\n")

    def test_rm_and_exists(self, storage, file) -> None:
        first = storage.ok("secret", "create", "s1", file)
        storage.ok("secret", "create", "s2", file)
        assert storage("secret", "exists", "s1").returncode == 0
        done = storage("secret", "rm", first[:9], "nosuch")
        message = 'Error: no secret with name or id "nosuch": no such secret\n'
        assert (done.returncode, done.stdout, done.stderr) == (125, first, message)
        assert storage("secret", "exists", "s1").returncode == 1
        for words in ((), ("-a", "s2")):
            done = storage("secret", "rm", *words)
            assert done.stderr == "Error: `pypod secret rm` requires one argument, or the --all flag\n"
        assert storage.ok("secret", "rm", "--ignore", "nosuch") == ""
        assert len(storage.ok("secret", "rm", "--all").split()) == 1
        assert storage.ok("secret", "ls", "-q") == ""

    def test_inspect_of_nothing(self, storage) -> None:
        done = storage("secret", "inspect", "a", "b")
        missing = 'no secret with name or id "{}": no such secret'
        assert (done.returncode, done.stdout) == (125, "[]\n")
        assert done.stderr == (
            f"error inspecting secret: {missing.format('b')}\nError: inspecting secret: {missing.format('a')}\n"
        )


def shell_options(store: Path) -> str:
    at = f"{store}/$SECRET_ID"
    return f"list=ls {store},lookup=cat {at},store=cat > {at},delete=rm {at}"


class TestDrivers:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Path:
        (tmp_path / "store").mkdir()
        return tmp_path / "store"

    def test_shell(self, storage, engine, store, file) -> None:
        words = "-d", "shell", "--driver-opts", shell_options(store)
        identifier = storage.ok("secret", "create", *words, "s1", file).strip()
        assert (store / identifier).read_bytes() == b"swordfish"
        assert os.listdir(f"{engine.layout.root}/secrets") == [f"{identifier}.json"]
        shown = storage.ok("secret", "inspect", "--showsecret", "--format={{.Spec.Driver.Name}} {{.SecretData}}", "s1")
        assert shown == "shell swordfish\n"
        (store / identifier).rename(store / "away")
        done = storage("secret", "rm", "s1")
        message = f"Error: deleting secret s1: {identifier}: no secret data with ID"
        assert (done.returncode, done.stderr.splitlines()[-1]) == (125, message)
        assert storage("secret", "exists", "s1").returncode == 0
        (store / "away").rename(store / identifier)
        other = storage.ok("secret", "create", "--replace", *words, "s1", "-", stdin=b"new").strip()
        assert [(one.name, one.read_bytes()) for one in store.iterdir()] == [(other, b"new")]
        storage.ok("secret", "rm", "s1")
        assert list(store.iterdir()) == []

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("list=true,lookup=true", "missing config value: the shell driver needs delete, list, lookup, store"),
            ("list=true,lookup=true,store=true,delete=true,x=y", 'invalid shell driver option: "x"'),
            ("list=true,lookup=true,store=exit 3,delete=true", "creating secret s1: exit status 3"),
        ],
    )
    def test_what_a_shell_cannot_keep(self, storage, file, options, message) -> None:
        done = storage("secret", "create", "-d", "shell", "--driver-opts", options, "s1", file)
        assert (done.returncode, done.stderr.splitlines()[0]) == (125, f"Error: {message}")
        assert storage.ok("secret", "ls", "-q") == ""

    def test_pass(self, storage, store, file, tmp_path, monkeypatch) -> None:
        """gpg is called as podman calls it; this one only turns letters."""
        program = tmp_path / "bin" / "gpg"
        program.parent.mkdir()
        program.write_text(
            '#!/bin/sh\n[ "$1 $2" = "--homedir /keys" ] || exit 2\nshift 2\n'
            'case "$1" in --decrypt) tr b-za a-z < "$2";;\n'
            '--encrypt) [ "$2 $3" = "-r me" ] && tr a-z b-za > "$5";; esac\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        (store / ".gpg-id").write_text("me\n")
        below = store / "below"
        below.mkdir()
        options = f"root={below},gpghomedir=/keys"
        identifier = storage.ok("secret", "create", "-d", "pass", "--driver-opts", options, "s1", file).strip()
        assert (below / f"{identifier}.gpg").read_bytes() == b"txpsegjti"
        assert storage.ok("secret", "inspect", "--showsecret", "--format={{.SecretData}}", "s1") == "swordfish\n"
        storage.ok("secret", "rm", "s1")
        assert [one.name for one in below.iterdir()] == []

    def test_configured(self, storage, store, file, tmp_path, monkeypatch) -> None:
        pairs = [one.partition("=")[::2] for one in shell_options(store).split(",")]
        lines = [f"{name} = '{value}'\n" for name, value in pairs]
        (tmp_path / "one.conf").write_text(f"[secrets]\ndriver = 'shell'\n[secrets.opts]\n{''.join(lines)}")
        monkeypatch.setenv("CONTAINERS_CONF", str(tmp_path / "one.conf"))
        identifier = storage.ok("secret", "create", "s1", file).strip()
        assert (store / identifier).read_bytes() == b"swordfish"
        done = storage("secret", "create", "--driver-opts", "list=true", "s2", file)  # instead of the configured ones
        assert done.stderr.startswith("Error: missing config value")

    @pytest.mark.root
    def test_a_container_keeps_a_copy(self, storage, engine, store, file, busybox) -> None:
        words = "-d", "shell", "--driver-opts", shell_options(store)
        identifier = storage.ok("secret", "create", *words, "s1", file).strip()
        uses = "--secret=s1", "--secret=s1,type=env,target=WORD"
        script = 'cat /run/secrets/s1; echo " $WORD"'
        flags = "--network=none", *uses, "--rootfs", f"{busybox}:O", "sh", "-c", script
        storage.ok("run", "--explain", "--name=c", *flags)
        storage.ok("create", "--name=c", *flags)
        (store / identifier).write_bytes(b"changed")
        assert storage.ok("start", "-a", "c") == "swordfish swordfish\n"
        assert storage.ok("run", "--rm", *flags) == "changed changed\n"
        storage.ok("secret", "rm", "s1")
        assert storage.ok("start", "-a", "c") == "swordfish swordfish\n"
        (copy,) = Path(engine.layout.root, "containers").glob("*/secrets/*")
        assert (copy.name, stat.S_IMODE(copy.stat().st_mode)) == (identifier, 0o600)
        storage.ok("rm", "c")
        assert not copy.exists()

    @pytest.mark.root
    def test_a_lookup_that_fails(self, storage, busybox, file) -> None:
        options = "list=true,lookup=false,store=true,delete=true"
        identifier = storage.ok("secret", "create", "-d", "shell", "--driver-opts", options, "s1", file).strip()
        done = storage("create", "--secret=s1", "--rootfs", busybox, "true")
        assert (done.returncode, done.stderr) == (125, f"Error: {identifier}: no secret data with ID\n")
        assert storage.ok("ps", "-aq") == ""


class TestLibrary:
    def test_handles(self, engine) -> None:
        secret = engine.secrets.create("s1", "swordfish", labels={"a": "b"})
        assert engine.secrets.get(secret.id[:9]) == secret == pypod.Secret.get("s1", engine=engine)
        assert (secret.content(), secret.inspect()["Spec"]["Labels"]) == (b"swordfish", {"a": "b"})
        assert [one.name for one in engine.secrets.list()] == ["s1"]
        with pytest.raises(AlreadyExists):
            engine.secrets.create("s1", b"x")
        secret.remove()
        secret.remove()
        with pytest.raises(NoSuchSecret):
            secret.content()
        with pytest.raises(Unsupported):
            engine.secrets.create("s1", b"x", options={"path": "/elsewhere"})
        with pytest.raises(InvalidSpec):
            engine.containers.create(["true"], rootfs="/", secrets=["s1,type=what"])


@pytest.mark.root
class TestInContainers:
    @pytest.fixture(autouse=True)
    def secrets(self, engine) -> None:
        engine.secrets.create("s1", b"swordfish")
        engine.secrets.create("s2", b"other")

    def test_files(self, storage, busybox) -> None:
        flags = "--secret=s1", "--secret=s2,target=a/b,uid=5,gid=6,mode=0400", "--secret=s1,target=/etc/deep/x"
        script = (
            "cat /run/secrets/s1 /run/secrets/a/b /etc/deep/x; echo;"
            "stat -c '%u %g %a' /run/secrets /run/secrets/s1 /run/secrets/a/b /etc/deep/x;"
            "stat -f -c %T /run/secrets /run/secrets/s1 /etc/deep/x; ls -A /run/secrets"
        )
        out = storage.ok("run", "--rm", "--network=none", *flags, "--rootfs", f"{busybox}:O", "sh", "-c", script)
        assert out == "swordfishotherswordfish\n0 0 755\n0 0 444\n5 6 400\n0 0 444\ntmpfs\ntmpfs\ntmpfs\na\ns1\n"

    def test_variables(self, storage, busybox) -> None:
        flags = "--secret=s1,type=env", "--secret=s2,type=env,target=B", "-e", "B=before"
        run = ("run", "-d", "--network=none", "--name=c", *flags, "--rootfs", f"{busybox}:O")
        storage.ok(*run, "sh", "-c", "echo $s1 $B; exec sleep 1000")
        assert storage.ok("exec", "c", "sh", "-c", "echo $s1 $B") == "swordfish other\n"
        assert storage.ok("exec", "-e", "B=mine", "c", "sh", "-c", "echo $B") == "mine\n"
        assert storage.ok("logs", "c") == "swordfish other\n"

    @pytest.mark.parametrize("flags", [(), ("--read-only",), ("--privileged",), ("--tmpfs=/run",)], ids=str)
    def test_in_any_root(self, storage, busybox, flags) -> None:
        run = ("run", "--rm", "--network=none", *flags, "--secret=s1", "--rootfs", f"{busybox}:O")
        assert storage.ok(*run, "cat", "/run/secrets/s1") == "swordfish"

    def test_in_a_user_namespace(self, storage, busybox, tmp_path) -> None:
        rootfs = shutil.copytree(busybox, tmp_path / "root", symlinks=True)
        shutil.rmtree(rootfs / "run", ignore_errors=True)  # of root on the host, where nothing can be made inside
        maps = "--uidmap=0:100000:5000", "--gidmap=0:100000:5000"
        flags = "--secret=s1,uid=5,mode=400", "--secret=s1,type=env"
        script = "cat /run/secrets/s1; echo $s1; stat -c %u /run/secrets/s1"
        out = storage.ok("run", "--rm", "--network=none", *maps, *flags, "--rootfs", f"{rootfs}:O", "sh", "-c", script)
        assert out == "swordfishswordfish\n5\n"

    def test_a_container_keeps_the_content(self, storage, engine, busybox) -> None:
        storage.ok(
            "create", "--name=c", "--network=none", "--secret=s1", "--rootfs", f"{busybox}:O", "cat", "/run/secrets/s1"
        )
        engine.secrets.create("s1", b"later", replace=True)
        assert storage.ok("start", "-a", "c") == "swordfish"
        storage.ok("secret", "rm", "--all")
        assert storage.ok("start", "-a", "c") == "swordfish"
        assert len(os.listdir(f"{engine.layout.root}/secrets")) == 1
        storage.ok("rm", "c")
        assert os.listdir(f"{engine.layout.root}/secrets") == []

    def test_what_is_missing(self, storage, busybox) -> None:
        done = storage("run", "--secret=nosuch", "--rootfs", f"{busybox}:O", "true")
        assert (done.returncode, done.stderr) == (125, 'Error: no secret with name or id "nosuch": no such secret\n')
        assert storage.ok("ps", "-aq") == ""

    def test_what_a_crash_left(self, storage, engine) -> None:
        left = Path(engine.layout.root, "secrets", "f" * 25)
        left.write_bytes(b"x")
        assert f"left behind: {left}" in storage("system", "check").stdout
        assert f"removed {left}" in storage("system", "check", "--repair").stdout
        assert not left.exists()
        assert engine.secrets.get("s1").content() == b"swordfish"
