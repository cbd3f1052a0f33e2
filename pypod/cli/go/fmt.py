"""Print Python values the way Go's fmt package does.

Podman's ``--format`` output is Go's: ``map[a:1 b:2]``, ``[x y]``, ``1e+06``, ``%!d(string=x)``. A Struct prints as a
Go struct, any other dict as a map with sorted keys, None as ``<nil>``; an object of another class, or of a subclass of
int, prints as its ``str`` (Go: a Stringer).
"""

from __future__ import annotations

from pypod.cli.go.strconv import float_digits, quote, quote_rune
from pypod.cli.go.values import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

__all__ = ["Spec", "format_value", "sorted_keys", "sprint", "type_name"]

_TYPE_NAMES = ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string"), (bytes, "[]uint8"))
_INT_STYLES = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_SHARP_PREFIXES = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}


def type_name(value: object) -> str:
    """Return Go's name for the type that ``value`` represents."""
    if value is None:
        return "<nil>"
    if isinstance(value, Struct):
        return value.type_name or type(value).__name__
    if isinstance(value, dict):
        return "map[string]" + _element_type(value.values(), "string")
    if isinstance(value, list | tuple):
        return "[]" + _element_type(value, "interface {}")
    return next((name for kind, name in _TYPE_NAMES if isinstance(value, kind)), type(value).__name__)


def _element_type(values: Iterable[object], of_empty: str) -> str:
    names = {type_name(value) for value in values}
    if not names:
        return of_empty
    return names.pop() if len(names) == 1 and None not in values else "interface {}"


def sorted_keys(mapping: Mapping[Any, object]) -> list[Any]:
    """Return the keys in the order in which Go prints and ranges over a map."""
    try:
        return sorted(mapping)
    except TypeError:
        return sorted(mapping, key=lambda key: (type(key).__name__, str(key)))


def format_value(value: object) -> str:
    """Return ``value`` as ``%v`` prints it."""
    return value if type(value) is str else Spec().show(value, "v")


def sprint(values: Sequence[object], *, line: bool = False) -> str:
    """Join ``values`` as Go's Sprint does (a space between two non-strings), or as Sprintln does."""
    if line:
        return " ".join(map(format_value, values)) + "\n"
    parts: list[str] = []
    previous: object = ""
    for value in values:
        if not isinstance(value, str) and not isinstance(previous, str):
            parts.append(" ")
        parts.append(format_value(value))
        previous = value
    return "".join(parts)


class Spec:
    """The flags, width and precision between a percent sign and its verb."""

    __slots__ = ("labels", "literal", "minus", "plus", "precision", "sharp", "space", "width", "zero")

    def __init__(self) -> None:
        self.labels = self.literal = False
        self.minus = self.plus = self.sharp = self.space = self.zero = False
        self.width = 0
        self.precision: int | None = None

    def use_for_v(self) -> None:
        """Interpret plus and sharp as ``%v`` does: field names and Go syntax."""
        self.labels, self.plus = self.plus, False
        self.literal, self.sharp = self.sharp, False

    def show(self, value: Any, verb: str, *, nested: bool = False) -> str:
        """Format ``value`` with ``verb``; in lists and maps the verb applies to each element."""
        if value is None:
            return self._pad("<nil>") if nested or verb in "vT" else f"%!{verb}(<nil>)"
        if verb == "T":
            return self._pad(type_name(value))
        if isinstance(value, Struct):
            parts = (
                (f"{name}:" if self.labels else "") + self.show(item, verb, nested=True) for name, item in value.items()
            )
            return f"{{{' '.join(parts)}}}"
        if isinstance(value, dict):
            pairs = ((self.show(key, verb), self.show(value[key], verb, nested=True)) for key in sorted_keys(value))
            return f"map[{' '.join(':'.join(pair) for pair in pairs)}]"
        if isinstance(value, list | tuple) or (isinstance(value, bytes) and verb in "vd"):
            return f"[{' '.join(self.show(item, verb, nested=True) for item in value)}]"
        shown = self._scalar(value, verb)
        return f"%!{verb}({type_name(value)}={self.show(value, 'v')})" if shown is None else shown

    def _scalar(self, value: object, verb: str) -> str | None:
        if isinstance(value, bool):
            return self._pad(str(value).lower()) if verb in "tv" else None
        if isinstance(value, int) and (type(value) is int or verb not in "vs"):
            return self._int(value, verb)
        if isinstance(value, float):
            return self._float(value, verb)
        return self._text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value), verb)

    def _text(self, text: str, verb: str) -> str | None:
        if self.precision is not None:
            text = text[: self.precision]
        if verb == "q" or (verb == "v" and self.literal):
            raw = self.sharp and verb == "q" and "`" not in text and text.replace("\t", "").isprintable()
            return self._pad(f"`{text}`" if raw else quote(text, ascii_only=self.plus))
        if verb in "xX":
            content = text.encode("utf-8", "surrogateescape")
            digits = content.hex(" ") if self.space else content.hex()
            return self._pad(digits.upper() if verb == "X" else digits)
        return self._pad(text) if verb in "vs" else None

    def _int(self, value: int, verb: str) -> str | None:
        if verb in "cqU":
            code = value if 0 <= value <= 0x10FFFF else 0xFFFD
            if verb == "U":
                return self._blank_pad(
                    f"U+{value & 0xFFFFFFFFFFFFFFFF:04X}" + (f" '{chr(code)}'" if self.sharp else "")
                )
            return self._pad(chr(code) if verb == "c" else quote_rune(code, ascii_only=self.plus))
        if verb not in _INT_STYLES:
            return None
        if value == 0 and self.precision == 0:
            return " " * self.width
        sign = self._sign(negative=value < 0)
        least = self.precision if self.precision is not None else self.width - len(sign) if self.zero else 0
        digits = format(abs(value), _INT_STYLES[verb]).rjust(least, "0")
        prefix = "0o" if verb == "O" else _SHARP_PREFIXES.get(verb, "") if self.sharp else ""
        if prefix == "0" and digits[0] == "0":
            prefix = ""
        return self._blank_pad(sign + prefix + digits)

    def _float(self, value: float, verb: str) -> str | None:
        if verb not in "vgGeEfFxX":
            return None
        if value - value != 0:  # NaN and the infinities
            text = float_digits(value, low=0, high=0)
            return self._blank_pad(text.replace("+", self._sign(negative=False) or "+"))
        style = "g" if verb == "v" else verb
        if style in "xX":
            digits = _hex_float(abs(value))
        elif style in "gG" and self.precision is None and not self.sharp:
            digits = float_digits(abs(value), low=-4, high=6)
        else:
            precision = 6 if self.precision is None else self.precision
            digits = format(abs(value), f"{'#' if self.sharp else ''}.{precision}{style}")
        digits = digits.upper() if verb in "GX" else digits
        sign = self._sign(negative=str(value)[0] == "-")
        return self._blank_pad(sign + (digits.rjust(self.width - len(sign), "0") if self.zero else digits))

    def _sign(self, *, negative: bool) -> str:
        return "-" if negative else "+" if self.plus else " " if self.space else ""

    def _pad(self, text: str) -> str:
        return text.rjust(self.width, "0") if self.zero else self._blank_pad(text)

    def _blank_pad(self, text: str) -> str:
        return text.ljust(self.width) if self.minus else text.rjust(self.width)


def _hex_float(value: float) -> str:
    mantissa, _, power = value.hex().partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{int(power):+03d}"
