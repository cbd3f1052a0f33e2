"""Every path that pypod owns, and the check that the storage belongs to this user."""

from __future__ import annotations

import os
import stat

from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec, PermissionDenied

_DIRECTORIES = ("containers", "pods", "trash", "cache", "merged")
_OF_ROOT = "/var/lib/pypod"
_MOUNT_POINTS = "dev/ proc/ sys/ etc/ etc/hosts etc/hostname etc/resolv.conf run/ run/.containerenv".split()
# A link that podman makes, too: programs that list mounts read it. It is created last: if it exists, all of them do.
_LINK, _LINKED = "etc/mtab", "/proc/mounts"


class Layout:
    """Paths below one root directory: /var/lib/pypod for root, the XDG data directory for a user."""

    __slots__ = ("root",)

    def __init__(self, root: str | None = None) -> None:
        self.root = os.path.abspath(root or os.environ.get("PYPOD_ROOT") or _default_root())

    @property
    def database(self) -> str:
        """The SQLite database."""
        return f"{self.root}/pypod.db"

    @property
    def events(self) -> str:
        """The event file; the rotated one lies beside it."""
        return f"{self.root}/events.log"

    @property
    def trash(self) -> str:
        """Directories that have been removed but not deleted yet."""
        return f"{self.root}/trash"

    @property
    def cache(self) -> str:
        """Files that can be regenerated: compiled seccomp filters."""
        return f"{self.root}/cache"

    @property
    def merged(self) -> str:
        """An empty directory where every container mounts its root, each in its own mount namespace."""
        return f"{self.root}/merged"

    @property
    def mount_points(self) -> str:
        """The lowest layer of every overlay: the mount points of each container, for roots that lack them.

        Otherwise the upper layer would receive them at each start, and the kernel would copy up their parent
        directories, create them in the work directory and rename them.
        """
        return f"{self.root}/mount-points"

    def mount_points_without(self, files: tuple[str, ...]) -> str:
        """The same without some files of /etc, for containers that get none of them: their root's own show."""
        return f"{self.mount_points}-without-{'-'.join(files)}" if files else self.mount_points

    @property
    def container_env(self) -> str:
        """The empty /run/.containerenv of all unprivileged containers."""
        return f"{self.mount_points}/run/.containerenv"

    @property
    def volumes(self) -> str:
        """Volumes, each in a directory of its name with a copy of its record and the directory of its files."""
        return f"{self.root}/volumes"

    def volume(self, name: str) -> str:
        """The directory of one volume; locked while the volume is created or removed."""
        return f"{self.root}/volumes/{name}"

    @property
    def secrets(self) -> str:
        """The content of secrets, each in a file named by its id, which only the owner of the storage can read."""
        return f"{self.root}/secrets"

    @property
    def images(self) -> str:
        """The contents of images. Adding to it takes a shared lock; deleting what is unused takes an exclusive one."""
        return f"{self.root}/images"

    @property
    def blobs(self) -> str:
        """Manifests, configurations and layers as they were received, by digest."""
        return f"{self.images}/blobs"

    @property
    def image_layers(self) -> str:
        """Unpacked layers, in directories with short names, since an overlay's lowerdir option must fit into a page."""
        return f"{self.images}/layers"

    @property
    def storage_driver(self) -> str:
        """The file that records which driver provides root file systems here, valid for the current boot."""
        return f"{self.root}/storage-driver.json"

    @property
    def session(self) -> str:
        """State of the process that holds the user's session."""
        return f"{self.root}/session"

    @property
    def session_status(self) -> str:
        """The status file of the session's holder, running or not."""
        return f"{self.session}/status"

    @property
    def giving_ids(self) -> str:
        """The lock for allocating ids to containers, so that no two get the same."""
        return f"{self.root}/giving-ids"

    @property
    def image_mounts(self) -> str:
        """Where ``image mount`` mounts images, each in a directory named by its id."""
        return f"{self.images}/mounts"

    @property
    def names(self) -> str:
        """The name server's directory: its lock, its socket, and a locked file for each network that it serves."""
        return f"{self.root}/names"

    @property
    def bridges(self) -> str:
        """State of the network namespace of the user's bridges, and what was created in it for each network."""
        return f"{self.root}/bridges"

    def incoming(self, chain: str, blob: str) -> str:
        """The directory of a layer being pulled from the blob with this digest; locked while it is worked on."""
        return f"{self.images}/incoming/{chain.partition(':')[2]}.{blob.partition(':')[2]}"

    def is_inside(self, status: os.stat_result) -> bool:
        """Return whether the storage lies in the directory that has ``status``, whatever path led to it."""
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
        """Create the directories. Raises PermissionDenied when the root is another user's or writable by others.

        A symbolic link of the caller's own is followed, as by podman; another user's could lead elsewhere tomorrow.
        A directory that another user created first could contain their database, seccomp filter or socket.
        """
        with Boundary("use the storage"):
            try:
                status = os.lstat(self.root)
                if stat.S_ISLNK(status.st_mode) and status.st_uid == os.geteuid():
                    self.root = os.path.realpath(self.root)
                    status = os.lstat(self.root)
            except FileNotFoundError:
                self._make()
                status = os.lstat(self.root)
            except PermissionError as error:
                raise _denied("use", self.root, error) from error
            wrong, hint = _wrong(self.root, status)
            if wrong:
                raise PermissionDenied("use the storage", wrong, hint=f"{hint}use another with --root or $PYPOD_ROOT")
            if not self.has_mount_points_without(()):  # an earlier attempt was killed
                self._make()

    def _make(self) -> None:
        try:
            os.makedirs(self.root, 0o711, exist_ok=True)
            for name in _DIRECTORIES:
                os.makedirs(f"{self.root}/{name}", 0o700, exist_ok=True)
            self.make_mount_points()
        except PermissionError as error:
            raise _denied("create", self.root, error) from error

    def has_mount_points_without(self, files: tuple[str, ...]) -> bool:
        """Return whether ``make_mount_points`` completed for these."""
        return os.path.lexists(f"{self.mount_points_without(files)}/{_LINK}")

    def make_mount_points(self, without: tuple[str, ...] = ()) -> None:
        """Create the mount points, ``without`` some files of /etc."""
        top = self.mount_points_without(without)
        left_out = {f"etc/{name}" for name in without}
        for path in (one for one in _MOUNT_POINTS if one not in left_out):
            at = f"{top}/{path}"
            if path.endswith("/"):
                os.makedirs(at, exist_ok=True)
            else:
                os.close(os.open(at, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC))
            os.chmod(at, 0o755 if path.endswith("/") else 0o644)  # regardless of the umask
        os.chmod(top, 0o755)
        try:
            os.symlink(_LINKED, f"{top}/{_LINK}")
        except FileExistsError:  # made by another process
            return


def _default_root() -> str:
    if os.geteuid() == 0:
        return _OF_ROOT
    # "If an implementation encounters a relative path [...] it should consider the path invalid and ignore it."
    # XDG Base Directory Specification. Otherwise there would be a storage in every directory that pypod is run from.
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
            raise InvalidSpec("HOME", message, hint="choose a place with --root or $PYPOD_ROOT") from None
    return home


def _denied(what: str, root: str, error: PermissionError) -> PermissionDenied:
    hint = "choose another place with --root or $PYPOD_ROOT" + (", or run as root" if root == _OF_ROOT else "")
    return PermissionDenied(f"{what} the storage", f"cannot {what} {root}: {error.strerror}", hint=hint)


def _wrong(root: str, status: os.stat_result) -> tuple[str, str]:
    """Return why a directory cannot be used as the storage, and what to do about it; nothing when it can."""
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return f"{root} is a symbolic link of uid {status.st_uid}, not of uid {os.geteuid()}", "name its target, or "
    if not stat.S_ISDIR(mode):
        return f"{root} is not a directory", "remove it, or "
    if status.st_uid != os.geteuid():
        return f"{root} belongs to uid {status.st_uid}, not to uid {os.geteuid()}", ""
    if mode & 0o022:
        return f"{root} is writable by others (mode {mode & 0o7777:04o})", "chmod go-w if all its content is yours, or "
    return "", ""
