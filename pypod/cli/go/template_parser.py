"""Parse the tokens of a Go template into nodes that evaluate themselves, with the error messages of text/template."""

from __future__ import annotations

from pypod.cli.go.strconv import parse_float, parse_int, quote, unquote
from pypod.cli.go.template_functions import FUNCTIONS, Function
from pypod.cli.go.template_lexer import Token, tokenize
from pypod.cli.go.template_operands import Call, Chain, Command, Constant, Dot, Field, Nil, Operand, Pipe, Variable
from pypod.cli.go.template_state import Tree
from pypod.cli.go.template_statements import Action, Block, Conditional, Jump, Range, Text
from pypod.cli.go.values import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["parse"]

_OPERANDS = frozenset(("bool", "char", "dot", "field", "identifier", "number", "nil", "string", "variable", "("))


def parse(text: str, name: str, functions: Mapping[str, Callable[..., object]] | None = None) -> Tree:
    """Parse a template. Raises TemplateError."""
    known = dict(FUNCTIONS)
    for word, body in (functions or {}).items():
        known[word] = Function(body, (), "interface {}")
    try:
        return Tree(name, text, _Parser(text, name, known).whole())
    except RecursionError:
        raise TemplateError(name, f"{name}: nested too deeply") from None


class _Parser:
    """``index`` is the next token, ``furthest`` the last token seen, whose line messages report."""

    def __init__(self, text: str, name: str, functions: Mapping[str, Function]) -> None:
        self.name = name
        self.functions = functions
        self.tokens = tokenize(text)
        self.index = 0
        self.furthest = 0
        self.variables = ["$"]
        self.loops = 0
        self.action_line = 0

    def error(self, message: str) -> TemplateError:
        line = self.tokens[self.furthest].line
        return TemplateError(self.name, f"{self.name}:{line}: {message}")

    def unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind != "error":
            return self.error(f"unexpected {token} in {context}")
        where = ""
        if self.action_line not in (0, token.line):
            where = f" in action started at {self.name}:{self.action_line}"
            if token.text.endswith(" action"):
                where = where.removeprefix(" in action")
        return self.error(f"{token}{where}")

    def peek(self) -> Token:
        # The last token, eof or error, is returned again and again.
        index = min(self.index, len(self.tokens) - 1)
        self.furthest = max(self.furthest, index)
        return self.tokens[index]

    def next(self) -> Token:
        token = self.peek()
        self.index += 1
        return token

    def peek_word(self) -> Token:
        while self.peek().kind == "space":
            self.index += 1
        return self.peek()

    def next_word(self) -> Token:
        self.peek_word()
        return self.next()

    def expect(self, kind: str, context: str) -> None:
        token = self.next_word()
        if token.kind != kind:
            raise self.unexpected(token, context)

    def whole(self) -> Block:
        return self.block(("eof",))[0]

    def block(self, ends: tuple[str, ...]) -> tuple[Block, str]:
        """Read statements up to one of ``ends`` (eof, end or else); return the block and that end."""
        block = Block(self.peek().at)
        while True:
            token = self.next_word()
            if token.kind == "text":
                block.items.append(Text(token.at, token.text))
            elif token.kind == "left":
                self.action_line = token.line
                stop = self.statement(block)
                self.action_line = 0
                if stop and stop not in ends:
                    raise self.error(f"unexpected {{{{{stop}}}}}")
                if stop:
                    return block, stop
            elif token.kind == "eof" and "eof" in ends:
                return block, "eof"
            elif token.kind == "eof":
                raise self.error("unexpected EOF")
            else:
                raise self.unexpected(token, "input")

    def statement(self, block: Block) -> str:
        """Read the statement after a left delimiter into ``block``; return "end" or "else" for these, otherwise ""."""
        token = self.peek_word()
        kind = token.kind
        if kind in ("if", "with", "range"):
            self.next()
            block.items.append(self.branch(token))
        elif kind in ("break", "continue"):
            self.next()
            self.expect("right", f"{{{{{kind}}}}}")
            if not self.loops:
                raise self.error(f"{{{{{kind}}}}} outside {{{{range}}}}")
            block.items.append(Jump(token.at, ends=kind == "break"))
        elif kind == "end":
            self.next()
            self.expect("right", "end")
            return "end"
        elif kind == "else":
            self.next()
            # "else if" leaves the "if" for the branch to find.
            if self.peek_word().kind != "if":
                self.expect("right", "else")
            return "else"
        else:
            block.items.append(Action(token.at, self.pipe("command", "right")))
        return ""

    def branch(self, start: Token) -> Conditional | Range:
        mark = len(self.variables)
        kind = start.kind
        pipe = self.pipe(kind, "right")
        self.loops += kind == "range"
        body, stop = self.block(("end", "else"))
        self.loops -= kind == "range"
        otherwise = None
        if stop == "else":
            token = self.peek()
            if kind == "if" and token.kind == "if":
                self.next()
                otherwise = Block(token.at)
                otherwise.items.append(self.branch(token))
            else:
                otherwise, stop = self.block(("end", "else"))
                if stop != "end":
                    raise self.error("expected end; found {{else}}")
        del self.variables[mark:]
        if kind == "range":
            return Range(start.at, pipe, body, otherwise)
        return Conditional(start.at, pipe, body, otherwise, moves_dot=kind == "with")

    def pipe(self, context: str, end: str) -> Pipe:
        pipe = Pipe(self.peek_word().at)
        self.targets(pipe, context)
        while True:
            token = self.peek_word()
            if token.kind == end:
                self.next()
                self.check(pipe, context)
                return pipe
            if token.kind not in _OPERANDS:
                self.next()
                raise self.unexpected(token, context)
            pipe.commands.append(self.command())

    def targets(self, pipe: Pipe, context: str) -> None:
        """Read ``$x :=``, ``$x =`` or, in a range, ``$i, $x :=``."""
        while (token := self.peek_word()).kind == "variable":
            before = self.index
            self.next()
            sign = self.peek_word()
            comma = sign.kind == "other" and sign.text == ","
            if not comma and sign.kind not in ("assign", "declare"):
                self.index = before
                return
            self.next()
            pipe.targets.append(token.text)
            self.variables.append(token.text)
            if not comma:
                pipe.assigns = sign.kind == "assign"
                return
            if context != "range" or len(pipe.targets) > 1:
                raise self.error(f"too many declarations in {context}")
            if self.peek_word().kind not in ("variable", "right", ")"):
                raise self.error("range can only initialize variables")

    def check(self, pipe: Pipe, context: str) -> None:
        if not pipe.commands:
            raise self.error(f"missing value for {context}")
        for number, command in enumerate(pipe.commands[1:], 2):
            if isinstance(command.words[0], Constant | Dot | Nil):
                raise self.error(f"non executable command in pipeline stage {number}")

    def command(self) -> Command:
        command = Command(self.peek_word().at)
        while True:
            self.peek_word()
            operand = self.operand()
            if operand is not None:
                command.words.append(operand)
            token = self.next()
            if token.kind == "space":
                continue
            if token.kind in ("right", ")"):
                self.index -= 1
            elif token.kind != "pipe":
                raise self.unexpected(token, "operand")
            break
        if not command.words:
            raise self.error("empty command")
        return command

    def operand(self) -> Operand | None:
        node = self.term()
        if node is None or self.peek().kind != "field":
            return node
        at = self.peek().at
        names: list[str] = []
        while self.peek().kind == "field":
            names.append(self.next().text[1:])
        if isinstance(node, Field):
            return Field(at, (*node.names, *names))
        if isinstance(node, Variable):
            return Variable(at, node.name, tuple(names))
        if isinstance(node, Constant | Dot | Nil):
            raise self.error(f"unexpected . after term {quote(str(node))}")
        return Chain(at, node, tuple(names))

    def term(self) -> Operand | None:
        token = self.peek_word()
        if token.kind not in _OPERANDS:
            return None
        self.next()
        if token.kind in _SIMPLE_TERMS:
            return _SIMPLE_TERMS[token.kind](token)
        if token.kind == "(":
            return self.pipe("parenthesized pipeline", ")")
        if token.kind == "variable":
            if token.text not in self.variables:
                raise self.error(f"undefined variable {quote(token.text)}")
            return Variable(token.at, token.text)
        if token.kind == "identifier":
            if token.text not in self.functions:
                raise self.error(f"function {quote(token.text)} not defined")
            return Call(token.at, token.text, self.functions[token.text])
        return Constant(token.at, token.text, self.constant(token))

    def constant(self, token: Token) -> bool | float | str:
        try:
            return _CONSTANTS[token.kind](token.text)
        except ValueError as problem:
            raise self.error(str(problem)) from None


def _character(text: str) -> int:
    char = unquote(text)
    if len(char) != 1:
        raise ValueError(f"malformed character constant: {text}")
    return ord(char)


def _number(text: str) -> int | float:
    try:
        return parse_int(text)
    except ValueError:
        pass
    if text.endswith("i"):
        raise ValueError(f"complex numbers are not supported: {quote(text)}")
    try:
        value = parse_float(text)
    except ValueError:
        raise ValueError(f"illegal number syntax: {quote(text)}") from None
    if not set(text) & set(".eEpP"):
        raise ValueError(f"integer overflow: {quote(text)}")
    return value


_SIMPLE_TERMS: dict[str, Callable[[Token], Operand]] = {
    "dot": lambda token: Dot(token.at),
    "field": lambda token: Field(token.at, (token.text[1:],)),
    "nil": lambda token: Nil(token.at),
}

_CONSTANTS: dict[str, Callable[[str], bool | float | str]] = {
    "bool": lambda text: text == "true",
    "char": _character,
    "number": _number,
    "string": unquote,
}
