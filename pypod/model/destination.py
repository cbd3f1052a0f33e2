"""A service that containers.conf(5) names for podman's remote client."""

from __future__ import annotations

from pypod.model.value import Value


class Destination(Value):
    """A named service: its address, the SSH key for it, and whether it is the one that is used without a name."""

    name: str
    uri: str
    identity: str = ""
    default: bool = False
