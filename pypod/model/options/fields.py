"""Options as fields of attrs classes: each is defined once, and its value is parsed where it is passed in.

Only commands that create or update something import this package.
"""

from __future__ import annotations

from pypod.errors import InvalidSpec, UnknownOption
from pypod.model.options.classes import Field, Frozen, fields_of
from pypod.model.options.readers import READERS, Unfit
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Self

NONE_GIVEN: Mapping[str, Any] = {}  # the default of mappings; never modified
_KEY = "about"
_ASKED = "_asked"  # the names of the fields that were given, even with their default values


class About(Value):
    """An option's metadata besides name, type and default: for help, reference pages and the command line.

    ``flag`` is podman's, without dashes; None for the name of the option, "" for no flag. ``kind`` is the kind of the
    ``Flag`` unless it follows from the type, ``shown`` the default in the command line's help if that differs. ``spec``
    is the option's field in a specification, if that has another name.
    """

    help: str
    flag: str | None = None
    kind: str = ""
    short: str = ""
    metavar: str = ""
    shown: Any = None
    aliases: tuple[str, ...] = ()
    spec: str = ""


def about(help: str, **further: Any) -> dict[str, About]:
    """Return the metadata of an option's field; see ``About``."""
    return {_KEY: About(help=help, **further)}


def about_of(field: Field) -> About | None:
    """Return the metadata of a field, None for an argument that is not an option."""
    return field.metadata.get(_KEY)


def flag_of(field: Field) -> str:
    """Return the name of an option's flag, empty when it has none."""
    said = about_of(field)
    flag = said.flag if said else ""
    return field.name.replace("_", "-") if flag is None else flag


def options_of(cls: type[Options]) -> dict[str, tuple[Field, About]]:
    """Return the fields of a class that are options, by name, with their metadata."""
    return {field.name: (field, said) for field in fields_of(cls) if (said := about_of(field))}


class Options(Frozen):
    """Options passed by keyword. Subclasses are ``attrs.frozen``; the metadata of their fields is ``about``.

    The constructor parses its arguments: each value by its field's converter, or according to its type. Raises
    InvalidSpec naming the argument, and UnknownOption naming the closest option.
    """

    if not TYPE_CHECKING:

        def __init_subclass__(cls):
            def __init__(self, *given, **named):
                fields = self.__dict__
                table = _table_of(cls)
                table.fill(fields, given, named)
                fields[_ASKED] = frozenset((*table.positional[: len(given)], *named))

            cls.__init__ = __init__  # the one by attrs would also convert the defaults of ninety fields

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, without parsing them."""
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__, **changes)
        return changed

    def asked(self, name: str) -> bool:
        """Return whether the constructor was given a field, even with its default value."""
        return name in self.__dict__[_ASKED]

    def given(self) -> dict[str, Any]:
        """Return the fields whose values differ from the default."""
        defaults = _table_of(type(self)).defaults
        return {name: value for name, value in self.__dict__.items() if value != defaults.get(name, value)}

    def without(self, names: Iterable[str]) -> Self:
        """Return a copy with some fields reset to their defaults."""
        defaults = _table_of(type(self)).defaults
        return self.replace(**{name: defaults[name] for name in names})

    @classmethod
    def read(cls, name: str, value: object) -> Any:
        """Return a value parsed for the field. Raises InvalidSpec."""
        found: dict[str, Any] = {}
        _table_of(cls).fill(found, (), {name: value})
        return found[name]

    @classmethod
    def parameters(cls) -> dict[str, tuple[Any, Any, bool]]:
        """Return type, default and whether it is keyword-only, for each parameter of the constructor.

        Parameters of a class come before those of its bases.
        """
        from inspect import get_annotations
        from typing import get_type_hints

        fields, hints = {one.name: one for one in fields_of(cls)}, get_type_hints(cls)
        names = dict.fromkeys(name for one in cls.__mro__ for name in get_annotations(one) if name in fields)
        return {
            name: (
                get_type_hints(field.converter)["value"] if field.converter else hints[name],
                field.default,
                bool(field.kw_only),
            )
            for name in sorted(names, key=lambda name: fields[name].kw_only)
            if (field := fields[name])
        }

    @classmethod
    def told(cls) -> str:
        """Return a line for each option."""
        known = options_of(cls)
        lines = [f"{name}: {known[name][1].help}" for name in cls.parameters() if name in known]
        return "\n".join(["Options:", *(f"    {line}" for line in lines)])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.given().items())})"


class _Table:
    """The properties of an options class's fields that its constructor needs."""

    def __init__(self, cls: type[Options]) -> None:
        fields = fields_of(cls)
        self.defaults = {field.name: field.default for field in fields}
        self.positional = [field.name for field in fields if not field.kw_only]
        self.readers = {field.name: reader_of(field) for field in fields}
        self.flags = {field.name: flag_of(field) for field in fields}

    def fill(self, values: dict[str, Any], given: tuple[object, ...], named: dict[str, Any]) -> None:
        """Fill in the defaults and the arguments."""
        if given:
            named = self._with_positional(given, named)
        readers = self.readers
        if not named.keys() <= readers.keys():
            raise UnknownOption(min(named.keys() - readers.keys()), list(readers))
        values.update(self.defaults)
        name = ""
        try:
            for name, value in named.items():
                values[name] = readers[name](value)
        except Unfit as error:
            raise InvalidSpec(name, f"{name} must be {error}, not {named[name]!r}", hint=error.hint) from None
        except InvalidSpec:
            raise
        except ValueError as error:
            raise InvalidSpec(f"--{self.flags[name]}", str(error)) from None

    def _with_positional(self, given: tuple[object, ...], named: dict[str, Any]) -> dict[str, Any]:
        if len(given) > len(self.positional):
            raise TypeError(f"takes at most {len(self.positional)} positional arguments, but {len(given)} were given")
        found = dict(zip(self.positional, given, strict=False))
        if twice := found.keys() & named.keys():
            raise TypeError(f"{min(twice)} is given twice")
        return {**found, **named}


def reader_of(field: Field) -> Callable[[Any], Any]:
    """Return the parser for values of a field: its converter, or the one for its type."""
    return field.converter or READERS[field.type]


_tables: dict[type[Options], _Table] = {}


def _table_of(cls: type[Options]) -> _Table:
    if cls not in _tables:
        _tables[cls] = _Table(cls)
    return _tables[cls]
