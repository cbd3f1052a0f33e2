"""Labels, annotations and unknown fields of an image that control an engine (CVE-2026-94603, CVE-2026-121885)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.images.layers import Layer
from tests.images.made import Made, tree
from tests.integration.images.test_images import bring
from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root

# keys that podman, crun, runc, cri-o, kata, systemd and kubernetes obey
STEERING = {
    **{f"io.podman.annotations.{name}": "TRUE" for name in ("privileged", "publish-all", "init", "autoremove")},
    "io.podman.annotations.seccomp": "unconfined",
    "io.podman.annotations.apparmor": "unconfined",
    "io.podman.annotations.label": "disable",
    "io.podman.annotations.userns": "host",
    "io.podman.annotations.pids-limit": "0",
    "io.podman.annotations.cid-file": "/tmp/cid",
    "io.podman.annotations.volumes-from": "all",
    "io.podman.annotations.checkpoint": "/tmp",
    "io.containers.capabilities": "ALL",
    "io.containers.autoupdate": "registry",
    "io.containers.seccomp.profile": "unconfined",
    "io.containers.trace-syscall": "of:/tmp/traced",
    "PODMAN_SYSTEMD_UNIT": "x.service",
    "run.oci.handler": "krun",
    "run.oci.hooks.stdout": "/tmp/hooks",
    "run.oci.keep_original_groups": "1",
    "run.oci.delegate-cgroup": "x",
    "run.oci.pidfd_receiver": "/tmp/socket",
    "run.oci.seccomp.receiver": "/tmp/socket",
    "run.oci.seccomp_fail_unknown_syscall": "1",
    "run.oci.systemd.subgroup": "x",
    "run.oci.systemd.force_cgroup_v1": "/sys/fs/cgroup",
    "run.oci.mount_context_type": "rootcontext",
    "run.oci.timens_offset": "1",
    "module.wasm.image/variant": "compat",
    "org.criu.config": "/etc/criu.conf",
    "org.systemd.property.DeviceAllow": "['/dev/sda rwm']",
    "org.systemd.property.CPUWeight": "uint64 10000",
    "io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel": "true",
    "io.kubernetes.cri-o.userns-mode": "host",
    "io.kubernetes.cri-o.Devices": "/dev/sda:/dev/sda:rwm",
    "io.kubernetes.cri-o.ShmSize": "1g",
    "io.kubernetes.cri-o.cgroup2-mount-hierarchy-rw": "true",
    "io.katacontainers.config.hypervisor.path": "/bin/sh",
    "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
    "container.apparmor.security.beta.kubernetes.io/x": "unconfined",
    "org.opencontainers.image.stopSignal": "SIGKILL",
    "org.opencontainers.runtime": "other",
    "cdi.k8s.io/x": "vendor.com/class=all",
}
UNKNOWN = {
    "HostConfig": {"Privileged": True, "CapAdd": ["ALL"], "Binds": ["/:/host"], "PidMode": "host"},
    "Privileged": True,
    "CapAdd": ["ALL"],
    "SecurityOpt": ["seccomp=unconfined"],
    "Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}],
    "Annotations": STEERING,
    "hooks": {"prestart": [{"path": "/bin/sh"}]},
    "linux": {"namespaces": [], "maskedPaths": []},
    "NetworkDisabled": True,
    "MacAddress": "02:00:00:00:00:01",
    "OpenStdin": True,
    "Tty": True,
    "Shell": ["/bin/sh", "-c"],
    "ArgsEscaped": True,
    "Memory": 1,
    "CpuShares": 1,
    "OnBuild": ["RUN touch /built"],
}


OF_STATUS = ("Cap", "Seccomp", "NoNewPrivs", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "CoreDumping", "THP_enabled")


class Loud(Made):
    """An image whose manifest and layers also have annotations."""

    def manifest_body(self) -> bytes:
        found = json.loads(super().manifest_body())
        found["annotations"] = found["config"]["annotations"] = STEERING
        for layer in found["layers"]:
            layer["annotations"] = STEERING
        return json.dumps(found).encode()


@pytest.fixture
def images(engine, busybox, probe: str):
    """Return the same image twice: plain, and with everything that could control an engine."""
    layers = (tree(busybox), Layer().add("probe", Path(probe).read_bytes(), mode=0o755).bytes())
    plain = Made(*layers, config={"Cmd": ["sh"]})
    loud = Loud(*layers, config={"Cmd": ["sh"], "Labels": STEERING, **UNKNOWN}, **UNKNOWN, container_config=UNKNOWN)
    return bring(engine, plain, "localhost/plain:latest"), bring(engine, loud, "localhost/loud:latest")


def test_only_labels_differ_in_what_is_stored(engine, images) -> None:
    specs = [engine.containers.create(image, ["true"], name=f"c{n}").spec() for n, image in enumerate(images)]
    differs = {key for (key, a), (_, b) in zip(specs[0].items(), specs[1].items(), strict=True) if a != b}
    assert differs == {"name", "image", "labels"}
    assert dict(specs[1].labels) == STEERING


def test_nothing_differs_inside(engine, images) -> None:
    assert _facts(engine, images[0]) == _facts(engine, images[1])
    # sanity check: an option that the user did request makes a difference
    assert _facts(engine, images[0], security_opt=["seccomp=unconfined"]) != _facts(engine, images[0])


def _facts(engine, image, **options) -> dict[str, object]:
    """Return the observable state of a container, for its first process and an exec, except what is unique to each."""
    found: dict[str, object] = {}
    container = engine.containers.run(image, ["/probe", "stay"], hostname="same", **options)
    try:
        report = Report(execute(container, "/probe"))
        first = dict(line.split(":", 1) for line in execute(container, "cat", "/proc/1/status").splitlines())
        for who, status in (("first", first), ("later", report.status)):
            found[who] = {name: value.strip() for name, value in status.items() if name.startswith(OF_STATUS)}
        found["mounts"] = {target: facts[:2] for target, facts in report.mounts.items()}
        found["rest"] = [report.all(name) for name in ("limit", "env", "umask", "cwd", "tty")]
        found["devices"] = sorted(report.all("device"))
        found["descriptors"] = report.descriptors
        found["own"] = [kind for kind, inode in report.pairs("ns").items() if int(inode) != _inode(kind)]
        found["root"] = execute(container, "ls", "/")
    finally:
        container.remove(force=True, timeout=0)
    return found


def _inode(kind: str) -> int:
    return Path(f"/proc/self/ns/{kind}").stat().st_ino
