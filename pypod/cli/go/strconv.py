"""Go's literals: quoting and unquoting strings, parsing numbers, the shortest digits of a float.

Invalid input raises ValueError with the message of Go's strconv.
"""

from __future__ import annotations

__all__ = ["float_digits", "parse_bool", "parse_float", "parse_int", "parse_uint", "quote", "quote_rune", "unquote"]

_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 92: "\\\\"}
_UNESCAPES = {escape[1]: chr(code).encode() for code, escape in _ESCAPES.items()}
_HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}
_MAX_RUNE = 0x10FFFF

_BOOLS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True)
_BOOLS |= dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)

# pflag passes base 0: 0x, 0o, 0b and the old bare 0 are prefixes.
_INT64 = range(-(1 << 63), 1 << 63)
_UINT64 = range(1 << 64)


def quote(text: str, *, ascii_only: bool = False) -> str:
    """Return ``text`` as a Go string literal, as ``%q`` does."""
    return '"' + _escape(text, '"', ascii_only=ascii_only) + '"'


def quote_rune(code: int, *, ascii_only: bool = False) -> str:
    """Return the character as a Go character literal, as ``%q`` does."""
    return "'" + _escape(chr(code), "'", ascii_only=ascii_only) + "'"


def _escape(text: str, delimiter: str, *, ascii_only: bool) -> str:
    if text.isascii() and text.isprintable() and delimiter not in text and "\\" not in text:
        return text
    return "".join(_escape_char(char, delimiter, ascii_only=ascii_only) for char in text)


def _escape_char(char: str, delimiter: str, *, ascii_only: bool) -> str:
    code = ord(char)
    if char == delimiter:
        return "\\" + char
    if code in _ESCAPES:
        return _ESCAPES[code]
    if char.isprintable() and (code < 127 or not ascii_only):
        return char
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8 (os.fsdecode)
        code -= 0xDC00
        return f"\\x{code:02x}"
    if code < 32 or code == 127:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquote(literal: str) -> str:
    """Return the value of a Go string, raw string or character literal; ``literal`` includes the quotes.

    Raises ValueError when Go would reject the literal.
    """
    delimiter, body = literal[0], literal[1:-1]
    if delimiter == "`":
        return body.replace("\r", "")
    if "\\" not in body:
        return body
    out = bytearray()
    at = 0
    while at < len(body):
        if body[at] == "\\":
            piece, at = _unescape(body, at + 1, delimiter)
            out += piece
        else:
            out += body[at].encode("utf-8", "surrogateescape")
            at += 1
    return out.decode("utf-8", "surrogateescape")


def _unescape(body: str, at: int, delimiter: str) -> tuple[bytes, int]:
    letter = body[at : at + 1]
    if letter in _UNESCAPES:
        return _UNESCAPES[letter], at + 1
    if letter and letter == delimiter:
        return letter.encode(), at + 1
    if letter in _HEX_LENGTHS:
        end = at + 1 + _HEX_LENGTHS[letter]
        digits, base = body[at + 1 : end], 16
        expected = _HEX_LENGTHS[letter]
    else:
        end = at + 3
        digits, base, expected = body[at:end], 8, 3
    if len(digits) != expected or not (digits.isascii() and digits.isalnum()):
        raise ValueError("invalid syntax")
    code = int(digits, base)
    if letter in ("u", "U"):
        if code > _MAX_RUNE or 0xD800 <= code <= 0xDFFF:
            raise ValueError("invalid syntax")
        return chr(code).encode(), end
    if code > 255:
        raise ValueError("invalid syntax")
    return bytes((code,)), end


def float_digits(value: float, *, low: int, high: int) -> str:
    """Return the shortest digits that parse back to ``value``, with an exponent unless low <= exponent < high."""
    if value - value != 0:  # NaN and the infinities
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[repr(value)]
    text = repr(value)
    sign = "-" if text[0] == "-" else ""
    mantissa, _, power = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(power or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0"
    if not low <= point - 1 < high:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{point - 1:+03d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if len(digits) <= point:
        return sign + digits.ljust(point, "0")
    return f"{sign}{digits[:point]}.{digits[point:]}"


def _number_error(function: str, text: str, problem: str) -> ValueError:
    return ValueError(f"strconv.{function}: parsing {quote(text)}: {problem}")


def parse_bool(text: str) -> bool:
    if text not in _BOOLS:
        raise _number_error("ParseBool", text, "invalid syntax")
    return _BOOLS[text]


def _integer(text: str, digits: str, function: str, allowed: range) -> int:
    # int() also accepts spaces, signs and digits of other scripts, which Go rejects.
    if not (digits.isascii() and digits.replace("_", "").isalnum()):
        raise _number_error(function, text, "invalid syntax")
    literal = f"0o{digits[1:]}" if digits[0] == "0" and digits[1:2] in tuple("01234567_") else digits
    try:
        value = int(literal, 0)
    except ValueError:
        # int() rejects more than 4300 decimal digits.
        huge = len(digits) > 1000 and digits.isdigit()
        raise _number_error(function, text, "value out of range" if huge else "invalid syntax") from None
    if text.startswith("-"):
        value = -value
    if value not in allowed:
        raise _number_error(function, text, "value out of range")
    return value


def parse_int(text: str) -> int:
    return _integer(text, text[1:] if text[:1] in ("+", "-") else text, "ParseInt", _INT64)


def parse_uint(text: str) -> int:
    return _integer(text, text, "ParseUint", _UINT64)


def parse_float(text: str) -> float:
    lowered = text.lower()
    if not text.isascii() or text != text.strip():
        raise _number_error("ParseFloat", text, "invalid syntax")
    try:
        value = float.fromhex(lowered.replace("_", "")) if "0x" in lowered and "p" in lowered else float(text)
    except ValueError:
        raise _number_error("ParseFloat", text, "invalid syntax") from None
    except OverflowError:
        raise _number_error("ParseFloat", text, "value out of range") from None
    if value in (float("inf"), float("-inf")) and "inf" not in lowered:
        raise _number_error("ParseFloat", text, "value out of range")
    return value
