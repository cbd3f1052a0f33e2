"""The plans of containers, infras and execs with given options, the same on every machine and for every user.

``test_plans.py`` compares them with ``plans.txt``; after an intended change, ``python -m tests.unit.plan_cases``
rewrites that file, and its diff shows the effect of the change. A line is an operation in words, followed by those
arguments, as the C programs read them, that the words leave out. Most plans are shown as differences from ``plain``,
``infra`` or ``exec``. The digest covers all bytes.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pypod.engine.lifecycle.exec import Exec, ExecSpec
from pypod.engine.lifecycle.joining import paths
from pypod.engine.specs.specs import container_spec
from pypod.kernel.capabilities import CAPABILITIES, bounding_set
from pypod.kernel.idmap import lines
from pypod.kernel.pidfd import Process
from pypod.model.container import ContainerSpec, ContainerState
from pypod.model.device import Device
from pypod.model.health import Healthcheck
from pypod.model.mount import Mount
from pypod.model.mount_flags import parse_mount
from pypod.model.namespace import POD, Mode
from pypod.model.options.container import ContainerOptions
from pypod.model.pod import PodSpec
from pypod.runtime.compiler.plans import container_ops, infra_ops
from pypod.runtime.compiler.surroundings import Join, Root, Surroundings
from pypod.runtime.oci import Places, runtime_spec
from pypod.runtime.ops import Op, Plan, plan
from pypod.runtime.trees import Tree
from pypod.store.records import ContainerRecord

RECORDED = Path(__file__).with_name("plans.txt")

_ID = "0123456789ab"
_DIRECTORY = f"/storage/containers/{_ID}"
_MERGED = "/storage/merged"
_FILTER = bytes(range(16))  # not a real program: a plan only carries it
_INFRA, _OTHER = Process(4242, 123456), Process(77, 8899)
_KINDS = ("net", "ipc", "uts", "pid", "user", "cgroup")
_RANGES = ((0, 100000, 1000), (1000, 1000, 1), (1001, 101000, 64536))
_HOST_DEVICES = (("/dev/fuse", 10, 229, 0o020666), ("/dev/loop0", 7, 0, 0o060660))
_OVERLAY = "lowerdir=1:0,upperdir=/storage/containers/x/upper,workdir=/storage/containers/x/work"
_OVERLAY_ROOT = Root(mounting=(Op("base", "/storage/layers"), Op("root", "overlay", "overlay", _MERGED, 0, _OVERLAY)))
_FUSE_ROOT = Root(
    settings=(Op("mount_program", f"{_DIRECTORY}/root", "boot", "", "/usr/bin/fuse-overlayfs", "-o", _OVERLAY, "/"),),
    mounting=(Op("root_fuse", _MERGED),),
    serving=(Op("serve_root"),),
)
_POD = PodSpec(name="web")


def _given(
    command: tuple[str, ...] | str = ("sleep", "1"),
    *,
    pod: PodSpec | None = None,
    spec: Mapping[str, Any] | None = None,
    places: Mapping[str, Any] | None = None,
    around: Mapping[str, Any] | None = None,
    **options: Any,
) -> Plan:
    """Return the plan of a container with these options; the other arguments replace facts about the host."""
    member = {} if pod else {"network": "none"}
    asked = container_spec(command, ContainerOptions(**{"rootfs": "/", **member, **options}), name="one", pod=pod)
    asked = asked.replace(**(spec or {}))
    joins = tuple(_joins(asked))
    shm_of = next((join.process for join in joins if join.process and "ipc" in join.kinds), None)
    host = {
        "root": _MERGED if asked.overlay else "/srv/root",
        "hosts": f"{_DIRECTORY}/hosts",
        "hostname_file": f"{_DIRECTORY}/hostname",
        "resolv_conf": f"{_DIRECTORY}/resolv.conf",
        "container_env": "/storage/containerenv",
        "init": "/usr/libexec/pypod/init" if asked.init else "",
        "cgroup_path": f"/pypod/{_ID}",
        "cgroup_mount": ("/sys/fs/cgroup", ""),
        "hostname": asked.hostname or _ID,
        "shared_shm": shm_of is not None,
        "ulimits": asked.ulimits,
        "namespace_paths": paths(joins),
        "devices": _HOST_DEVICES if asked.privileged else (),
    }
    config = runtime_spec(asked, Places(**{**host, **(places or {})}))
    filtered = not asked.privileged and asked.seccomp != "unconfined"
    beyond = {
        "root": _OVERLAY_ROOT if asked.overlay else Root(),
        "target": _MERGED,
        "joins": joins,
        "shm_of": shm_of,
        "born_in": f"/sys/fs/cgroup/pypod/{_ID}",
        "seccomp": _FILTER if filtered else b"",
        "filled": {one.target: (True, True) for one in asked.mounts if one.type == "volume" and one.copy_up},
        "keyring": f"_ses.{_ID}",
        "copies": "" if asked.overlay else _DIRECTORY,
    }
    return plan(
        [Op("log", f"{_DIRECTORY}/ctr.log")], container_ops(config, Surroundings(**{**beyond, **(around or {})}))
    )


def _joins(spec: ContainerSpec) -> Iterator[Join]:
    by_process: dict[Process, list[str]] = {}
    for kind in _KINDS:
        mode = spec.namespace(kind)
        if mode.mode == "ns":
            yield Join(kinds=(kind,), path=mode.target)
        elif mode.mode in ("pod", "container"):
            by_process.setdefault(_INFRA if mode == POD else _OTHER, []).append(kind)
    for process, kinds in by_process.items():
        inodes = tuple((kind, 4026532000 + _KINDS.index(kind)) for kind in kinds)
        yield Join(kinds=tuple(kinds), process=process, inodes=inodes)


def _infra(spec: PodSpec, *, command: tuple[str, ...] = ("/libexec/pause", "pypod-infra"), **around: Any) -> Plan:
    beyond = Surroundings(**{"target": _MERGED, "born_in": f"/sys/fs/cgroup/pypod/{_ID}", **around})
    ops = infra_ops(
        spec.share,
        hostname=spec.hostname or spec.name,
        shm_size_bytes=spec.shm_size_bytes,
        around=beyond,
        pause=command,
        sysctls=spec.sysctls,
        host_net=spec.net == "host",
    )
    return plan([Op("status", f"{_DIRECTORY}/status", "boot"), Op("leave")], ops)


def _exec(spec: ExecSpec, user_namespace: Mode | None = None, **options: Any) -> Plan:
    """Return the plan of an exec in a running container that has these options."""
    container = container_spec(
        ("sleep", "1"), ContainerOptions(**{"rootfs": "/", "network": "none", **options}), name="one"
    )
    if user_namespace:
        container = container.replace(user_namespace=user_namespace)
    row = {"id": _ID, "name": "one", "kind": "container", "cgroup": f"/pypod/{_ID}", "spec_json": "{}"}
    nothing = {"pod_id": "", "image": "", "command": "", "owner": "", "remove": 0, "created_ns": 0}
    record = ContainerRecord(**row, **nothing)
    cgroups = SimpleNamespace(
        clones_into_cgroup=True,
        tracking_directory=lambda path: f"/sys/fs/cgroup{path}",
        present=lambda _: (),
        join_files=lambda path, _: (f"/sys/fs/cgroup/pids{path}/cgroup.procs",),
    )
    engine: Any = SimpleNamespace(
        cgroups_of=lambda _: cgroups,
        event_file="/storage/events",
        rootless=False,
        default_filter=lambda _: (_FILTER, 0),
    )
    state = ContainerState(status="running", pid=77, start_time=8899)
    return Exec(context=engine, record=record, container=container, asked=spec, state=state, session=None).plan()


def _own_ids(**further: Any) -> dict[str, Any]:
    """Return the keywords of a container in its own user namespace, with ids 0 to 65536."""
    maps = (lines(_RANGES), lines(_RANGES))
    return {
        "spec": {"user_namespace": Mode(mode="private"), "uid_map": _RANGES, "gid_map": _RANGES},
        "places": {"rootless": True, "id_maps": (_RANGES, _RANGES)},
        "around": {"maps": maps, "ids_outside": (100000, 100000), "mapped": ("/storage",), **further},
    }


def _cases() -> Iterator[tuple[str, Plan]]:
    """Yield name and plan: ``plain`` with one or a few options at a time."""
    yield "plain", _given()
    yield "command_entrypoint", _given("one word", entrypoint=("/bin/sh", "-c"))
    yield "command_bytes", _given(("printf", "a\nb", "\udcff", "é", ""))
    yield "environment", _given(environment={"PATH": "/bin", "A": "1=2", "EMPTY": ""}, unsetenv=("TERM",))
    yield "environment_unset_all", _given(unsetenv_all=True)
    yield "working_directory", _given(working_directory="/srv/data")
    image_directory: dict[str, Any] = {"working_directory": "/srv", "around": {"create_cwd": True}}
    yield "working_directory_of_image", _given(**image_directory)
    yield "working_directory_of_image_read_only", _given(read_only=True, **image_directory)
    yield "user_name", _given(user="alice")
    yield "user_number", _given(user="1000:100")
    yield "user_number_in_own_root", _given(user="1000", overlay=False, working_directory="/home")
    yield "user_without_passwd", _given(user="1000", passwd=False)
    yield "user_passwd_entry", _given(user="1000", passwd_entry="$USERNAME:x:$UID:$GID:me:$HOME:/bin/ash")
    yield "user_added_capabilities", _given(user="alice", cap_add=("NET_RAW", "cap_kill"))
    yield "groups", _given(groups=("audio", "44"))
    yield "groups_kept", _given(groups=("keep-groups",))
    yield "umask", _given(umask=0o77)
    yield "hostname", _given(hostname="box")
    yield "root_as_it_is", _given(overlay=False)
    yield "root_by_a_program", _given(around={"root": _FUSE_ROOT})
    yield "read_only", _given(read_only=True)
    yield "init", _given(init=True)
    yield "terminal", _given(terminal=True)
    yield "interactive", _given(interactive=True)
    yield "without_effect", _given(**_WITHOUT_EFFECT)
    yield "hosts_none", _given(no_hosts=True)
    yield "hosts_added", _given(add_hosts=("db:10.0.0.1",), network="host")
    yield "resolv_conf_none", _given(network="host", places={"resolv_conf": ""})
    yield from _running()
    yield from _namespaces()
    yield from _rights()
    yield from _mounts()
    yield from _resources()
    yield from _user_namespaces()
    yield from _infras()
    yield from _execs()


def _running() -> Iterator[tuple[str, Plan]]:
    games = {"spec": {"host_users": ("games:*:5:60:games:/:/bin/sh", "a:*:7:7::/a:/bin/sh")}}
    yield "host_users", _given(**games)
    yield (
        "host_users_and_account",
        _given(user="7:8", group_entry="$GROUPNAME:x:$GID:$USERLIST", overlay=False, **games),
    )
    yield "timezone", _given(spec={"timezone": "UTC"}, places={"localtime": f"{_DIRECTORY}/localtime"})
    yield "personality", _given(personality="linux32")
    yield "init_path", _given(init=True, places={"init": "/usr/bin/catatonit"})
    yield "chroot_directories", _given(chroot_directories=("/a", "/b/c/", "/"))
    yield "read_only_without_tmpfs", _given(read_only=True, read_only_tmpfs=False)
    yield "systemd", _given(("/sbin/init",), places={"identifier": "f" * 64})
    fuse = Device(path="/dev/x", source="/dev/fuse", type="c", major=10, minor=229, mode=0o660, gid=5, access="r")
    disk = Device(path="/dev/null", source="/dev/loop0", type="b", major=7, minor=0)
    outside = fuse.replace(path="/opt/fuse")
    yield "devices", _given(spec={"devices": (fuse, disk, outside)})
    yield "devices_of_user", _given(spec={"devices": (fuse,)}, places={"rootless": True})
    yield "systemd_sized", _given(systemd="always", shm_size_systemd="1m", tmpfs=("/run:size=2m",))


# Kept in the specification, without effect on the plan's operations for the process.
_WITHOUT_EFFECT: dict[str, Any] = {
    "healthcheck": Healthcheck(test=("CMD", "true")),
    "labels": {"a": "b"},
    "stop_signal": "INT",
    "stop_timeout": 1,
    "exposed_ports": ("80", "90-91/udp"),
    "memory": 1 << 25,
    "cpus": 0.5,
    "pids_limit": 10,
    "remove": True,
    "cgroup_parent": "/mine",
    "annotations": {"a": "b"},
    "seccomp_policy": "default",
    "http_proxy": False,
    "host_environment": False,
}


def _namespaces() -> Iterator[tuple[str, Plan]]:
    for kind, option in (("net", "network"), ("pid", "pid"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroupns")):
        yield f"namespace_{kind}_host", _given(**{option: "host"})
        yield f"namespace_{kind}_of_container", _given(**{option: "container:other"})
        yield f"namespace_{kind}_at_path", _given(**{option: f"ns:/run/netns/{kind}"})
    every = {"network": "host", "pid": "host", "ipc": "host", "uts": "host", "cgroupns": "host"}
    yield "namespaces_host", _given(**every)
    yield "namespaces_of_container", _given(**dict.fromkeys(every, "container:other"))
    yield "namespace_ipc_none", _given(ipc="none")
    yield "namespace_ipc_shareable", _given(ipc="shareable")
    yield "namespaces_of_pod", _given(pod=_POD)
    yield "namespaces_of_pod_all", _given(pod=_POD.replace(share=("ipc", "net", "uts", "pid", "cgroup")))
    yield "namespaces_beside_pod", _given(pod=_POD, ipc="private", uts="host")
    yield "namespaces_of_pod_without_infra", _given(pod=_POD.replace(infra=False), network="none")
    yield "network", _given(around={"network": (Op("wait"), Op("netlink", "connect eth0", 0, b"\0\1\2", 4, 8))})


def _rights() -> Iterator[tuple[str, Plan]]:
    yield "privileged", _given(privileged=True)
    yield "privileged_user", _given(privileged=True, user="alice", cap_drop=("SYS_ADMIN",))
    yield "capabilities_added", _given(cap_add=("SYS_TIME", "net_admin"))
    yield "capabilities_added_all", _given(cap_add=("ALL",), cap_drop=("SYS_BOOT",))
    yield "capabilities_dropped", _given(cap_drop=("CHOWN", "KILL"))
    yield "capabilities_none", _given(cap_drop=("ALL",))
    yield "capabilities_one", _given(cap_drop=("ALL",), cap_add=("SETUID",))
    yield "seccomp_unconfined", _given(security_opt=("seccomp=unconfined",))
    yield "seccomp_flags", _given(around={"seccomp": b"\x06\0\0\0\0\0\xff\x7f", "seccomp_flags": 4})
    yield "no_new_privileges", _given(security_opt=("no-new-privileges",))
    yield "no_new_privileges_unconfined", _given(security_opt=("no-new-privileges:true", "seccomp=unconfined"))
    yield "masks", _given(security_opt=("mask=/proc/cpuinfo://sys/kernel/",))
    yield "unmask_some", _given(security_opt=("unmask=/proc/kcore:/proc/sys",))
    yield "unmask_all", _given(security_opt=("unmask=ALL", "mask=/proc/kcore"))
    yield "proc_options", _given(security_opt=("proc-opts=hidepid=2,subset=pid",))


def _mounts() -> Iterator[tuple[str, Plan]]:
    yield "volumes", _given(volumes=("/srv/b:/a/b/c", "/srv/a:/a:ro,nosuid,nodev,noexec", "/srv:/data:bind,rslave"))
    yield "volume_propagation", _given(volumes=("/a:/a:private", "/b:/b:slave", "/c:/c:rprivate"))
    yield "volume_at_dev", _given(volumes=("/dev:/dev",), terminal=True)
    yield "volume_at_cgroups", _given(volumes=("/sys/fs/cgroup:/sys/fs/cgroup",))
    yield "volume_at_etc", _given(volumes=("/srv/etc:/etc",))
    yield "volume_at_hosts", _given(volumes=("/srv/hosts:/etc/hosts", "/srv/shm:/dev/shm"))
    anonymous = {"type": "volume", "target": "/var/lib/data", "source": "/storage/volumes/ab"}
    yield (
        "volume_of_image",
        _given(mounts=(Mount(**anonymous), Mount(**{**anonymous, "target": "/d", "copy_up": False}))),
    )
    given = {"given": {"/v": True, "/w": False}, "filled": {"/w": (False, True)}}
    yield "volumes_given_to_a_user", _given(user="web", volumes=("/v:/v", "/w:/w"), around=given)
    yield "volumes_given_in_a_user_namespace", _given(user="7:8", volumes=("/v:/v", "/w:/w"), **_own_ids(**given))
    taken = {
        "/part": ("open_subtree", ("/storage/volumes/v/_data", "a/b", 1)),
        "/image": ("open_overlay", (_MERGED, "", "lowerdir=/l:/m")),
        "/shared": ("capture", (9, 99, "/srv", 1)),
    }
    special = (
        Mount(type="bind", source="/x", target="/part"),
        Mount(type="image", source="busybox", target="/image", options=("lowerdir=/l:/m",)),
        Mount(type="bind", source="/srv", target="/shared", propagation="rshared"),
        Mount(type="bind", source="/srv", target="/alone", propagation="unbindable"),
    )
    yield "mounts_taken_in_other_ways", _given(mounts=special, around={"taken": taken})
    yield (
        "memory_and_terminals",
        _given(mounts=(parse_mount("type=ramfs,dst=/r"), parse_mount("type=devpts,dst=/p,uid=5,mode=640"))),
    )
    yield "tmpfs", _given(tmpfs=("/tmp", "/cache:size=1m,mode=700,ro,noexec", "/run:notmpcopyup,dev,suid"))
    mount = "type=bind,src=/srv,dst=/data,ro,bind-propagation=rslave"
    yield (
        "mount_flags",
        _given(mounts=(parse_mount(mount), parse_mount("type=tmpfs,dst=/t,tmpfs-size=1k,tmpfs-mode=1770"))),
    )
    yield "mount_not_recursive", _given(mounts=(parse_mount("type=bind,src=/srv,dst=/data,bind-nonrecursive"),))
    version1 = {"cgroup_mount": ("/sys/fs/cgroup/pids", "pids")}
    yield "cgroups_of_version_1", _given(places=version1, around={"join_files": ("/sys/fs/cgroup/pids/x/tasks",)})
    trees = (
        Tree(target="/sys/fs/cgroup/cpu,cpuacct", options=("cpu", "cpuacct"), source=""),
        Tree(target="/sys/fs/cgroup/blkio", options=(), source="/sys/fs/cgroup/blkio/pypod/x"),
    )
    hybrid = {"cgroup_mount": ("/sys/fs/cgroup/unified", "")}
    yield "cgroups_of_both_versions", _given(places=hybrid, around={"trees": trees}, volumes=("/srv:/srv",))
    named = Tree(target="/sys/fs/cgroup/systemd", options=("none", "name=systemd"), source="", writable=True)
    yield "cgroups_of_both_versions_systemd", _given(systemd="always", places=hybrid, around={"trees": (named,)})
    yield "cgroups_of_version_1_privileged", _given(places=version1, privileged=True)


def _resources() -> Iterator[tuple[str, Plan]]:
    yield "ulimits", _given(ulimits=("nofile=1024:2048", "core=0", "memlock=-1:-1", "nproc=5:-1"))
    yield "shm_size", _given(shm_size=1 << 20)
    yield "oom_score", _given(oom_score_adj=-500)
    yield "sysctls", _given(sysctls={"net.ipv4.ip_forward": "1", "kernel.shmmax": "99", "fs/mqueue/msg_max": "7"})
    yield "keyring", _given(around={"keyring": "_ses.other"})
    yield "cgroups_joined", _given(around={"born_in": "", "join_files": ("/sys/fs/cgroup/a/cgroup.procs",)})


def _user_namespaces() -> Iterator[tuple[str, Plan]]:
    yield "user_namespace", _given(**_own_ids())
    yield "user_namespace_storage_as_it_is", _given(**_own_ids(mapped=()))
    yield "user_namespace_other_root", _given(user="1000", terminal=True, **_own_ids(ids=(1000, 1000)))
    yield "user_namespace_kept_groups", _given(groups=("keep-groups",), **_own_ids())
    yield "user_namespace_one_id", _given(**_own_ids(keep_groups=True))
    foreign = {"rootless": True, "foreign": ("ipc", "net", "uts")}
    member = {"pod": _POD.replace(share=("ipc", "net", "uts", "user")), "places": foreign}
    yield "user_namespace_of_pod", _given(around={"maps": (lines(_RANGES), lines(_RANGES))}, **member)
    other = {"user_namespace": Mode(mode="container", target="other")}
    yield "user_namespace_of_container", _given(spec=other, places=foreign, network="container:other")
    yield "user_namespace_at_path", _given(spec={"user_namespace": Mode(mode="ns", target="/proc/9/ns/user")})
    yield "user", _given(places={"rootless": True})
    yield "user_without_groups", _given(places={"rootless": True, "has_tty_group": False}, around={"keep_groups": True})
    host = {"network": "host", "pid": "host", "ipc": "host", "cgroupns": "host"}
    yield "user_on_host", _given(places={"rootless": True, "foreign": ("cgroup", "ipc", "net", "pid")}, **host)


def _infras() -> Iterator[tuple[str, Plan]]:
    yield "infra", _infra(_POD)
    yield "infra_shares_all", _infra(_POD.replace(share=(*_KINDS[:4], "cgroup"), hostname="box"))
    yield "infra_shares_nothing", _infra(_POD.replace(share=()))
    yield "infra_on_host", _infra(_POD.replace(net="host"))
    sysctls = (("kernel.msgmax", "9"), ("net.ipv4.ip_forward", "1"))
    yield "infra_sysctls", _infra(_POD.replace(sysctls=sysctls, shm_size_bytes=4096))
    yield "infra_command", _infra(_POD, command=("/bin/hold", "/bin/hold", "3"), join_files=("/sys/fs/cgroup/a/tasks",))
    yield "infra_network", _infra(_POD, network=(Op("wait"), Op("netlink", "connect eth0", 0, b"\0\1\2", 4, 8)))
    maps = (lines(_RANGES), lines(_RANGES))
    with_user = _POD.replace(share=("ipc", "net", "uts", "user"))
    yield "infra_user_namespace", _infra(with_user, maps=maps)
    yield "infra_user_namespace_one_id", _infra(with_user, maps=maps, ids=(1000, 1000), keep_groups=True)


def _execs() -> Iterator[tuple[str, Plan]]:
    yield "exec", _exec(ExecSpec(command=("id",)))
    asked = ExecSpec(command=("id",), user="alice", working_directory="/tmp", environment=(("A", "1"), ("HOME", "/h")))
    yield "exec_options", _exec(asked)
    yield "exec_terminal", _exec(ExecSpec(command=("sh",), terminal=True), unsetenv_all=True)
    strict = ("no-new-privileges", "seccomp=unconfined")
    yield "exec_in_strict", _exec(ExecSpec(command=("id",)), security_opt=strict, cap_drop=("ALL",), user="1000")
    yield "exec_privileged", _exec(ExecSpec(command=("id",), privileged=True), security_opt=strict[:1], user="alice")
    of_container = {"ulimits": ("nofile=10",), "umask": 0o27, "groups": ("audio",), "oom_score_adj": 7}
    yield "exec_as_container", _exec(ExecSpec(command=("id",)), **of_container, environment={"A": "1"})
    yield "exec_user_namespace", _exec(ExecSpec(command=("id",)), Mode(mode="private"))


@contextmanager
def _any_host() -> Iterator[None]:
    """Make all machines and users look alike: a full bounding set, and no resource limits of this process."""
    import resource

    replaced = [
        (module, "bounding_set", bounding_set)
        for name, module in sys.modules.items()
        if name.startswith("pypod.") and getattr(module, "bounding_set", None) is bounding_set
    ]
    kept: list[tuple[Any, str, Any]] = [*replaced, (resource, "getrlimit", resource.getrlimit)]
    for module, name, _ in replaced:
        setattr(module, name, lambda: CAPABILITIES)
    resource.getrlimit = lambda _: (-1, -1)
    network, os.environ["PYPOD_NETWORK"] = os.environ.get("PYPOD_NETWORK"), "none"
    try:
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)
        if network is None:
            del os.environ["PYPOD_NETWORK"]
        else:
            os.environ["PYPOD_NETWORK"] = network


def plans() -> dict[str, Plan]:
    """Return the plans by name."""
    with _any_host():
        return dict(_cases())


def sections() -> dict[str, str]:
    """Return the recorded form of each plan, by name."""
    every = plans()
    return {name: _section(name, what, every[_like(name)]) for name, what in every.items()}


def _like(name: str) -> str:
    """Return the name of the plan that another is compared with, or its own if it is shown whole."""
    return next((base for base in ("infra", "exec") if name.startswith(base)), "plain")


def _section(name: str, what: Plan, like: Plan) -> str:
    shown = _operations(what)
    if name != _like(name):
        compared = list(difflib.unified_diff(_operations(like), shown, n=1, lineterm=""))[2:]
        shown = ["  ..." if line.startswith("@@") else f"{line[0]} {line[1:]}" for line in compared]
    return "\n".join((*shown, f"sha256 {hashlib.sha256(what.encode()).hexdigest()}"))


def _operations(what: Plan) -> list[str]:
    found = []
    for described, (_, arguments) in zip(what.describe(), records(what.encode()), strict=True):
        shown = " | ".join(map(_shown, arguments))
        line = _shown(described.encode("utf-8", "surrogateescape"))
        found.append(line if shown.replace(" | ", " ") in line else f"{line}\n        {shown}")
    return found


def _shown(argument: bytes) -> str:
    text = argument.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)[1:-1]


def records(encoded: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield number and arguments of each operation in an encoded plan (pause/common/plan.c reads the same)."""
    at = 0
    while at < len(encoded):
        number, count = struct.unpack_from("<II", encoded, at)
        at += 8
        arguments = []
        for _ in range(count):
            (length,) = struct.unpack_from("<I", encoded, at)
            arguments.append(encoded[at + 4 : at + 4 + length])
            at += 4 + length + 1
        yield number, arguments


def named(what: Plan) -> list[tuple[str, list[str]]]:
    """Return name and arguments of each operation in an encoded plan; the names are those of ops.h."""
    (header,) = (Path(__file__).parents[2] / "pause").rglob("ops.h")
    table = header.read_text(encoding="utf-8")
    names = {int(number): name for number, name in re.findall(r"^\s*X\((\d+), (\w+), ", table, re.MULTILINE)}
    return [
        (names[number], [argument.decode("utf-8", "surrogateescape") for argument in arguments])
        for number, arguments in records(what.encode())
    ]


def recorded() -> dict[str, str]:
    """Return the recorded plans, by name."""
    found = (section.partition("\n") for section in RECORDED.read_text(encoding="utf-8").split("== ")[1:])
    return {name: section.rstrip("\n") for name, _, section in found}


def record() -> None:
    """Rewrite the file."""
    written = "\n".join(f"== {name}\n{section}\n" for name, section in sections().items())
    RECORDED.write_text(written, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    record()
