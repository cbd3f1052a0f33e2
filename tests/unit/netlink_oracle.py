"""Packed netlink messages as pyroute2 parses them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from pyroute2.netlink.nfnetlink.nftsocket import nft_gen_msg, nft_set_elem_list_msg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

REQUEST, ACK, REPLACE, EXCLUSIVE, CREATE = 1, 4, 0x100, 0x200, 0x400
_NESTED_HIGH = 0x80  # the high byte of NLA_F_NESTED, in an attribute's type
# NEWLINK, DELLINK, GETLINK, NEWADDR and NEWROUTE of linux/rtnetlink.h
_ROUTE: dict[int, Any] = {16: ifinfmsg, 17: ifinfmsg, 18: ifinfmsg, 20: ifaddrmsg, 24: rtmsg}
# the beginning and end of a batch, and NFNL_SUBSYS_NFTABLES << 8 with the NFT_MSG_* of elements
_FIREWALL: dict[int, Any] = {
    **{0x10: nft_gen_msg, 0x11: nft_gen_msg},
    **{0x0A00 + kind: nft_set_elem_list_msg for kind in (12, 13, 14, 30)},
}


def each(data: bytes) -> Iterator[bytes]:
    """Yield the messages of a datagram, which contains nothing else."""
    while data:
        (length,) = struct.unpack_from("=I", data)
        assert 16 <= length <= len(data)
        assert length % 4 == 0
        yield data[:length]
        data = data[length:]


def read_route(data: bytes, *, same: bool = True) -> list[dict[str, Any]]:
    """Return the rtnetlink messages of a datagram: header, fields (``_name``) and attributes.

    They are byte for byte what pyroute2 writes, except for the flag of nested attributes, which Linux requires in
    newer kinds of messages (NL_VALIDATE_STRICT) and pyroute2 leaves out. Without ``same`` the bytes may differ.
    """
    found = []
    for one in each(data):
        message = _decoded(_ROUTE, one)
        again = type(message)()
        again.setvalue(message.getvalue())
        again.encode()
        if same:
            assert {mine ^ other for mine, other in zip(one, again.data, strict=True)} <= {0, _NESTED_HIGH}
        found.append(_shown(message.getvalue()))
    return found


def read_firewall(data: bytes) -> list[dict[str, Any]]:
    """Return the messages of an nftables transaction in the same form."""
    return [_shown(_decoded(_FIREWALL, one).getvalue()) for one in each(data)]


def _decoded(classes: dict[int, Any], data: bytes) -> Any:
    (kind,) = struct.unpack_from("=H", data, 4)
    message = classes[kind](data)
    message.decode()
    return message


def _shown(value: dict[str, Any]) -> dict[str, Any]:
    header = {name: value["header"][name] for name in ("type", "flags")}
    fields = {f"_{name}": one for name, one in value.items() if name not in ("header", "attrs") and one not in (0, ())}
    return {**header, **fields, **_named(value)}


def _named(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_named(one) for one in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, content, *_ in value["attrs"]:
        assert name not in found
        found[name] = _named(content)
    return found
