"""The rules of the firewall, including the forwarding to running containers."""

from __future__ import annotations

from pypod.engine.networks import bridge_alias, published
from pypod.engine.networks.ports import own_ports
from pypod.engine.networks.running import running
from pypod.network import firewall
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context


def load_rules(context: Context) -> None:
    """Load the firewall's rules again, with all networks whose bridges exist and all published ports."""
    known = [one for one in networks.all_networks(context.database) if bridge_alias.has_bridge(context, one)]
    ways, forwarded = [], []
    for one in running(context):
        ports = () if context.rootless else own_ports(context, one.record)
        if ports and one.attached:
            forwarded.append((ports, one.attached))
            four, six = published.addresses(one.attached)
            ways.append((ports, four, six, one.record.name))
    with firewall.open_channel() as channel:
        firewall.ensure_table(channel, again=True)
        for transaction in firewall.everything(known, ways):
            channel.send(transaction)
    for ports, attached in forwarded:
        published.redirect(context, ports, attached)
