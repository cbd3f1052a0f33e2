"""Go's Sprintf: the format string; fmt applies a verb to its operand."""

from __future__ import annotations

from pypod.cli.go.fmt import Spec, format_value, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["sprintf"]

_MAX_NUMBER = 1_000_000  # fmt refuses a wider width or precision
_FLAGS = {"-": "minus", "+": "plus", "#": "sharp", " ": "space", "0": "zero"}


def sprintf(text: str, values: Sequence[object]) -> str:
    """Replace the verbs of ``text`` as Go's Sprintf does; errors appear in the result, as in Go."""
    return _Printer(text, values).run()


class _Printer:
    """One pass over a format string: ``at`` is the next character, ``used`` the index of the next operand."""

    def __init__(self, text: str, values: Sequence[object]) -> None:
        self.text = text
        self.values = values
        self.at = 0
        self.used = 0
        self.reordered = False
        self.good_index = True
        self.after_index = False
        self.out: list[str] = []

    def run(self) -> str:
        out = self.out
        while True:
            percent = self.text.find("%", self.at)
            if percent < 0:
                out.append(self.text[self.at :])
                break
            out.append(self.text[self.at : percent])
            self.at = percent + 1
            self.one_verb()
        if not self.reordered and self.used < len(self.values):
            extra = (
                "<nil>" if value is None else f"{type_name(value)}={format_value(value)}"
                for value in self.values[self.used :]
            )
            out.append(f"%!(EXTRA {', '.join(extra)})")
        return "".join(out)

    def one_verb(self) -> None:
        self.good_index, self.after_index = True, False
        spec = self.flags()
        self.index()
        self.width(spec)
        if self.text.startswith(".", self.at):
            self.precision(spec)
        if not self.after_index:
            self.index()
        verb = self.text[self.at : self.at + 1]
        self.at += 1
        if not verb:
            self.out.append("%!(NOVERB)")
        elif verb == "%":
            self.out.append("%")
        elif not self.good_index:
            self.out.append(f"%!{verb}(BADINDEX)")
        elif self.used >= len(self.values):
            self.out.append(f"%!{verb}(MISSING)")
        else:
            self.used += 1
            if verb == "v":
                spec.use_for_v()
            self.out.append(spec.show(self.values[self.used - 1], verb))

    def flags(self) -> Spec:
        spec = Spec()
        while (name := _FLAGS.get(self.text[self.at : self.at + 1])) is not None:
            setattr(spec, name, True)
            self.at += 1
        spec.zero = spec.zero and not spec.minus
        return spec

    def index(self) -> None:
        """Read ``[3]``: the next operand is the third."""
        self.after_index = False
        if not self.text.startswith("[", self.at):
            return
        self.reordered = True
        close = self.text.find("]", self.at)
        number = self.text[self.at + 1 : max(close, 0)]
        self.at = close + 1 if close >= 0 else self.at + 1
        self.after_index = number.isascii() and number.isdigit()
        if self.after_index and len(number) < 9 and 0 < int(number) <= len(self.values):
            self.used = int(number) - 1
        else:
            self.good_index = False

    def number(self) -> int | None:
        start = self.at
        while self.text[self.at : self.at + 1].isdigit() and self.text[self.at].isascii():
            self.at += 1
        if self.at - start > 7 or int(self.text[start : self.at] or 0) > _MAX_NUMBER:
            self.at = len(self.text)
            return None
        return int(self.text[start : self.at]) if self.at > start else None

    def star(self) -> int | None:
        """Read ``*``: the next operand is the number."""
        self.at += 1
        self.after_index = False
        value = self.values[self.used] if self.used < len(self.values) else None
        self.used = min(self.used + 1, len(self.values))
        fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_NUMBER
        return value if fits else None  # type: ignore[return-value]

    def width(self, spec: Spec) -> None:
        if self.text.startswith("*", self.at):
            width = self.star()
            if width is None:
                self.out.append("%!(BADWIDTH)")
            elif width < 0:
                spec.minus, spec.zero = True, False
            spec.width = abs(width or 0)
            return
        width = self.number()
        if self.after_index and width is not None:
            self.good_index = False
        spec.width = width or 0

    def precision(self, spec: Spec) -> None:
        self.at += 1
        if self.after_index:
            self.good_index = False
        self.index()
        if self.text.startswith("*", self.at):
            precision = self.star()
            if precision is None or precision < 0:
                self.out.append("%!(BADPREC)")
            else:
                spec.precision = precision
        else:
            spec.precision = self.number() or 0
