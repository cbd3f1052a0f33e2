"""Every path pypod owns, and the check that they are ours."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec, PermissionDenied

_DIRECTORIES = ("containers", "pods", "trash", "cache", "merged")
# The last one is made last: where it is, everything is.
_OF_ROOT = "/var/lib/pypod"
_MOUNT_POINTS = "dev/ proc/ sys/ etc/ etc/hosts etc/hostname etc/resolv.conf run/ run/.containerenv".split()


class Layout:
    """Paths below one root directory: /var/lib/pypod for root, the XDG data directory for a user."""

    __slots__ = ("root",)

    def __init__(self, root: str | None = None) -> None:
        self.root = os.path.abspath(root or os.environ.get("PYPOD_ROOT") or _default_root())

    @property
    def database(self) -> str:
        """The SQLite file."""
        return f"{self.root}/pypod.db"

    @property
    def events(self) -> str:
        """The file of events; the generation before it lies beside it."""
        return f"{self.root}/events.log"

    @property
    def trash(self) -> str:
        """What is removed and not yet deleted."""
        return f"{self.root}/trash"

    @property
    def cache(self) -> str:
        """What can be made again: compiled seccomp filters."""
        return f"{self.root}/cache"

    @property
    def merged(self) -> str:
        """An empty directory on which every container mounts its root, each in a mount namespace of its own."""
        return f"{self.root}/merged"

    @property
    def mount_points(self) -> str:
        """The lowest layer of every overlay: what is mounted on in each container, for roots that lack it.

        Without it the kernel would make these in the upper layer at each start, aside and then renamed, after copying
        their directories up.
        """
        return f"{self.root}/mount-points"

    @property
    def container_env(self) -> str:
        """The empty /run/.containerenv of all containers that are not privileged."""
        return f"{self.mount_points}/run/.containerenv"

    @property
    def volumes(self) -> str:
        """Anonymous volumes, each in a directory with its id for a name, until no container has it any more."""
        return f"{self.root}/volumes"

    @property
    def images(self) -> str:
        """What images are made of. Who adds to it shares its lock, who deletes what is unused holds it alone."""
        return f"{self.root}/images"

    @property
    def blobs(self) -> str:
        """Manifests, configurations and layers as they came, by digest."""
        return f"{self.images}/blobs"

    @property
    def image_layers(self) -> str:
        """The unpacked layers, each in a directory with a short name: overlay takes a page of names."""
        return f"{self.images}/layers"

    @property
    def storage_driver(self) -> str:
        """The file that says what makes root file systems here, since the host booted."""
        return f"{self.root}/storage-driver.json"

    @property
    def session(self) -> str:
        """What is known of the holder of a user's session."""
        return f"{self.root}/session"

    @property
    def session_status(self) -> str:
        """The file that names the holder of the session that there is, or was."""
        return f"{self.session}/status"

    @property
    def giving_ids(self) -> str:
        """The lock of who gives a container ids of its own, none of which another has."""
        return f"{self.root}/giving-ids"

    @property
    def image_mounts(self) -> str:
        """Where images are mounted for people to look at, each in a directory with its id for a name."""
        return f"{self.images}/mounts"

    @property
    def names(self) -> str:
        """The name server's directory: its lock, its socket, and a file for each network that it holds locked."""
        return f"{self.root}/names"

    @property
    def bridges(self) -> str:
        """What is known of the network namespace of a user's bridges, and for each network what was made in it."""
        return f"{self.root}/bridges"

    def incoming(self, chain: str, blob: str) -> str:
        """The directory of a layer on its way in the blob of this digest; whoever works on it holds its lock."""
        return f"{self.images}/incoming/{chain.partition(':')[2]}.{blob.partition(':')[2]}"

    def is_inside(self, status: os.stat_result) -> bool:
        """Return whether the storage lies in the directory that has ``status``, by whatever path that was reached."""
        path = self.root
        while not os.path.samestat(os.stat(path), status):
            if path == "/":
                return False
            path = os.path.dirname(path)
        return True

    def container(self, identifier: str) -> str:
        """The directory of one container."""
        return f"{self.root}/containers/{identifier}"

    def pod(self, identifier: str) -> str:
        """The directory of one pod."""
        return f"{self.root}/pods/{identifier}"

    def prepare(self) -> None:
        """Make the directories. Raises PermissionDenied when the root is somebody else's or open to others.

        A directory that another user made first could hold a database, a filter or a socket of theirs.
        """
        with Boundary("use the storage"):
            try:
                status = os.lstat(self.root)
            except FileNotFoundError:
                self._make()
                status = os.lstat(self.root)
            except PermissionError as error:
                raise _denied("use", self.root, error) from error
            wrong, hint = _wrong(self.root, status)
            if wrong:
                raise PermissionDenied("use the storage", wrong, hint=f"{hint}give another with --root or $PYPOD_ROOT")
            if not os.path.exists(f"{self.mount_points}/{_MOUNT_POINTS[-1]}"):  # whoever began was killed half-way
                self._make()

    def _make(self) -> None:
        try:
            os.makedirs(self.root, 0o711, exist_ok=True)
            for name in _DIRECTORIES:
                os.makedirs(f"{self.root}/{name}", 0o700, exist_ok=True)
            self._make_mount_points()
        except PermissionError as error:
            raise _denied("make", self.root, error) from error

    def _make_mount_points(self) -> None:
        for path in _MOUNT_POINTS:
            at = f"{self.mount_points}/{path}"
            if path.endswith("/"):
                os.makedirs(at, exist_ok=True)
            else:
                os.close(os.open(at, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC))
            os.chmod(at, 0o755 if path.endswith("/") else 0o644)  # whatever the umask
        os.chmod(self.mount_points, 0o755)


def _default_root() -> str:
    if os.geteuid() == 0:
        return _OF_ROOT
    # "If an implementation encounters a relative path [...] it should consider the path invalid and ignore it."
    # XDG Base Directory Specification. Else each directory that pypod is called in would have a storage.
    data = os.environ.get("XDG_DATA_HOME", "")
    return f"{data}/pypod" if data.startswith("/") else f"{_home()}/.local/share/pypod"


def _home() -> str:
    home = os.environ.get("HOME", "")
    if not home.startswith("/"):
        import pwd

        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            message = f"uid {os.geteuid()} has no home directory for the storage: $HOME is not set to one"
            raise InvalidSpec("HOME", message, hint="say where it is to be with --root or $PYPOD_ROOT") from None
    return home


def _denied(what: str, root: str, error: PermissionError) -> PermissionDenied:
    hint = "give another place with --root or $PYPOD_ROOT" + (", or run as root" if root == _OF_ROOT else "")
    return PermissionDenied(f"{what} the storage", f"cannot {what} {root}: {error.strerror}", hint=hint)


def _wrong(root: str, status: os.stat_result) -> tuple[str, str]:
    """Return why a directory is none to keep anything in, and what to do about it; nothing when it is one."""
    mode = status.st_mode
    if mode & 0o170000 != 0o040000:
        return f"{root} is not a directory", "remove it, or "
    if status.st_uid != os.geteuid():
        return f"{root} belongs to uid {status.st_uid}, not to uid {os.geteuid()}", ""
    if mode & 0o022:
        return f"{root} can be written by others (mode {mode & 0o7777:04o})", "chmod go-w, if all in it is yours, or "
    return "", ""
