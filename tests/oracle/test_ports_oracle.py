"""--publish and --expose as podman understands them: the same bindings, the same errors in the same words."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pypod.engine.inspect.networks import bindings
from pypod.errors import InvalidSpec
from pypod.model.port import Port, joined, parse_ports
from tests.oracle.podman import is_later

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]

TEXTS = [
    *("8080:80", "80:80/UDP", "80:80/sctp", "127.0.0.1:80:80", "0.0.0.0:80:80", "[::1]:80:80", "[0::0:1]:80:80"),
    *("[::]:80:80", "[1.2.3.4]:80:80", "8000-8002:9000-9002", "080:80", "+80:80", "65535:65535", "127.0.0.1::80"),
    *("80", ":80", "9000-9001", "80:80/", "80:80/xyz", "80/tcp/udp", ":80:80", "1.2.3:80:80", "01.2.3.4:1:2"),
    *("::1:80:80", "[::1]:80", "[::1]80", "[::1", "::1]:80:80", "[::1]:1:2:3", "[::1]:[::2]:80", "[fe80::1%lo]:1:1"),
    *("a:80", "80:b", "80:0", "65536:1", "-1:80", "80:80-", "80:82-81", "80:80-80", "80:1-2-3", "80-82:80-81", ":"),
    *(" 80:80", "80 :80", "0x50:80", "8_0:80", "80.0:80"),
]
TOGETHER = [
    ("80:80", "81:81", "90:90/udp", "127.0.0.1:95:95"),
    ("8000-8002:9000-9002", "8002-8003:9002-9003"),
    ("80:80", "80:80"),
    ("80:80", "82:82", "81:81"),
    ("80:80", "81:80"),
]


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory):
    base = tmp_path_factory.mktemp("podman")
    (base / "fs").mkdir()
    run_root = Path("/run") / f"o-{base.name[-20:]}"
    words = [
        "podman",
        "--log-level=error",
        "--storage-driver=vfs",
        "--root",
        str(base / "root"),
        "--runroot",
        str(run_root),
    ]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*words, *more], capture_output=True, text=True, check=False)

    def create(*texts: str) -> tuple[dict[str, object], str]:
        """Return the port bindings, or the error."""
        flags = [word for text in texts for word in ("-p", text)]
        done = run("create", "--network", "bridge", *flags, "--rootfs", str(base / "fs"), "true")
        if done.returncode:
            return {}, done.stderr.strip().removeprefix("Error: ")
        shown = run("inspect", "--format", "{{json .HostConfig.PortBindings}}", done.stdout.strip())
        run("rm", done.stdout.strip())
        # podman 4 leaves this empty, later versions fill it in
        told = shown.stdout.replace('"HostIp":"0.0.0.0"', '"HostIp":""') if is_later() else shown.stdout
        return json.loads(told), ""

    yield create
    shutil.rmtree(run_root, ignore_errors=True)


def ours(*texts: str) -> tuple[dict[str, object], str]:
    try:
        return bindings(joined(parse_ports(texts))), ""
    except InvalidSpec as error:
        return {}, str(error)


def without_random(found: dict[str, list[dict[str, str]]], ports: tuple[Port, ...]) -> dict[str, object]:
    """Replace each randomly chosen host port by its offset in the range."""
    chosen = [port for port in ports if not port.host_port]
    for port in chosen:
        for at in range(port.count):
            for row in found[f"{port.container_port + at}/{port.protocol}"]:
                assert int(row["HostPort"]) > 0
                row["HostPort"] = str(at)
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_one(podman, text: str) -> None:
    theirs, message = podman(text)
    found, own_message = ours(text)
    assert message == own_message
    if not message:
        assert without_random(theirs, parse_ports([text])) == found


@pytest.mark.parametrize("texts", TOGETHER)
def test_several(podman, texts: tuple[str, ...]) -> None:
    assert podman(*texts) == ours(*texts)
