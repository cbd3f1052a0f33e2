"""Split a Go template into tokens, with the error messages of text/template."""

from __future__ import annotations

from pypod.cli.go.strconv import quote, quote_rune

__all__ = ["Token", "tokenize"]

_BLANKS = " \t\r\n"
_TERMINATORS = frozenset(_BLANKS + ".,|:)(")
_KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"))
_DIGITS = "0123456789_"
_PREFIXES = {"x": "0123456789abcdefABCDEF_", "o": "01234567_", "b": "01_"}
_SINGLE = {"=": "assign", "|": "pipe", "(": "(", ")": ")"}
_LITERALS = {'"': "quoted string", "`": "raw quoted string", "'": "character constant"}


class Token:
    """A piece of a template: ``at`` is the index of its first character in the text.

    ``kind`` is text, left, right, space, field, variable, identifier, dot, bool, number, string, char, assign,
    declare, pipe, "(", ")", other, error, eof, or a keyword.
    """

    __slots__ = ("at", "kind", "line", "text")

    def __init__(self, kind: str, at: int, text: str, line: int) -> None:
        self.kind = kind
        self.at = at
        self.text = text
        self.line = line

    def __str__(self) -> str:
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.text
        if self.kind in _KEYWORDS or self.kind == "dot":
            return f"<{self.text}>"
        return quote(self.text[:10]) + "..." if len(self.text) > 10 else quote(self.text)


class _Wrong(Exception):
    """The text is not a valid template from here on."""


def tokenize(text: str) -> list[Token]:
    """Return the tokens of ``text``; the last is of kind eof, or error with the message as its text."""
    lexer = _Lexer(text)
    try:
        lexer.run()
    except _Wrong as problem:
        lexer.tokens.append(Token("error", lexer.at, str(problem), lexer.line))
    return lexer.tokens


def _is_word(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _code_point(char: str) -> str:
    shown = f" {quote_rune(ord(char))}" if char.isprintable() else ""
    return f"U+{ord(char):04X}{shown}" if char else "U+FFFFFFFFFFFFFFFF"


class _Lexer:
    """``at`` is where the next token starts, ``parens`` the number of open parentheses."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.parens = 0
        self.tokens: list[Token] = []

    def run(self) -> None:
        while (left := self.text.find("{{", self.at)) >= 0:
            trim = self.trims_before(left + 2)
            end = self.at + len(self.text[self.at : left].rstrip(_BLANKS)) if trim else left
            self.emit("text", end)
            self.skip(left)
            inside = left + 4 if trim else left + 2
            if self.text.startswith("/*", inside):
                self.skip(inside)
                self.comment()
            else:
                self.emit("left", left + 2)
                self.skip(inside)
                self.action()
        self.emit("text", len(self.text))
        self.tokens.append(Token("eof", self.at, "", self.line))

    def trims_before(self, at: int) -> bool:
        return self.text.startswith("-", at) and self.text[at + 1 : at + 2] in tuple(_BLANKS)

    def closes(self, at: int) -> str:
        """Return the right delimiter at ``at``, with its trim marker, or an empty string."""
        if self.text[at : at + 1] in tuple(_BLANKS) and self.text.startswith("-}}", at + 1):
            return self.text[at : at + 4]
        return "}}" if self.text.startswith("}}", at) else ""

    def emit(self, kind: str, end: int) -> None:
        if end > self.at:
            self.tokens.append(Token(kind, self.at, self.text[self.at : end], self.line))
        self.skip(end)

    def skip(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def after_close(self, close: str) -> None:
        if len(close) > 2:
            rest = self.text[self.at :]
            self.skip(self.at + len(rest) - len(rest.lstrip(_BLANKS)))

    def comment(self) -> None:
        end = self.text.find("*/", self.at + 2)
        if end < 0:
            raise _Wrong("unclosed comment")
        close = self.closes(end + 2)
        if not close:
            raise _Wrong("comment ends before closing delimiter")
        self.skip(end + 2 + len(close))
        self.after_close(close)

    def action(self) -> None:
        self.parens = 0
        while not (close := self.closes(self.at)):
            self.inside()
        if self.parens:
            raise _Wrong("unclosed left paren")
        self.skip(self.at + len(close) - 2)
        self.emit("right", self.at + 2)
        self.after_close(close)

    def inside(self) -> None:
        char = self.text[self.at : self.at + 1]
        after = self.text[self.at + 1 : self.at + 2]
        if not char:
            raise _Wrong("unclosed action")
        if char in _BLANKS:
            self.space()
        elif char in _SINGLE:
            self.single(char)
        elif char == ":":
            if after != "=":
                raise _Wrong("expected :=")
            self.emit("declare", self.at + 2)
        elif char in _LITERALS:
            self.literal(char)
        elif char == "$" or (char == "." and not ("0" <= after <= "9")):
            self.name("variable" if char == "$" else "field", self.at + 1)
        elif char in ".+-" or "0" <= char <= "9":
            self.number()
        elif _is_word(char):
            self.name("identifier", self.at)
        elif char.isascii() and char.isprintable():
            self.emit("other", self.at + 1)
        else:
            raise _Wrong(f"unrecognized character in action: {_code_point(char)}")

    def space(self) -> None:
        end = self.at
        while self.text[end : end + 1] in tuple(_BLANKS):
            end += 1
        # The space before a trimming delimiter belongs to it.
        self.emit("space", end - 1 if self.text.startswith("-}}", end) else end)

    def single(self, char: str) -> None:
        self.emit(_SINGLE[char], self.at + 1)
        self.parens += {"(": 1, ")": -1}.get(char, 0)
        if self.parens < 0:
            raise _Wrong(f"unexpected right paren {_code_point(char)}")

    def literal(self, delimiter: str) -> None:
        end = self.at + 1
        while (char := self.text[end : end + 1]) != delimiter:
            if char == "\\" and delimiter != "`":
                end += 1
                char = self.text[end : end + 1]
            if not char or (char == "\n" and delimiter != "`"):
                raise _Wrong(f"unterminated {_LITERALS[delimiter]}")
            end += 1
        self.emit("char" if delimiter == "'" else "string", end + 1)

    def name(self, kind: str, end: int) -> None:
        while _is_word(self.text[end : end + 1]):
            end += 1
        after = self.text[end : end + 1]
        if after and after not in _TERMINATORS and not self.text.startswith("}}", end):
            raise _Wrong(f"bad character {_code_point(after)}")
        word = self.text[self.at : end]
        if word == ".":
            kind = "dot"
        elif kind == "identifier" and word in _KEYWORDS:
            kind = word
        elif word in ("true", "false"):
            kind = "bool"
        self.emit(kind, end)

    def number(self) -> None:
        end, whole = self.number_end(self.at)
        if whole and self.text[end : end + 1] in ("+", "-"):
            end, whole = self.number_end(end)
            whole = whole and self.text[end - 1] == "i"
        if not whole:
            raise _Wrong(f"bad number syntax: {quote(self.text[self.at : end])}")
        self.emit("number", end)

    def number_end(self, at: int) -> tuple[int, bool]:
        """Return the end of the number at ``at``, and whether no word character follows it."""
        at = self.accept(at, "+-", once=True)
        digits = _DIGITS
        if self.text.startswith("0", at):
            at += 1
            prefix = self.text[at : at + 1].lower()
            if prefix in _PREFIXES:
                digits = _PREFIXES[prefix]
                at += 1
        at = self.accept(at, digits)
        if self.text.startswith(".", at):
            at = self.accept(at + 1, digits)
        exponent = {_DIGITS: "eE", _PREFIXES["x"]: "pP"}.get(digits, "")
        if self.text[at : at + 1] in tuple(exponent):
            at = self.accept(self.accept(at + 1, "+-", once=True), _DIGITS)
        at = self.accept(at, "i", once=True)
        if _is_word(self.text[at : at + 1]):
            return at + 1, False
        return at, True

    def accept(self, at: int, chars: str, *, once: bool = False) -> int:
        while self.text[at : at + 1] in tuple(chars):
            at += 1
            if once:
                break
        return at
