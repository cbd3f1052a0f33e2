"""Frozen values: the base class of specifications and observed states.

Why not attrs or dataclasses: a shell command pays for every import. Measured on the reference machine, `import attrs`
costs 20 ms and each class 0.4 ms, `dataclasses` 15 ms; this file costs 0.1 ms and a class 10 us. Type checkers see
ordinary keyword-only dataclasses through PEP 681.
"""

from __future__ import annotations

from _collections_abc import Iterator

from pypod.model import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, dataclass_transform
else:

    def dataclass_transform(**_options):
        return lambda cls: cls


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Value:
    """An immutable record with keyword-only fields, compared and hashed by content.

    A subclass lists its fields as annotations; a class attribute of the same name is the default. ``check`` may
    raise InvalidSpec; it runs after every construction, ``replace`` included.

    >>> class Point(Value):
    ...     x: int
    ...     y: int = 0
    >>> Point(x=1).replace(y=2)
    Point(x=1, y=2)
    """

    _fields: tuple[str, ...] = ()
    _names: frozenset[str] = frozenset()
    _defaults: dict[str, types.Any] = {}  # noqa: RUF012

    def __init_subclass__(cls) -> None:
        own = tuple(name for name in cls.__annotations__ if not name.startswith("_"))
        cls._fields = cls._fields + own
        cls._names = frozenset(cls._fields)
        cls._defaults = {**cls._defaults, **{name: cls.__dict__[name] for name in own if name in cls.__dict__}}

    if not TYPE_CHECKING:

        def __init__(self, **given):
            fields = self.__dict__
            fields.update(self._defaults)
            fields.update(given)
            if len(fields) != len(self._fields) or not self._names.issuperset(given):
                unknown = given.keys() - self._names
                missing = self._names - fields.keys()
                wrong = f"no field {min(unknown)!r}" if unknown else f"field {min(missing)!r} is missing"
                raise TypeError(f"{type(self).__name__}: {wrong}")
            self.check()

    def check(self) -> None:
        """Raise InvalidSpec when the fields contradict each other."""

    def replace(self, **changes: types.Any) -> types.Self:
        """Return a copy with some fields changed, checked like a new value."""
        return type(self)(**{**self.__dict__, **changes})

    def items(self) -> Iterator[tuple[str, types.Any]]:
        """Yield (field, value) in the order of declaration."""
        for name in self._fields:
            yield name, self.__dict__[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.__dict__[name] for name in self._fields)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__.copy())


def _rebuild(cls: type[Value], fields: dict[str, Any]) -> Value:
    return cls(**fields)
