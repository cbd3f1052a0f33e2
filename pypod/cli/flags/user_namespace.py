"""The flags of containers and pods that are about their user namespace."""

from __future__ import annotations

from pypod.cli.flags.parser import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.cli.flags.parser import Parsed

USERNS_FLAGS: tuple[Flag, ...] = (
    Flag(name="gidmap", kind="strings", help="GID map to use for the user namespace"),
    Flag(name="subgidname", help="Name of range listed in /etc/subgid for use in user namespace"),
    Flag(name="subuidname", help="Name of range listed in /etc/subuid for use in user namespace"),
    Flag(name="uidmap", kind="strings", help="UID map to use for the user namespace"),
    Flag(name="userns", help="User namespace to use: auto, keep-id, nomap, host, container:X, ns:PATH"),
)


def userns_options(options: Parsed) -> dict[str, Any]:
    """Return the options of the library for the flags that were given."""
    return {flag.name: options[flag.name] for flag in USERNS_FLAGS if options[flag.name]}
