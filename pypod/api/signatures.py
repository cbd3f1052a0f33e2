"""Methods whose parameters are the fields of an options class, and are defined only there.

Type checkers see the constructor of the class in the method's place (PEP 612). ``help``, ``inspect.signature``,
``typing.get_type_hints`` and Sphinx see the same at run time, where it is computed on access.
"""

from __future__ import annotations

import sys
from types import MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import Signature
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from pypod.model.options.fields import Options

    P = ParamSpec("P")
    SelfT = TypeVar("SelfT")
    AskedT = TypeVar("AskedT")
    ResultT = TypeVar("ResultT")


def takes(
    options: Callable[[], Callable[P, AskedT]],
) -> Callable[[Callable[[SelfT, AskedT], ResultT]], Callable[Concatenate[SelfT, P], ResultT]]:
    """Give a method the parameters of an options class; its body gets an instance of that class.

    ``options`` returns the class: ``lambda: types.CreateOptions``. It is imported at the first call, since commands
    that only read containers import these methods, too.
    """
    return lambda method: _Method(method, options)  # type: ignore[arg-type,return-value]


class _Method:
    def __init__(self, method: Callable[[Any, Any], Any], options: Callable[[], type[Options]]) -> None:
        self._method = method
        self._options = options
        self._function: Callable[..., Any] | None = None
        self.__module__, self.__name__, self.__qualname__ = method.__module__, method.__name__, method.__qualname__

    def __call__(self, owner: object, *given: object, **named: object) -> Any:
        return self._method(owner, self._options()(*given, **named))

    def __get__(self, owner: object | None, _cls: type | None = None) -> Any:
        if owner is not None:
            return MethodType(self, owner)
        if self._function is None:
            self._function = self._as_function()
        return self._function

    def _as_function(self) -> Callable[..., Any]:
        """Return an ordinary function, which is what people and tools expect in a class."""

        def method(owner: object, *given: object, **named: object) -> Any:
            return self(owner, *given, **named)

        for name in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__", "__signature__"):
            setattr(method, name, getattr(self, name))
        return method

    def is_defined(self) -> bool:
        """Return whether the method's class exists yet; before that, classmethod() copies these attributes."""
        return hasattr(sys.modules[self.__module__], self.__qualname__.partition(".")[0])

    @property
    def __signature__(self) -> Signature:
        from inspect import Parameter, Signature, signature

        owner = next(iter(signature(self._method).parameters.values()))
        parameters = [owner]
        for name, (kind, default, is_named) in self._options().parameters().items():
            place = Parameter.KEYWORD_ONLY if is_named else Parameter.POSITIONAL_OR_KEYWORD
            parameters.append(Parameter(name, place, default=default, annotation=kind))
        return Signature(parameters, return_annotation=self.__annotations__["return"])

    def __getattr__(self, name: str) -> Any:
        # as an attribute of _Method it would describe _Method itself
        if name != "__annotations__" or not self.is_defined():
            raise AttributeError(name)
        from typing import get_type_hints

        kinds = {name: kind for name, (kind, _, _) in self._options().parameters().items()}
        result = get_type_hints(self._method)["return"]
        return {**kinds, "return": None if result is type(None) else result}


def _doc(self: _Method) -> str | None:
    if not self.is_defined():
        return None
    from inspect import cleandoc

    return f"{cleandoc(self._method.__doc__ or '')}\n\n{self._options().told()}"


_Method.__doc__ = property(_doc)  # type: ignore[assignment]  # in its body this would describe the class
