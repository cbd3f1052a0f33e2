"""A plan: a tuple of operations for the launcher or the monitor, as a value, as text and as bytes."""

from __future__ import annotations

from pypod.kernel.abi import NAMESPACES, RESOURCES
from pypod.runtime.operations import OPERATIONS, REPEATED, kinds_of, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Argument = str | int | bytes

MOUNT_ATTRIBUTES = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 16, "strictatime": 32}
MS_REC, MS_BIND, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 0x4000, 0x1000, 1 << 17, 1 << 18, 1 << 19, 1 << 20


class Op:
    """One operation: a name in the table, and its arguments.

    Raises TypeError, naming the argument, when one is missing or there is one too many.
    """

    __slots__ = ("arguments", "encoded", "name")

    def __init__(self, name: str, *arguments: Argument) -> None:
        if len(arguments) != len(OPERATIONS[name][1]):  # a + or * counts as one argument, and there may be exactly one
            _check(name, arguments)
        self.name = name
        self.arguments = arguments
        self.encoded = b""  # its record, once it is known to be in many plans

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Op) and (self.name, self.arguments) == (other.name, other.arguments)

    def __hash__(self) -> int:
        return hash((self.name, self.arguments))

    def __repr__(self) -> str:
        return f"Op({', '.join(map(repr, (self.name, *self.arguments)))})"

    def encode(self) -> bytes:
        """Return the record as read by pause/common/plan.c.

        Raises TypeError, naming the argument, when its type does not match its kind.
        """
        return _encode((self,))

    def named(self) -> dict[str, Argument | tuple[Argument, ...]]:
        """Return the arguments by name; a repeated name has a tuple."""
        names = names_of(self.name)
        found: dict[str, Argument | tuple[Argument, ...]] = dict(zip(names, self.arguments, strict=False))
        if OPERATIONS[self.name][1][-1:] in REPEATED:
            found[names[-1]] = self.arguments[len(names) - 1 :]
        return found

    @property
    def page(self) -> str:
        """The manual page of the kernel call behind the operation."""
        return OPERATIONS[self.name][4]

    def describe(self) -> str:
        """Return the operation in words, for one line."""
        shown = {name: _shown(name, value) for name, value in self.named().items()}
        return (
            OPERATIONS[self.name][3]
            .format_map(shown)
            .replace(" ()", "")
            .replace(" with new namespaces none", "")
            .removesuffix(" in cgroup ")
        )


def _check(name: str, arguments: tuple[Argument, ...]) -> None:
    _, kinds, signature, _, _ = OPERATIONS[name]
    repeated = REPEATED.get(kinds[-1:])
    least = len(kinds) if repeated is None else len(kinds) - 2 + repeated
    if len(arguments) < least:
        what = f"{names_of(name)[len(arguments)]} is missing"
    elif repeated is None:
        what = f"{arguments[least]!r} is one argument too many"
    else:
        return
    raise TypeError(f"operation {name}: {what}; it takes {signature or 'none'}")


_U32 = [number.to_bytes(4, "little") for number in range(128)]  # creating each anew takes longer than all the rest


def _encode(ops: Iterable[Op]) -> bytes:
    parts: list[bytes] = []
    for op in ops:
        if op.encoded:
            parts.append(op.encoded)
            continue
        arguments: tuple[Any, ...] = op.arguments
        number, kinds, _, _, _ = OPERATIONS[op.name]
        count = len(arguments)
        if count != len(kinds):
            kinds = kinds_of(op.name, count)
        parts += (_U32[number], _U32[count] if count < 128 else count.to_bytes(4, "little"))
        try:
            for kind, argument in zip(kinds, arguments):  # noqa: B905  # strict=True takes 10 % longer
                if kind == "s":
                    data = argument.encode("utf-8", "surrogateescape")
                elif kind == "n":
                    data = b"%d" % argument
                elif kind == "b":
                    data = b"" + argument
                elif kind == "i" or (kind in "+*" and isinstance(argument, int)):
                    data = b"%d" % argument
                else:
                    data = argument.encode("utf-8", "surrogateescape")
                size = len(data)
                parts += (_U32[size] if size < 128 else size.to_bytes(4, "little"), data, b"\0")
        except (AttributeError, TypeError) as error:
            raise _mistyped(op) from error
    return b"".join(parts)


_shared: dict[tuple[Argument, ...], Op] = {}
_MANY = 1024


def shared(name: str, *arguments: Argument) -> Op:
    """Return an operation that is the same in plan after plan: it is made and encoded once."""
    words = (name, *arguments)
    op = _shared.get(words)
    if op is None:
        if len(_shared) >= _MANY:
            _shared.clear()
        op = _shared[words] = Op(name, *arguments)
        op.encoded = op.encode()
    return op


_TYPES = {"n": int, "i": int, "b": bytes}


def _mistyped(op: Op) -> TypeError:
    names, kinds = names_of(op.name), kinds_of(op.name, len(op.arguments))
    for at, argument in enumerate(op.arguments):
        wanted = _TYPES.get(kinds[at], str)
        if not isinstance(argument, wanted):
            name = names[min(at, len(names) - 1)]
            return TypeError(f"operation {op.name}: {name} must be {wanted.__name__}, not {argument!r}")
    return TypeError(f"operation {op.name} cannot be encoded")


def _shown(name: str, value: Argument | tuple[Argument, ...]) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_show, value))
    try:
        return _SHOWN.get(name, _show)(value)
    except ValueError:  # not a number where one is expected
        return _show(value)


def _show(argument: Argument) -> str:
    return f"{len(argument)} bytes" if isinstance(argument, bytes) else str(argument)


def _namespaces(argument: Argument) -> str:
    """Return the kinds of namespaces for CLONE_NEW* bits."""
    bits = int(argument)
    return ", ".join(row.kind for row in NAMESPACES.values() if row.clone_flag & bits) or "none"


def _attributes(argument: Argument) -> str:
    bits = int(argument)
    return ",".join(name for name, bit in MOUNT_ATTRIBUTES.items() if bits & bit)


def _propagation(argument: Argument) -> str:
    names = {MS_PRIVATE: "private", MS_SHARED: "shared", MS_UNBINDABLE: "unbindable"}
    return next((name for bit, name in names.items() if int(argument) & bit), "slave")


def _resource(argument: Argument) -> str:
    return {number: name for name, number in RESOURCES.items()}.get(int(argument), str(argument))


def _limit(argument: Argument) -> str:
    return "-1" if int(argument) == 2**64 - 1 else str(argument)  # RLIM_INFINITY


def _capabilities(argument: Argument) -> str:
    from pypod.kernel.capabilities import names

    found = names(int(argument, 16)) if isinstance(argument, str) else ()
    return ",".join(name.removeprefix("CAP_") for name in found) or "none"


def _address(argument: Argument) -> str:
    return str(argument) or "all addresses"


def _map(argument: Argument) -> str:
    return ", ".join(str(argument).splitlines())


# Argument names that are not shown verbatim.
_SHOWN: dict[str, Callable[[Argument], str]] = {
    "FLAG": _namespaces,
    "FLAGS": _namespaces,
    "PROPAGATION": _propagation,
    "ATTRIBUTES": _attributes,
    "RESOURCE": _resource,
    "BOUNDING": _capabilities,
    "EFFECTIVE": _capabilities,
    "ADDRESS": _address,
    "FILE_MODE": lambda argument: f"{int(argument):04o}",
    "SOFT": _limit,
    "HARD": _limit,
    "UID_MAP": _map,
    "GID_MAP": _map,
}


class Plan:
    """A tuple of operations. A value: creating one has no side effects."""

    __slots__ = ("ops",)

    def __init__(self, ops: Iterable[Op]) -> None:
        self.ops = tuple(ops)

    def encode(self) -> bytes:
        """Return the plan in the form that the C programs read."""
        return _encode(self.ops)

    def describe(self) -> list[str]:
        """Return one line per operation with its manual page."""
        return [f"{op.describe()}  [{op.page}]" for op in self.ops]


def plan(settings: list[Op], ops: list[Op]) -> Plan:
    """Return a plan: operations for the supervisor, then those for the process."""
    return Plan([*settings, *ops])
