"""Rows of tables as values, and values as JSON in a row."""

from __future__ import annotations

from pypod.errors import StoreError
from pypod.model import plain_json
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    V = TypeVar("V", bound=Value)


_NO_DEFAULT = object()


def types_of(cls: type[Value], *numbers: str) -> tuple[type, ...]:
    """Return the types of a record's columns: str, except for the ``numbers``."""
    return tuple(int if name in numbers else str for name in cls._fields)


def record_of(cls: type[V], types: tuple[type, ...], row: tuple[Any, ...]) -> V:
    """Return the record of a row that has the record's fields in order.

    Defaults and checks are skipped: listing a thousand containers takes a quarter less time without them.
    """
    made = cls.__new__(cls)
    made.__dict__.update(zip(cls._fields, _as_declared(row, types), strict=True))
    return made


def _as_declared(row: tuple[Any, ...], types: tuple[type, ...]) -> tuple[Any, ...]:
    """Return a row with values of its columns' types: a damaged byte can change the type of a value.

    Damaged objects are shown, stopped and removed like others (sqlite.org/fileformat2.html: serial types).
    """
    if tuple(map(type, row)) == types:
        return row
    return tuple(
        value if type(value) is kind else 0 if kind is int else as_text(value)
        for value, kind in zip(row, types, strict=True)
    )


def as_text(value: Any) -> str:
    """Return a column's value as a string: a damaged byte can make it bytes, a number or None."""
    return value if type(value) is str else "" if value is None else str(value)


def of_types(record: V, types: tuple[type, ...]) -> V:
    """Return a record from outside the store if its fields have the types of its columns. Raises ValueError."""
    if tuple(type(value) for _, value in record.items()) != types:
        raise ValueError("not a record")
    return record


def to_json(value: Value) -> str:
    """Return a spec as JSON. Fields with their default are left out: few containers set many of the eighty."""
    fields, default_of = value.__dict__, value._defaults.get
    given = {}
    for name in value._fields:
        item, default = fields[name], default_of(name, _NO_DEFAULT)
        if item is not default and item != default:  # most are the default itself
            given[name] = _plain(item)
    return plain_json.dumps(given)


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def parse_value(cls: type[V], identifier: str, text: str, classes: dict[str, type[Value]]) -> V:
    """Parse the ``to_json`` output of a value; ``classes`` has the classes of the fields that are values themselves.

    Raises StoreError, naming the object ``identifier``, when it is damaged.
    """

    def value(name: str, item: Any) -> Any:
        if isinstance(item, dict):
            return classes[name](**{key: value(key, part) for key, part in item.items()})
        if isinstance(item, list):
            return tuple(value(name, part) for part in item)
        return item

    try:
        return cls(**{name: value(name, item) for name, item in plain_json.loads(text).items()})
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # InvalidSpec is a ValueError
        raise damaged(identifier, error) from error


def damaged(identifier: str, error: Exception) -> StoreError:
    """Return the error of an object whose row cannot be read."""
    return StoreError(identifier, f"the record of {identifier[:12]} is damaged: {error}", hint="remove it")
