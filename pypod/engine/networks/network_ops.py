"""What a plan does about the network of a container or of a pod's infra: for the supervisor, and inside."""

from __future__ import annotations

from pypod.engine.networks import attachments, published, user_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine
    from pypod.engine.networks.attachments import Wire
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.runtime.ops import Op


def inside_ops(engine: Engine, spec: ContainerSpec | PodSpec, wires: tuple[Wire, ...]) -> tuple[Op, ...]:
    """Return what is done in the new network namespace."""
    return (*attachments.inside_ops(wires), *user_network.inside_ops(engine, spec))


def host_ops(
    engine: Engine,
    identifier: str,
    name: str,
    spec: ContainerSpec | PodSpec,
    wires: tuple[Wire, ...],
    *,
    watched: bool,
) -> list[Op]:
    """Return what the supervisor does, ports first; if it stays (``watched``), also at the end.

    ``identifier`` is the container's or the infra's, ``name`` what the firewall shows beside its ports.
    """
    led = () if engine.rootless else spec.ports  # a user's are led by pasta
    return [
        *published.hold_ops(led),
        *attachments.host_ops(engine, wires, hairpin=bool(led)),
        *published.lead_ops(led, wires, name, watched=watched),
        *user_network.host_ops(engine, identifier, spec),
    ]
