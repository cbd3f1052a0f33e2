"""The demonstration that pypod was written for, typed as on the slide, with images from a registry on loopback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod.images.archive.detect import open_source
from pypod.images.config.registries import load
from pypod.images.registry.access import Access
from pypod.images.registry.client import RegistryDestination
from pypod.model.images.reference import parse
from tests.cli.program import Program
from tests.docker_registry import DockerRegistry, needs_docker_registry
from tests.images.made import busybox_image, layer
from tests.images.stand_ins import archives
from tests.images.stored import copy

pytestmark = [pytest.mark.root, needs_docker_registry]

APACHE = "registry.access.redhat.com/rhscl/httpd-24-rhel7"
BUSYBOX = "docker.io/library/busybox"


class World:
    """A storage, and a registry that stands in for docker.io and Red Hat's through registries.conf."""

    def __init__(self, directory: Path, registry: str, root: str) -> None:
        self.pypod = Program(root)
        self._registry = registry
        self.registries_conf = directory / "registries.conf"
        self.registries_conf.write_text(
            'unqualified-search-registries = ["docker.io"]\n'
            + "".join(
                f'[[registry]]\nprefix = "{name}"\nlocation = "{registry}/{name}"\ninsecure = true\n'
                for name in ("docker.io", "registry.access.redhat.com")
            )
        )

    def push(self, source, name: str) -> None:
        with RegistryDestination(parse(f"{self._registry}/{name}"), Access(tls_verify=False), load()) as destination:
            copy(source, destination)


@pytest.fixture
def world(tmp_path: Path, engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "registry").mkdir()
    with DockerRegistry(tmp_path / "registry") as registry:
        made = World(tmp_path, registry.host, engine.layout.root)
        monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(made.registries_conf))
        yield made


def test_the_demonstration(world: World, busybox: str) -> None:
    page = layer({"var/www/index.html": b"It works!\n"}, mode=0o644)
    httpd = {"Entrypoint": ["httpd", "-f", "-p", "8080"], "Cmd": ["-h", "/var/www"], "User": "1001"}
    world.push(busybox_image(busybox, page, config=httpd), APACHE)
    world.push(busybox_image(busybox), BUSYBOX)
    demonstrate(world, "localhost:8080", "It works!", "-h /var/www")


def test_the_demonstration_with_apache(world: World) -> None:
    made = archives("httpd", "busybox")
    for file, name in (("httpd", APACHE), ("busybox", BUSYBOX)):
        with open_source("oci-archive", str(made[file])) as source:
            world.push(source, name)
    demonstrate(world, "localhost:8080/noindex/", "It works.", "/usr/bin/run-http...")


def demonstrate(world: World, address: str, answer: str, command: str) -> None:
    """Type the slide's commands, and check the output of each."""
    pypod = world.pypod
    pod = pypod.ok("create", "--name", "mipod").strip()
    assert re.fullmatch("[0-9a-f]{64}", pod)

    started = pypod("run", "-dt", "--pod", "mipod", "--name", "apache", APACHE)
    assert started.returncode == 0, started
    apache = started.stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", apache)
    assert started.stderr.startswith(f"Trying to pull {APACHE}:latest...\nGetting image source signatures\nCopying ")

    with pypod.terminal("run", "-it", "--pod", "mipod", "--name", "busypod", "busybox") as user:
        user.expect(f"Trying to pull {BUSYBOX}:latest...")
        user.expect("# ")
        user.type(f"until wget -qO- {address}; do sleep 0.1; done\n")  # it may not be listening yet
        user.expect(answer)
        user.type("hostname\n")
        user.expect("mipod")
        user.expect("# ")
        look_at(pypod, pod, apache, command)
        user.type("exit 7\n")
        assert user.wait() == 7
    assert pypod.ok("ps", "-a", "-f", "name=busypod", "--format", "{{.Status}}").startswith("Exited (7) ")

    assert pypod.ok("pod", "rm", "-f", "mipod") == f"{pod}\n"
    assert pypod.ok("ps", "-aq") == pypod.ok("pod", "ps", "-q") == ""


def look_at(pypod: Program, pod: str, apache: str, command: str) -> None:
    """While both run, check the listings, Apache's user and the shared namespaces."""
    title, row = pypod.ok("pod", "ps").splitlines()
    assert re.split("  +", title.strip()) == ["POD ID", "NAME", "STATUS", "CREATED", "INFRA ID", "# OF CONTAINERS"]
    shown = re.split("  +", row.strip())
    assert (*shown[:3], shown[5]) == (pod[:12], "mipod", "Running", "3")

    title, *lines = pypod.ok("ps", "--pod").splitlines()
    assert title.split()[-3:] == ["POD", "ID", "PODNAME"]
    rows = {line.split()[-3]: re.split("  +", line.strip()) for line in lines}
    assert rows.keys() == {f"{pod[:12]}-infra", "apache", "busypod"}
    assert all(row[-2:] == [pod[:12], "mipod"] for row in rows.values())
    assert rows["apache"][:3] == [apache[:12], f"{APACHE}:latest", command]
    assert rows["busypod"][1:3] == [f"{BUSYBOX}:latest", "sh"]

    assert pypod.ok("exec", "apache", "id").startswith("uid=1001(")

    members = f"{pod[:12]}-infra,apache,busypod"
    shared, own = set(), set()
    for line in pypod.ok("lsns", "-o", "NS,TYPE,POD,CONTAINER").splitlines()[1:]:
        if " mipod " in line:
            number, kind, _, containers = line.split()
            (shared if containers == members else own).add(kind)
            if containers == members:
                inside = pypod.ok("exec", "busypod", "readlink", f"/proc/self/ns/{kind}")
                assert inside == f"{kind}:[{number}]\n"
    assert (shared, own) == ({"net", "ipc", "uts"}, {"mnt", "pid", "cgroup"})
