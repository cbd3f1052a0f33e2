"""Detection of the host's cgroup hierarchies and their mount points.

There are three common setups (systemd.io/CGROUP_DELEGATION): *unified*, one v2 tree; *legacy*, one v1 tree per
controller or group of controllers; *hybrid*, v1 trees that hold the controllers beside a v2 tree without any, which
serves to track processes. Detection is one pass over two files; the engine keeps the result.
"""

from __future__ import annotations

from pypod.kernel.proc import parse_cgroup, read_text

UNIFIED = "unified"
LEGACY = "legacy"
HYBRID = "hybrid"
NONE = "none"


class Hierarchy:
    """One mounted cgroup tree.

    ``controllers`` are the v1 controllers of the tree (``name=systemd`` for a named one), empty for the v2 tree.
    ``directory`` is its mount point. ``own`` is the caller's cgroup as a path below ``directory``, or empty when it
    lies outside of what is mounted there.
    """

    __slots__ = ("controllers", "directory", "own")

    def __init__(self, controllers: tuple[str, ...], directory: str, own: str) -> None:
        self.controllers = controllers
        self.directory = directory
        self.own = own

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hierarchy) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Hierarchy({self.controllers!r}, {self.directory!r}, {self.own!r})"

    def _key(self) -> tuple[tuple[str, ...], str, str]:
        return self.controllers, self.directory, self.own


class ShownTree:
    """A v1 tree as containers see it at ``target``: ``options`` mount a group of their own, else it is ``source``."""

    __slots__ = ("options", "source", "target")

    def __init__(self, target: str, options: str, source: str) -> None:
        self.target = target
        self.options = options
        self.source = source


class Hierarchies:
    """The cgroup trees of a host: ``unified`` is the v2 tree, ``legacy`` the v1 trees in mount order."""

    __slots__ = ("legacy", "unified")

    def __init__(self, unified: Hierarchy | None, legacy: tuple[Hierarchy, ...] = ()) -> None:
        self.unified = unified
        self.legacy = legacy

    @property
    def mode(self) -> str:
        """``unified``, ``hybrid``, ``legacy`` or ``none``.

        A named tree has no controllers, so it does not make a host with a v2 tree hybrid.
        """
        with_controllers = any("=" not in name for tree in self.legacy for name in tree.controllers)
        if self.unified is None:
            return LEGACY if self.legacy else NONE
        return HYBRID if with_controllers else UNIFIED

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hierarchies) and (self.unified, self.legacy) == (other.unified, other.legacy)

    def __hash__(self) -> int:
        return hash((self.unified, self.legacy))

    def __repr__(self) -> str:
        return f"Hierarchies({self.unified!r}, {self.legacy!r})"


def detect(proc_root: str = "/proc") -> Hierarchies:
    """Return the hierarchies that the calling process sees."""
    return parse(read_text(f"{proc_root}/self/mountinfo"), read_text(f"{proc_root}/self/cgroup"))


def parse(mountinfo: str, own_cgroups: str) -> Hierarchies:
    """Return the hierarchies described by the contents of /proc/self/mountinfo and /proc/self/cgroup."""
    own = parse_cgroup(own_cgroups)
    # A tree can be mounted many times: containers of other engines bind-mount parts of it. The mount that shows the
    # tree from its root is preferred; inside a container without such a mount, the first part is used.
    best: dict[tuple[str, ...], tuple[str, str]] = {}
    for directory, (root, options) in _cgroup_mounts(mountinfo).items():
        # The options of a v1 mount list its controllers among others (xattr, release_agent=...).
        controllers = () if options is None else tuple(name for name in options.split(",") if name in own)
        if options is not None and not controllers:
            continue
        if controllers not in best or (root == "/" and best[controllers][0] != "/"):
            best[controllers] = (root, directory)
    trees = [
        Hierarchy(controllers, directory, _below(root, own.get(controllers[0] if controllers else "", "")))
        for controllers, (root, directory) in best.items()
    ]
    unified = next((tree for tree in trees if not tree.controllers), None)
    return Hierarchies(unified, tuple(tree for tree in trees if tree.controllers))


def _cgroup_mounts(mountinfo: str) -> dict[str, tuple[str, str | None]]:
    """Return mount point -> (root in its tree, v1 options or None for v2), without mounts covered by a later one."""
    mounts: dict[str, tuple[str, str | None]] = {}
    for line in mountinfo.splitlines():
        # id parent major:minor root mount-point options optional-fields - type source super-options
        fields, _, rest = line.partition(" - ")
        root, directory = fields.split(" ", 5)[3:5]
        kind, _source, options = rest.split(" ", 2)
        mounts.pop(directory, None)
        if kind in ("cgroup", "cgroup2"):
            mounts[directory] = (_unescape(root), options if kind == "cgroup" else None)
    return {_unescape(directory): mount for directory, mount in mounts.items()}


def _below(root: str, path: str) -> str:
    """Return the path of a group below a mount that shows the tree from ``root`` on; empty when it is outside."""
    # The kernel shows "/.." for groups above the root of the reader's cgroup namespace (cgroup_namespaces(7)).
    if not path or path.startswith("/.."):
        return ""
    if root == "/":
        return path
    if path == root:
        return "/"
    return path[len(root) :] if path.startswith(root + "/") else ""


def _unescape(field: str) -> str:
    # Space, tab, newline and backslash are escaped in octal (show_mountinfo in fs/proc_namespace.c).
    head, *parts = field.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts)
