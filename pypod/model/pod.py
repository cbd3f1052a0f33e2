"""The specification of a pod, and its status as it follows from its containers."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.container import DEFAULT_SHM_BYTES, ContainerState
from pypod.model.ids import check_hostname, check_name
from pypod.model.namespace import DEFAULT_SHARE, HOST, PRIVATE, Mode
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.kernel.idmap import Range
    from pypod.model.device import Device
    from pypod.model.limits import Limits
    from pypod.model.mount import Mount
    from pypod.model.port import Port

CONTINUE, STOP = "continue", "stop"  # exit policies: what a pod does when its last member has ended


class PodSpec(Value):
    """The specification of a pod. ``share`` names the kinds of namespaces that the infra holds for all members.

    With ``pid`` and ``uts`` the members use other namespaces of these kinds than the infra's, provided they share them.
    ``devices`` and ``security_opt`` are for every member.
    """

    name: str
    share: tuple[str, ...] = DEFAULT_SHARE
    infra: bool = True
    infra_name: str = ""
    infra_command: tuple[str, ...] = ()
    hostname: str = ""
    add_hosts: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    shm_size_bytes: int = DEFAULT_SHM_BYTES
    cgroup_parent: str = ""
    share_parent: bool = True
    limits: Limits | None = None
    net: str = "private"
    net_program: str = ""
    user_namespace: Mode = HOST
    uid_map: tuple[Range, ...] = ()
    gid_map: tuple[Range, ...] = ()
    ports: tuple[Port, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    no_hosts: bool = False
    no_hostname: bool = False
    restart: str = ""
    exit_policy: str = ""
    pid: Mode = PRIVATE
    uts: Mode = PRIVATE
    devices: tuple[Device, ...] = ()
    security_opt: tuple[str, ...] = ()
    infra_conmon_pidfile: str = ""
    hosts_file: str = ""
    host_address: str = ""
    create_command: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()

    def check(self) -> None:
        check_name(self.name, where="running pod create option: ")
        if self.infra_name:
            check_name(self.infra_name, "--infra-name")
        if self.hostname:
            check_hostname(self.hostname)
        if not self.infra and self.infra_name:
            raise InvalidSpec("--infra-name", "cannot set infra-name without infra container: invalid configuration")
        if not self.infra and self.infra_command:
            raise InvalidSpec(
                "--infra-command", "cannot set infra-command without infra container: invalid configuration"
            )
        if self.hostname and self.uts != PRIVATE:
            raise InvalidSpec(
                "--hostname",
                f"invalid config provided: cannot set hostname when running in the {self.uts.mode} UTS namespace: "
                "invalid configuration",
            )
        if not self.infra and self.hostname:
            raise InvalidSpec("--hostname", "cannot set hostname without an infra container: invalid configuration")

    @property
    def held(self) -> tuple[str, ...]:
        """The kinds of namespaces that its infra creates: the shared ones that are not those of others."""
        others = {kind for kind in ("pid", "uts") if getattr(self, kind) != PRIVATE}
        return tuple(kind for kind in self.share if kind not in others) if others else self.share


# The states in podman's libpod/define/podstate.go, and Broken, our own: the infra died and left members running.
CREATED, RUNNING, DEGRADED, PAUSED = "Created", "Running", "Degraded", "Paused"
EXITED, STOPPED, BROKEN = "Exited", "Stopped", "Broken"


def pod_status(infra: ContainerState | None, members: Iterable[ContainerState]) -> str:
    """Return a pod's status: a function of its containers' states.

    >>> up, down = ContainerState(status="running"), ContainerState(status="exited", exit_code=0)
    >>> pod_status(up, [up, down]), pod_status(down, [up]), pod_status(down, [down])
    ('Degraded', 'Broken', 'Exited')

    The rules are podman's (libpod/pod_status.go), except for Broken.
    """
    states = list(members)
    if infra is not None and not infra.running and any(state.alive for state in states):
        return BROKEN
    every = states if infra is None else [infra, *states]
    if not every or all(state.status in ("created", "initialized") for state in every):
        return CREATED
    going = sum(state.status in ("running", "stopping") for state in every)
    if going:
        return RUNNING if going == len(every) else DEGRADED
    if all(state.status == "paused" for state in every):
        return PAUSED
    ended = sum(state.status == "exited" for state in every)
    return EXITED if ended == len(every) else STOPPED if ended else CREATED


class PodState(Value):
    """A snapshot of a pod: ``status`` as in podman, and each container's state by id."""

    status: str
    infra: ContainerState | None
    members: tuple[tuple[str, ContainerState], ...]
