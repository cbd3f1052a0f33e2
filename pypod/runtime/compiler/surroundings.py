"""What a plan needs beyond the OCI configuration, which has no field for it."""

from __future__ import annotations

from pypod.kernel.abi import NAMESPACES
from pypod.kernel.idmap import ALL_IDS
from pypod.kernel.pidfd import Process
from pypod.model.value import Value
from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.model.secret import SecretUse
    from pypod.runtime.trees import Tree

WHOLE_MAPS = (f"0 0 {ALL_IDS}\n", f"0 0 {ALL_IDS}\n")


class Join(Value):
    """Namespaces to join: the ``kinds`` of ``process``, each identified by its inode; or the one at ``path``."""

    kinds: tuple[str, ...]
    process: Process | None = None
    path: str = ""
    inodes: tuple[tuple[str, int], ...] = ()

    @property
    def flags(self) -> int:
        """The CLONE_NEW* bits of the kinds."""
        return sum(NAMESPACES[kind].clone_flag for kind in self.kinds)


class Root(Value):
    """The creation of a root file system: ``mounting`` operations, and ``serving`` ones once it is in place.

    ``settings`` are operations for the supervisor. ``first`` replaces ``mounting`` for a mount that exists already:
    it is taken before a mount that maps owners covers it. If all are empty, the OCI configuration names a directory.
    """

    settings: tuple[Op, ...] = ()
    first: tuple[Op, ...] = ()
    mounting: tuple[Op, ...] = ()
    serving: tuple[Op, ...] = ()


class Surroundings(Value):
    """What a plan needs beyond the OCI configuration, which has no field for it.

    ``seccomp`` is the program compiled from ``linux.seccomp``, once, and cached. ``filled`` says of a target whether
    its volume gets a copy of the root's content there, and owner and mode of that directory. ``taken`` has the
    operation, without its slot, that opens a target's source in an unusual way, ``given`` the targets that are given to
    the container's user, and whether that goes for everything in them. ``maps`` are the user and
    group id maps of a user namespace, ``ids`` its root and ``ids_outside`` the same ids in the parent namespace. Files
    in the directories ``mapped`` have its ids on disk, too. ``keep_groups``: the parent namespace does not allow
    changes of the supplementary groups. ``secrets`` have the host path of each one's content. ``trees`` are
    the v1 trees of cgroups that it sees.
    """

    root: Root = Root()
    target: str
    joins: tuple[Join, ...] = ()
    shm_of: Process | None = None
    born_in: str = ""
    join_files: tuple[str, ...] = ()
    seccomp: bytes = b""
    seccomp_flags: int = 0
    create_cwd: bool = False
    filled: dict[str, tuple[bool, bool]] = {}  # noqa: RUF012
    taken: dict[str, tuple[str, tuple[str | int, ...]]] = {}  # noqa: RUF012
    given: dict[str, bool] = {}  # noqa: RUF012
    keyring: str = ""
    network: tuple[Op, ...] = ()
    maps: tuple[str, str] = WHOLE_MAPS
    ids: tuple[int, int] = (0, 0)
    ids_outside: tuple[int, int] = (0, 0)
    mapped: tuple[str, ...] = ()
    keep_groups: bool = False
    secrets: tuple[tuple[str, SecretUse], ...] = ()
    trees: tuple[Tree, ...] = ()
    hooks: frozenset[str] = frozenset()  # the stages that have some
    copies: str = ""  # directory for copies of files of a root that must not be written to
