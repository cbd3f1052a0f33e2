"""The network part of a start, for a container or a pod's infra: in the supervisor, the new process, and Python."""

from __future__ import annotations

from pypod.engine.core.effects import Effect
from pypod.engine.networks import attachments, published, user_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.networks.running import Attachment
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.runtime.ops import Op


def inside_ops(context: Context, spec: ContainerSpec | PodSpec, attached: tuple[Attachment, ...]) -> tuple[Op, ...]:
    """Return the operations in the new network namespace."""
    return (*attachments.inside_ops(attached), *user_network.inside_ops(context, spec))


def host_ops(
    context: Context,
    identifier: str,
    name: str,
    spec: ContainerSpec | PodSpec,
    attached: tuple[Attachment, ...],
    *,
    watched: bool,
) -> list[Op]:
    """Return the supervisor's operations, ports first; if it stays (``watched``), also those at the end.

    ``identifier`` is the container's or the infra's, ``name`` the firewall's comment on its ports.
    """
    forwarded = () if user_network.program_of(context, spec) else spec.ports
    return [
        *published.hold_ops(forwarded),
        *attachments.host_ops(context, attached, hairpin=bool(forwarded)),
        *published.forward_ops(forwarded, attached, name, watched=watched),
        *user_network.host_ops(context, identifier, spec),
    ]


def once_running(context: Context, spec: ContainerSpec | PodSpec, attached: tuple[Attachment, ...]) -> list[Effect]:
    """Return what Python does once the process runs: from then on packets reach it."""
    made: list[Effect] = []
    ends = [attachment.made.host_interface for attachment in attached if attachment.made.host_interface]
    if ends:
        words = f"have {', '.join(ends)} pass packets on at once"
        made.append(Effect(words, "rtnetlink(7)", lambda: attachments.refresh_carrier(attached)))
    udp = [port for port in spec.ports if port.protocol == "udp"]
    if udp and not user_network.program_of(context, spec):
        made.append(
            Effect(
                f"forget the flows to {', '.join(map(str, udp))} that went elsewhere",
                "netlink(7)",
                lambda: published.redirect(context, spec.ports, attached, has_begun=True),
            )
        )
    return made
