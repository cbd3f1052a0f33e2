"""Whose a bridge is: its alias names the network, the storage, and the storage's device and inode.

The path alone would not do: it may be another storage's later, or in another mount namespace.
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
    """Return what tells that a bridge is ours, and for which network."""
    return _fitting(f"{PREFIX}{network.name} of {storage_of(context)}")


def storage_of(context: Context) -> str:
    """Return what the aliases of our bridges end with: the path may be another storage's later, or elsewhere."""
    return f"{context.layout.root} ({_identity(os.stat(context.layout.root))})"


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def _fitting(alias: str) -> str:
    return os.fsdecode(os.fsencode(alias)[-_ALIAS_BYTES:])


def is_ours(context: Context, network: NetworkSpec, alias: str) -> bool:
    """Return whether an alias is that of a network's bridge, as we make it or as a pypod did without identities."""
    own = f"{PREFIX}{network.name} of {storage_of(context)}"
    return alias in (_fitting(own), _fitting(own.rpartition(" (")[0]))


def has_bridge(context: Context, network: NetworkSpec) -> bool:
    """Return whether a network's bridge is there and ours: somebody else's may have the same name. Raises OSError."""
    alias, _ = links.alias_and_state(network.interface)
    return network.driver == BRIDGE and is_ours(context, network, alias)


def is_of(storage: str, alias: str) -> bool:
    """Return whether an alias is that of some network of the storage that ``storage_of`` returned this for."""
    own = f" of {storage}"
    return alias.startswith(PREFIX) and alias.endswith((_fitting(own), _fitting(own.rpartition(" (")[0])))


def is_of_nobody(alias: str) -> bool:
    """Return whether an alias names a storage that is not there any more. One that cannot be looked at is there."""
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
