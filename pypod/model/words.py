"""Words: quoted as in podman's messages, and with variables expanded, as in a Dockerfile and ``--env-merge``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def quoted(text: str) -> str:
    """Return text in double quotes, as Go prints it.

    >>> print(quoted('a "b"'))
    "a \\"b\\""
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if escaped.isprintable() else repr(text)


def expand(word: str, variables: Mapping[str, str]) -> str:
    """Return ``word`` without its quotes and with its variables expanded; an unknown one is empty.

    ``$NAME``, ``${NAME}``, ``${NAME:-when empty}``, ``${NAME:+when not}``; a backslash escapes the next character.
    Raises ValueError for anything else.

    >>> expand("${GREETING:-hello}, '$NAME'", {"NAME": "x"})
    'hello, $NAME'
    """
    return _Word(word, variables).until("")


class _Word:
    """A word and the position of its parser."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._variables = variables
        self._at = 0

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def until(self, stop: str) -> str:
        """Parse up to ``stop``, or to the end when that is empty."""
        found = ""
        while self._peek() != stop:
            character = self._next()
            if not character:
                raise ValueError(f"unexpected end of statement while looking for matching {stop}")
            if character == "'":
                found += self._single()
            elif character == '"':
                found += self._double()
            elif character == "$":
                found += self._variable()
            else:
                found += self._next() if character == "\\" else character
        self._next()
        return found

    def _single(self) -> str:
        text, quote, _ = self._text[self._at :].partition("'")
        if not quote:
            raise ValueError("unexpected end of statement while looking for matching single-quote")
        self._at += len(text) + 1
        return text

    def _double(self) -> str:
        found = ""
        while (character := self._next()) != '"':
            if not character:
                raise ValueError("unexpected end of statement while looking for matching double-quote")
            if character == "$":
                found += self._variable()
            else:
                found += self._next() if character == "\\" and self._peek() in ('"', "$") else character
        return found

    def _variable(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._next()
        name = self._name()
        separator = self._next()
        value = self._variables.get(name, "")
        if separator == "}":
            return value
        if separator != ":":
            raise ValueError(f"Missing ':' in substitution: {self._text}")
        modifier = self._next()
        instead = self.until("}")
        if modifier not in ("-", "+"):
            raise ValueError(f"Unsupported modifier ({modifier}) in substitution: {self._text}")
        return instead if bool(value) == (modifier == "+") else value

    def _name(self) -> str:
        if self._peek().isdigit():
            return self._next()
        start = self._at
        while self._peek().isalnum() or self._peek() == "_":
            self._next()
        return self._text[start : self._at]
