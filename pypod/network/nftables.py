"""Elements of the sets and maps of our table: packed, changed in transactions, and listed.

The layout of the messages is that of linux/netfilter/nf_tables.h and nfnetlink.h.
"""

from __future__ import annotations

import errno

from pypod.kernel.netlink import ACK, CREATE, DUMP, REQUEST, attribute, attributes, items, message, nested
from pypod.kernel.release import is_at_least

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pypod.kernel.netlink import Channel

_TABLE, _INET = "pypod", 1  # NFPROTO_INET
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_NEW_ELEMENTS, _GET_ELEMENTS, _DELETE_ELEMENTS, _GET_GENERATION, _DESTROY_ELEMENTS = 12, 13, 14, 16, 30
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS, _LIST_ELEMENT = 1, 2, 3, 1
KEY, DATA, _ELEMENT_USERDATA, KEY_END = 1, 2, 6, 10
_VALUE = 1  # NFTA_DATA_VALUE
_BATCH_GENERATION, _GENERATION_ID = 1, 1
_COMMENT, _COMMENT_BYTES = 0, 128  # of libnftnl: what nft shows for an element
_ELEMENTS_OF_MESSAGE = 200  # an attribute's length has 16 bits

Element = tuple[str, bytes]  # the set or map, and the packed element


def _word(kind: int) -> int:
    return _SUBSYSTEM << 8 | kind


def _head(family: int = _INET, resource: int = 0) -> bytes:
    return bytes((family, 0)) + resource.to_bytes(2, "big")  # nfgenmsg


def batch(messages: Iterable[bytes], generation: bytes = b"") -> bytes:
    """Return messages as one transaction, performed in full or not at all.

    With a ``generation`` (``_generation``), nothing is done when the rule set has been changed since.
    """
    known = [attribute(_BATCH_GENERATION, generation)] if generation else []
    first = message(_BATCH_BEGIN, _head(0, _SUBSYSTEM), *known, flags=REQUEST)
    return b"".join((first, *messages, message(_BATCH_END, _head(0, _SUBSYSTEM), flags=REQUEST)))


def _messages(kind: int, elements: Iterable[Element], flags: int = 0) -> Iterator[bytes]:
    by_set: dict[str, list[bytes]] = {}
    for name, packed in elements:
        by_set.setdefault(name, []).append(packed)
    for name, members in by_set.items():
        for at in range(0, len(members), _ELEMENTS_OF_MESSAGE):
            yield message(
                _word(kind),
                _head(),
                attribute(_LIST_TABLE, _TABLE),
                attribute(_LIST_SET, name),
                nested(_LIST_ELEMENTS, *members[at : at + _ELEMENTS_OF_MESSAGE]),
                flags=REQUEST | ACK | flags,
            )


def add_elements(elements: Iterable[Element]) -> Iterator[bytes]:
    """Yield messages that add elements. Existing ones are left alone; EEXIST when a key is mapped to other data."""
    return _messages(_NEW_ELEMENTS, elements, CREATE)


def delete_elements(elements: Iterable[Element], *, destroy: bool | None = None) -> Iterator[bytes]:
    """Yield messages that delete elements.

    Before Linux 6.3 (``destroy`` False; detected by default) a missing element makes the transaction fail with ENOENT.
    """
    can = has_destroy() if destroy is None else destroy
    return _messages(_DESTROY_ELEMENTS if can else _DELETE_ELEMENTS, elements)


def has_destroy() -> bool:
    """Return whether this kernel can delete elements that may be missing (NFT_MSG_DESTROYSETELEM, Linux 6.3)."""
    return is_at_least(6, 3)


def element(name: str, key: bytes, data: bytes = b"", *, end: bytes = b"", comment: str = "") -> Element:
    """Return an element of a set or map: ``key``, or the range from it to ``end``; ``data`` is what it maps to."""
    parts = [nested(KEY, attribute(_VALUE, key))]
    parts += [nested(KEY_END, attribute(_VALUE, end))] if end else []
    parts += [nested(DATA, attribute(_VALUE, data))] if data else []
    if comment:
        text = comment.encode("utf-8", "replace")[: _COMMENT_BYTES - 1] + b"\0"
        parts.append(attribute(_ELEMENT_USERDATA, bytes((_COMMENT, len(text))) + text))
    return name, nested(_LIST_ELEMENT, *parts)


def has(channel: Channel, key: Element, way: Element) -> bool:
    """Return whether the map has an element with this key and this data."""
    name, packed = key
    request = message(
        _word(_GET_ELEMENTS),
        _head(),
        attribute(_LIST_TABLE, _TABLE),
        attribute(_LIST_SET, name),
        nested(_LIST_ELEMENTS, packed),
        flags=REQUEST,
    )
    try:
        body = channel.ask(request)
    except FileNotFoundError:
        return False
    wanted = attributes(attributes(way[1])[_LIST_ELEMENT])
    return any(value(one, DATA) == value(wanted, DATA) for one in _elements(body))


def _elements(body: bytes) -> Iterator[dict[int, bytes]]:
    listed = attributes(body[4:]).get(_LIST_ELEMENTS, b"")
    for _, one in items(listed):
        yield attributes(one)


def value(one: dict[int, bytes], part: int) -> bytes:
    """Return a part of an element: its KEY, KEY_END or DATA."""
    return attributes(one.get(part, b"")).get(_VALUE, b"")


def dump(channel: Channel, name: str) -> list[dict[int, bytes]]:
    """Return the elements of a set or map; none when it does not exist."""
    names = (attribute(_LIST_TABLE, _TABLE), attribute(_LIST_SET, name))
    request = message(_word(_GET_ELEMENTS), _head(), *names, flags=REQUEST | DUMP)
    try:
        return [one for _, body in channel.dump(request) for one in _elements(body)]
    except FileNotFoundError:
        return []


def change_elements(channel: Channel, change: Callable[[], Iterator[bytes]]) -> None:
    """Make a change that depends on the current state, again if that changed in the meantime."""
    while True:
        generation = _generation(channel)
        messages = tuple(change())
        if not messages:
            return
        try:
            channel.send(batch(messages, generation))
        except OSError as error:
            if error.errno != errno.ERESTART:
                raise
        else:
            return


def _generation(channel: Channel) -> bytes:
    answer = channel.ask(message(_word(_GET_GENERATION), _head(0), flags=REQUEST))
    return attributes(answer[4:])[_GENERATION_ID]
