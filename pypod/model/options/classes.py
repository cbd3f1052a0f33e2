"""attrs classes without the import of attrs, which would take longer than the rest of ``pypod create``.

Type checkers see ``field`` and ``frozen`` of attrs. At run time the same declarations are read by a few lines here, and
attrs is imported once somebody looks at a class through it (``attrs.fields``, ``attrs.asdict``).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from attrs import field, frozen

__all__ = ["Field", "Frozen", "field", "fields_of", "frozen"]


class Field:
    """One field, as attrs describes it. ``type`` is the annotation as it is written."""

    __slots__ = ("converter", "default", "kw_only", "metadata", "name", "type")

    def __init__(
        self,
        *,
        default: object,
        converter: Callable[[Any], Any] | None = None,
        kw_only: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.default: Any = default
        self.converter = converter
        self.kw_only = kw_only
        self.metadata = metadata or {}
        self.name = self.type = ""


class _AsAttrs:
    """``__attrs_attrs__``, where attrs looks for the fields of a class."""

    def __get__(self, _: object, cls: type[Frozen]) -> tuple[Any, ...]:
        import attr

        given = {
            one.name: attr.ib(
                default=one.default,
                converter=one.converter,
                kw_only=one.kw_only,
                metadata=one.metadata,
                type=one.type,
            )
            for one in fields_of(cls)
        }
        return tuple(attr.fields(attr.make_class(cls.__name__, given)))


class Frozen:
    """The base of these classes. Their constructor is not made here: ``Options`` parses what it is given."""

    _fields: tuple[Field, ...] = ()
    __attrs_attrs__ = _AsAttrs()

    def __setattr__(self, name: str, value: object) -> None:
        from attrs.exceptions import FrozenInstanceError

        raise FrozenInstanceError

    __delattr__ = __setattr__  # type: ignore[assignment]


def fields_of(cls: type[Frozen]) -> tuple[Field, ...]:
    """Return the fields of a class, those of its bases first."""
    return cls._fields


if not TYPE_CHECKING:
    field = Field

    def frozen(*, kw_only=False):
        """Return the decorator of a class of options."""

        def read(cls):
            fields = {}
            for base in reversed(cls.__mro__[1:]):
                fields.update((one.name, one) for one in base.__dict__.get("_fields", ()))
            for name, kind in cls.__annotations__.items():
                one = cls.__dict__[name]
                one.name, one.type, one.kw_only = name, kind, kw_only or one.kw_only
                fields[name] = one
                delattr(cls, name)
            cls._fields = tuple(fields.values())
            return cls

        return read
