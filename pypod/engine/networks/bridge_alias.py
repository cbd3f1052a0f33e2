"""The owner of a bridge: its alias names the network, the storage, and the storage's device and inode.

The path alone is ambiguous: it may be another storage's later, or mean another directory in another mount namespace.
"""

from __future__ import annotations

import os

from pypod.model.network import BRIDGE
from pypod.network import links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.network import NetworkSpec

PREFIX = "pypod network "
_ALIAS_BYTES = 255  # IFALIASZ of linux/if.h, without the NUL


def alias_of(context: Context, network: NetworkSpec) -> str:
    """Return the alias that marks a bridge as ours and names its network."""
    return _fitting(f"{PREFIX}{network.name} of {storage_of(context)}")


def storage_of(context: Context) -> str:
    """Return the suffix of our bridges' aliases: the path, with device and inode as it may be reused or ambiguous."""
    return f"{context.layout.root} ({_identity(os.stat(context.layout.root))})"


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def _fitting(alias: str) -> str:
    return os.fsdecode(os.fsencode(alias)[-_ALIAS_BYTES:])


def is_ours(context: Context, network: NetworkSpec, alias: str) -> bool:
    """Return whether an alias marks a network's bridge, in today's form or in that of versions without identities."""
    own = f"{PREFIX}{network.name} of {storage_of(context)}"
    return alias in (_fitting(own), _fitting(own.rpartition(" (")[0]))


def has_bridge(context: Context, network: NetworkSpec) -> bool:
    """Return whether a network's bridge exists and is ours rather than one of the same name. Raises OSError."""
    alias, _ = links.alias_and_state(network.interface)
    return network.driver == BRIDGE and is_ours(context, network, alias)


def is_of(storage: str, alias: str) -> bool:
    """Return whether an alias belongs to a network of the storage whose ``storage_of`` this is."""
    own = f" of {storage}"
    return alias.startswith(PREFIX) and alias.endswith((_fitting(own), _fitting(own.rpartition(" (")[0])))


def is_of_nobody(alias: str) -> bool:
    """Return whether an alias names a storage that no longer exists. One that cannot be examined counts as existing."""
    name, _, storage = alias.removeprefix(PREFIX).partition(" of ")
    root, _, identity = storage.rpartition(" (")
    if not (alias.startswith(PREFIX) and name and root.startswith("/")):
        return False
    try:
        return _identity(os.stat(root)) != identity.removesuffix(")")
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
