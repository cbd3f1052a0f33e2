"""pytest fixtures ``pod`` and ``container``, removed at the end of the test, even if pytest is killed by SIGKILL.

    def test_two_containers_share_localhost(pod):
        pod.run(["httpd", "-f", "-p", "8080"], rootfs="/srv/busybox")
        assert pod.run(["wget", "-qO-", "localhost:8080"], rootfs="/srv/busybox").wait() == 0

    @pytest.mark.pod(hostname="db", rootfs="/srv/busybox")
    def test_hostname(container):
        assert container.exec(["hostname"]).stdout == b"db\\n"

A test that uses them is skipped, with the reason, if the user may not create namespaces.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.api.pod import Pod


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", "pod(rootfs=DIR, **options): options for the fixtures pod and container (pypod)")


@pytest.fixture
def pypod_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with its own storage directory."""
    from pypod.api.engine import Engine
    from pypod.engine.networks import bridges, user_bridges
    from pypod.engine.session import session
    from pypod.errors import PypodError

    root: Path = tmp_path_factory.mktemp("pypod")
    root.chmod(0o755)
    with Engine(str(root / "storage")) as engine:
        try:
            session.environment(engine)
        except PypodError as error:
            pytest.skip(f"pypod cannot run pods as this user: {error}")
        yield engine
        for pod in engine.pods.list():
            pod.remove(force=True, timeout=0)
        for container in engine.containers.list(all=True):
            container.remove(force=True, timeout=0)
        for network in engine.networks.list():
            bridges.remove(engine, network.spec())
        user_bridges.end_session(engine)


@pytest.fixture
def pod(pypod_engine: Engine, request: pytest.FixtureRequest) -> Pod:
    """A running pod, removed after the test."""
    options = _options(request)
    made = pypod_engine.pods.create(ephemeral=True, **{k: v for k, v in options.items() if k in _of_pod(options)})
    made.start()
    return made


@pytest.fixture
def container(pod: Pod, request: pytest.FixtureRequest) -> Container:
    """A container that sleeps in ``pod``, on ``rootfs`` (default: the host's files, copy-on-write)."""
    given = _options(request)
    options = {k: v for k, v in given.items() if k not in _of_pod(given)}
    command = options.pop("command", ["sleep", "infinity"])
    return pod.run(command, **{"rootfs": "/", **options})


_POD_OPTIONS = ("name", "share", "share_parent", "hostname", "add_hosts", "sysctls", "shm_size", "network", "infra")
_INFRA_OPTIONS = (
    *("ports", "ip", "ip6", "mac_address", "network_aliases", "no_hosts", "dns", "dns_options", "dns_search"),
    *("userns", "uidmap", "gidmap", "subuidname", "subgidname"),
)


def _of_pod(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the pod's options: without an infra, members have their own network and ids."""
    return (*_POD_OPTIONS, *(_INFRA_OPTIONS if options.get("infra", True) else ()))


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    mark = request.node.get_closest_marker("pod")
    return dict(mark.kwargs) if mark else {}
