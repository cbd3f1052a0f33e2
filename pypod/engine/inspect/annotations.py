"""The annotations that podman gives every container, which tools read."""

from __future__ import annotations

from pypod.model.moment import Timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.model.container import ContainerSpec
    from pypod.store.records import ContainerRecord


def annotations_of(record: ContainerRecord, spec: ContainerSpec, infra_id: str, *, started: bool) -> dict[str, str]:
    """Return a container's annotations as podman 4.3 sets them (libpod/define/annotations.go).

    ``infra_id`` is the infra of its pod; ``started``: it was started before, which adds those of the runtime.
    """
    flags = {"autoremove": spec.remove, "init": spec.init, "privileged": spec.privileged}
    found = {f"io.podman.annotations.{name}": str(given).upper() for name, given in flags.items()}
    found["io.kubernetes.cri-o.TTY"] = str(spec.terminal).lower()
    if infra_id and record.id != infra_id:
        found["io.kubernetes.cri-o.ContainerType"] = "container"
        found["io.kubernetes.cri-o.SandboxID"] = infra_id
    if started:
        found["io.container.manager"] = "libpod"
        found["io.kubernetes.cri-o.Created"] = str(Timestamp(record.created_ns))
        found["org.opencontainers.image.stopSignal"] = str(spec.stop_signal)
    return dict(sorted(found.items()))
