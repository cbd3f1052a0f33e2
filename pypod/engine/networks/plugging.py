"""Add and remove the interface of an attachment in a running container."""

from __future__ import annotations

import errno
import os

from pypod.engine.core.enter import enter, open_namespace
from pypod.engine.networks import attachments, ports, user_bridges
from pypod.kernel.netlink import Channel, patched
from pypod.network import links, rtnetlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.networks.running import Attachment
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord


def plug(context: Context, record: ContainerRecord, state: ContainerState, attachment: Attachment) -> None:
    """Add the interface of an attachment to a running container; its bridge exists. Raises OSError, WrongState.

    After a failure the caller must call ``unplug``.
    """
    if user_bridges.are_elsewhere(context):
        user_bridges.call(context, plug, record, state, attachment)
        return
    hairpin = bool(ports.own_ports(context, record))
    namespace = open_namespace(record.name, state, "net")
    try:
        with Channel() as channel:
            messages = attachments.host_messages(context, attachment, rtnetlink.BY_DESCRIPTOR, hairpin=hairpin)
            channel.send(patched(*messages, namespace))
    finally:
        os.close(namespace)
    set_up_inside(record, state, attachment)
    attachments.refresh_carrier([attachment])


def set_up_inside(record: ContainerRecord, state: ContainerState, attachment: Attachment) -> None:
    """Configure the missing addresses and routes of an attachment's interface inside. Raises OSError, WrongState."""
    with enter(record.name, state, ("net",)), Channel() as channel:
        index = links.index_of(attachment.made.interface)
        channel.send(patched(*attachments.inside_messages(attachment), index), tolerated=(errno.EEXIST,))


def unplug(context: Context, record: ContainerRecord, state: ContainerState, attachment: Attachment) -> None:
    """Remove the interface of an attachment, if it exists. Raises OSError, WrongState."""
    if user_bridges.are_elsewhere(context):
        user_bridges.call(context, unplug, record, state, attachment)
        return
    if attachment.made.host_interface:
        links.remove_link(attachment.made.host_interface)
        return
    with enter(record.name, state, ("net",)):
        links.remove_link(attachment.made.interface)
