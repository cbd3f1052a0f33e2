"""Manifest lists: podman and pypod push the same for the same commands, and each reads the other's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Program
from tests.docker_registry import DockerRegistry, needs_docker_registry
from tests.images.tiny import Tiny
from tests.oracle.test_archives_oracle import Run, podman, run, tool

pytestmark = [pytest.mark.root, needs_docker_registry]
__all__ = ["podman"]


def entries(body: str) -> list[dict[str, Any]]:
    return sorted(json.loads(body)["manifests"], key=lambda entry: entry["digest"])


@tool("podman")
@tool("skopeo")
def test_both_make_the_same_list(tmp_path: Path, podman: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    images = {
        "amd": Tiny({"a": b"a"}, name="localhost/amd:1"),
        "arm": Tiny({"b": b"b"}, name="localhost/arm:1", architecture="arm64", variant="v8"),
    }
    pypod = Program(str(tmp_path / "storage"))
    (tmp_path / "registry").mkdir()
    with DockerRegistry(tmp_path / "registry") as registry:
        # podman 4.3.1 ignores --tls-verify=false in some of these verbs
        (tmp_path / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
        monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))

        def raw(name: str) -> str:
            return run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/{name}")

        for name, image in images.items():
            pypod.ok("load", "-q", "-i", str(image.save(tmp_path / "image.tar")))
            pypod.ok("push", "-q", f"{name}:1", f"{registry.host}/of/{name}:1")
        members = [f"docker://{registry.host}/of/{name}:1" for name in images]
        for who, command in (("podman", podman), ("pypod", pypod.ok)):
            command("manifest", "create", "web", members[0])
            command("manifest", "add", "--annotation", "k=v", "--os-version", "7", "web", members[1])
            for form in ("oci", "v2s2"):
                target = f"docker://{registry.host}/{who}/{form}:1"
                command("manifest", "push", "-q", "--format", form, "web", target)
        assert entries(raw("podman/oci:1")) == entries(raw("pypod/oci:1"))
        # docker manifests have no canonical form: the bytes of ours differ from podman's
        shown = [
            [(entry["mediaType"], entry["platform"]) for entry in json.loads(raw(f"{who}/v2s2:1"))["manifests"]]
            for who in ("podman", "pypod")
        ]
        assert sorted(shown[0], key=str) == sorted(shown[1], key=str)
        # podman shows it in docker's format, which has no annotations
        inspected = podman("manifest", "inspect", f"{registry.host}/pypod/oci:1")
        plain = [{**entry, "annotations": None} for entry in entries(raw("pypod/oci:1"))]
        assert [{**entry, "annotations": None} for entry in entries(inspected)] == plain
        podman("pull", "-q", "--arch", "arm64", f"{registry.host}/pypod/v2s2:1")
        other = Program(str(tmp_path / "other"))
        pulled = other.ok("pull", "-q", "--arch", "arm64", f"{registry.host}/podman/v2s2:1")
        assert pulled == f"{images['arm'].id}\n"
        other.ok("manifest", "create", "--all", "web", f"docker://{registry.host}/podman/oci:1")
        assert entries(other.ok("manifest", "inspect", "web")) == entries(raw("podman/oci:1"))
