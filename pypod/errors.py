"""The errors that pypod raises deliberately.

The class tells a caller what can be done about the error; the fields identify its subject;
the message is built from the fields.

    PypodError
    ├── InvalidSpec (ValueError)        an argument is invalid; nothing was done
    │   └── UnknownOption (TypeError)   no such option
    ├── NotFound (LookupError)          no such pod, container, image, network, secret or volume
    │   ├── NoSuchPod
    │   ├── NoSuchContainer
    │   ├── NoSuchImage
    │   ├── NoSuchNetwork
    │   ├── NoSuchSecret
    │   └── NoSuchVolume
    ├── AmbiguousName (LookupError)     a short id or name matches several objects
    ├── AlreadyExists                   the name is taken
    ├── InUse                           something else still needs the object
    │   └── PortInUse                   a host port to be published is taken
    ├── WrongState                      not possible in the object's state
    │   └── PodBroken                   the infra has died while members are alive
    ├── Unsupported                     not supported by this host or version
    ├── PermissionDenied (PermissionError)   not permitted to this user
    ├── LaunchFailed                    a kernel operation of a start failed
    │   ├── CommandNotFound             exit code 127
    │   ├── CommandNotExecutable        exit code 126
    │   └── NoSuchUser                  the container's /etc/passwd or /etc/group lacks a name
    ├── InvalidImage                    data of an image is invalid; nothing of it was kept
    ├── RegistryError                   a registry is unreachable or refuses a request
    │   ├── Unauthorized                it requires credentials, or other ones
    │   └── NotInRegistry (LookupError) it has no such repository, tag or blob
    ├── StoreError                      the database is damaged or from a newer pypod
    ├── SystemFailure                   the system refused a call of the engine itself
    └── DeadlineExceeded (TimeoutError)
"""

from __future__ import annotations

from _collections_abc import Callable, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AlreadyExists",
    "AmbiguousName",
    "CommandNotExecutable",
    "CommandNotFound",
    "DeadlineExceeded",
    "InUse",
    "InvalidImage",
    "InvalidSpec",
    "LaunchFailed",
    "NoSuchContainer",
    "NoSuchImage",
    "NoSuchNetwork",
    "NoSuchPod",
    "NoSuchSecret",
    "NoSuchUser",
    "NoSuchVolume",
    "NotFound",
    "NotInRegistry",
    "PermissionDenied",
    "PodBroken",
    "PortInUse",
    "PypodError",
    "RegistryError",
    "StoreError",
    "SystemFailure",
    "Unauthorized",
    "UnknownOption",
    "Unsupported",
    "WrongState",
]


class PypodError(Exception):
    """The base class of all errors. ``hint`` suggests what to do next, or is empty."""

    exit_code = 125  # of a command that it ends: podman-run(1), "Exit Status"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # Errors are pickled between processes (multiprocessing, pytest-xdist); this preserves keyword-only fields.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(cls: type[PypodError], args: tuple[Any, ...], fields: dict[str, Any]) -> PypodError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(fields)
    return error


class InvalidSpec(PypodError, ValueError):
    """An argument is invalid. ``argument`` names it as the caller wrote it; nothing was done."""

    def __init__(self, argument: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.argument = argument


class UnknownOption(InvalidSpec, TypeError):
    """There is no option called ``argument``; ``nearest`` is the option probably meant, or empty."""

    def __init__(self, argument: str, options: Iterable[str]) -> None:
        from difflib import get_close_matches

        names = list(options)
        begun = [name for name in names if name.startswith(argument)]
        self.nearest = next(iter(begun or get_close_matches(argument, names, 1)), "")
        hint = f"did you mean {self.nearest!r}?" if self.nearest else ""
        super().__init__(argument, f"{argument!r} is not an option", hint=hint)


class NotFound(PypodError, LookupError):
    """There is no object of ``kind`` with the name or id ``ref``."""

    kind = "object"

    def __init__(self, ref: str, *, hint: str = "") -> None:
        super().__init__(f"no {self.kind} with name or ID {self._shown(ref)} found: no such {self.kind}", hint=hint)
        self.ref = ref

    @staticmethod
    def _shown(ref: str) -> str:
        return ref


class NoSuchPod(NotFound):
    kind = "pod"


class NoSuchContainer(NotFound):
    kind = "container"

    @staticmethod
    def _shown(ref: str) -> str:
        return f'"{ref}"'  # podman quotes containers and not pods


class NoSuchImage(NotFound):
    """There is no local image of that name, or the image has no such name; ``ref`` is the name as given."""

    kind = "image"

    def __init__(self, ref: str, *, reason: str = "image not known", hint: str = "") -> None:
        PypodError.__init__(self, f"{ref}: {reason}", hint=hint)
        self.ref = ref


class NoSuchNetwork(NotFound):
    kind = "network"

    def __init__(self, ref: str, *, hint: str = "") -> None:
        PypodError.__init__(self, f"unable to find network with name or ID {ref}: network not found", hint=hint)
        self.ref = ref


class NoSuchSecret(NotFound):
    kind = "secret"

    def __init__(self, ref: str, *, hint: str = "") -> None:
        PypodError.__init__(self, f'no secret with name or id "{ref}": no such secret', hint=hint)
        self.ref = ref


class NoSuchVolume(NotFound):
    kind = "volume"

    def __init__(self, ref: str, *, hint: str = "") -> None:
        PypodError.__init__(self, f'no volume with name "{ref}" found: no such volume', hint=hint)
        self.ref = ref


class AmbiguousName(PypodError, LookupError):
    """``ref`` is a prefix of the ids of several objects, or of the names of several volumes: ``matches``."""

    def __init__(self, kind: str, ref: str, matches: tuple[str, ...]) -> None:
        message, hint = f"more than one result for {kind} name or ID {ref}", "give more characters of the ID"
        if kind == "secret":
            message = f"more than one result secret with prefix {ref}: secret is ambiguous"
        if kind == "volume":
            message, hint = f'more than one result for volume name "{ref}": volume already exists', ""
        super().__init__(message, hint=hint)
        self.kind = kind
        self.ref = ref
        self.matches = matches


class AlreadyExists(PypodError):
    """``name`` is taken by ``holder_kind`` ``holder_id``."""

    def __init__(self, kind: str, name: str, holder_kind: str, holder_id: str) -> None:
        message = (
            f'creating {kind} storage: the {kind} name "{name}" is already in use by {holder_id}. '
            f"You have to remove that {holder_kind} to be able to reuse that name: that name is already in use"
        )
        if holder_kind == "pod" or kind == "pod":
            message = (
                f'{"adding pod to state: " * (kind == "pod")}name "{name}" is in use: {holder_kind} already exists'
            )
        if kind == "image":
            taken = f'image name "{name}" is already associated with image "{holder_id}"'
            message = f"creating image to hold manifest list: {taken}: that name is already in use"
        if kind == "network":
            message = f"network name {name} already used: network already exists"
        if kind == "secret":
            message = f"{name}: secret name in use"
        if kind == "volume":
            message = f"volume with name {name} already exists: volume already exists"
        if kind == "connection":
            message = (
                f'{holder_kind} {holder_id} is already connected to network "{name}": network is already connected'
            )
        super().__init__(message)
        self.kind = kind
        self.name = name
        self.holder_kind = holder_kind
        self.holder_id = holder_id


class InUse(PypodError):
    """Something else still needs the object ``ref``."""

    def __init__(self, ref: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.ref = ref


def cannot_listen(protocol: str, address: str, port: int) -> str:
    """Return the beginning of podman's message for a host port that cannot be bound."""
    where, version = (f"[{address}]", 6) if ":" in address else (address, 4)
    return f"cannot listen on the {protocol.upper()} port: listen {protocol}{version} {where}:{port}: bind"


class PortInUse(InUse):
    """A host port to be published is already in use; nothing was started.

    ``port`` and ``protocol`` identify the port, ``address`` the host's address (empty: one of its addresses). The
    holder is the container or pod ``container``, or the process ``pid`` with the name ``command``; these are empty and
    0 when the holder is unknown: it may have ended in the meantime, or be invisible to this process.
    """

    exit_code = 126  # as in podman's `run`

    def __init__(
        self, protocol: str, address: str, port: int, *, container: str = "", pid: int = 0, command: str = ""
    ) -> None:
        message = f"{cannot_listen(protocol, address, port)}: address already in use"
        holder = f"container {container}" if container else f"process {pid} ({command})" if pid else ""
        super().__init__(str(port), message, hint=f"it is held by {holder}" if holder else "")
        self.port = port
        self.protocol = protocol
        self.address = address
        self.container = container
        self.pid = pid
        self.command = command


class WrongState(PypodError):
    """The object ``ref`` is in ``state``, which does not allow the operation."""

    def __init__(self, ref: str, state: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.ref = ref
        self.state = state


class PodBroken(WrongState):
    """The pod's infra has died while members are alive: no new container can join its namespaces."""


class Unsupported(PypodError):
    """This host, kernel or version of pypod lacks ``feature``."""

    def __init__(self, feature: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.feature = feature


class PermissionDenied(PypodError, PermissionError):
    """The caller lacks a privilege for ``operation``."""

    def __init__(self, operation: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.operation = operation


class LaunchFailed(PypodError):
    """A kernel operation of a start failed.

    ``operation`` is the step in words, ``call`` the system call, ``errno`` its error number.
    """

    exit_code = 126

    def __init__(self, operation: str, call: str, errno: int, *, message: str = "", hint: str = "") -> None:
        import os

        super().__init__(message or f"{operation}: {call}: {os.strerror(errno)}", hint=hint)
        self.operation = operation
        self.call = call
        self.errno = errno


class CommandNotFound(LaunchFailed):
    exit_code = 127


class CommandNotExecutable(LaunchFailed):
    exit_code = 126


class NoSuchUser(LaunchFailed):
    """The container's /etc/passwd or /etc/group does not have the name of the user or group."""


class StoreError(PypodError):
    """The database at ``path`` cannot be used."""

    def __init__(self, path: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class SystemFailure(PypodError):
    """The system refused a call of the engine itself (disk, memory, descriptors); ``errno`` says why."""

    def __init__(self, operation: str, number: int, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.operation = operation
        self.errno = number


class DeadlineExceeded(PypodError, TimeoutError):
    """``operation`` was not done within ``timeout_s`` seconds."""

    def __init__(self, operation: str, timeout_s: float) -> None:
        super().__init__(f"{operation}: not done after {timeout_s:g} seconds")
        self.operation = operation
        self.timeout_s = timeout_s


class InvalidImage(PypodError):
    """Data of an image is invalid: ``subject`` is the part, ``reason`` the broken rule. Nothing of it was kept."""

    def __init__(self, subject: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{subject}: {reason}", hint=hint)
        self.subject = subject
        self.reason = reason


class RegistryError(PypodError):
    """A registry is unreachable or refuses a request for ``url``; ``status`` is HTTP's, 0 without a response."""

    def __init__(self, url: str, reason: str, *, status: int = 0, hint: str = "") -> None:
        super().__init__(f"{url}: {reason}", hint=hint)
        self.url = url
        self.status = status
        self.reason = reason


class Unauthorized(RegistryError):
    """The registry requires credentials, or other ones."""


class NotInRegistry(RegistryError, LookupError):
    """The registry has no such repository, tag or blob."""
