"""The public names, modules and errors are exactly the promised ones."""

from __future__ import annotations

import ast
import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import pypod
from pypod import errors

EVERY_ERROR = sorted(
    (value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.PypodError)),
    key=lambda cls: cls.__name__,
)


def test_all_is_sorted_and_everything_in_it_is_there() -> None:
    assert pypod.__all__ == sorted(pypod.__all__)
    assert len(set(pypod.__all__)) == len(pypod.__all__)
    for name in pypod.__all__:
        assert getattr(pypod, name) is not None
    assert dir(pypod) == pypod.__all__


def test_nothing_else_is_public() -> None:
    """In a fresh interpreter, after every name was looked up: no more names and no other ones."""
    code = (
        "import pypod, types; names = {}; exec('from pypod import *', names); names.pop('__builtins__')\n"
        "found = {n for n, v in vars(pypod).items() if not n.startswith('_') and not isinstance(v, types.ModuleType)}\n"
        "print(sorted(names) == pypod.__all__, sorted(found - set(names) - {'annotations', 'TYPE_CHECKING'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(pypod.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    names = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    modules = {alias.asname: node.module for node in block.body for alias in node.names}
    assert (names - {None}) | set(errors.__all__) | {"__version__"} == set(pypod.__all__)
    assert {name: module for name, module in modules.items() if name} == {
        name: module for name, module in pypod._WHERE.items() if module != "pypod.errors"
    }
    assert (Path(pypod.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("name", [name for name in pypod.__all__ if name != "__version__"])
def test_what_is_exported_is_of_pypod_and_documented(name: str) -> None:
    value = getattr(pypod, name)
    assert (value.__module__, value.__name__) == ("pypod", name)
    assert getattr(pypod, name) is value
    assert value.__doc__ or issubclass(value, errors.NotFound | errors.LaunchFailed)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        pypod.Nothing  # noqa: B018


def test_every_error_is_exported_and_in_the_drawing() -> None:
    names = [cls.__name__ for cls in EVERY_ERROR]
    assert sorted(errors.__all__) == errors.__all__ == names
    assert set(names) <= set(pypod.__all__)
    drawing = errors.__doc__ or ""
    for cls in EVERY_ERROR:
        line = next(line for line in drawing.splitlines() if line.split("──")[-1].split()[:1] == [cls.__name__])
        others = [base.__name__ for base in cls.__bases__ if not issubclass(base, errors.PypodError)]
        assert all(f"({name})" in line for name in others if name != "Exception"), line


EXAMPLES = [
    errors.PypodError("m", hint="h"),
    errors.InvalidSpec("--name", "m", hint="h"),
    errors.UnknownOption("env", ["environment"]),
    errors.NotFound("r", hint="h"),
    errors.NoSuchPod("r", hint="h"),
    errors.NoSuchContainer("r", hint="h"),
    errors.NoSuchImage("r", hint="h"),
    errors.NoSuchNetwork("r", hint="h"),
    errors.NoSuchSecret("x"),
    errors.NoSuchVolume("r", hint="h"),
    errors.InvalidImage("layer 1", "r", hint="h"),
    errors.RegistryError("https://r/v2/", "m", status=500, hint="h"),
    errors.Unauthorized("https://r/v2/", "m", status=401, hint="h"),
    errors.NotInRegistry("https://r/v2/", "m", status=404, hint="h"),
    errors.AmbiguousName("pod", "a", ("ab", "ac")),
    errors.AlreadyExists("pod", "n", "container", "id"),
    errors.InUse("r", "m", hint="h"),
    errors.PortInUse("tcp", "::1", 80, pid=7, command="httpd"),
    errors.WrongState("r", "exited", "m", hint="h"),
    errors.PodBroken("r", "Broken", "m", hint="h"),
    errors.Unsupported("f", "m", hint="h"),
    errors.PermissionDenied("o", "m", hint="h"),
    errors.LaunchFailed("step", "mount", 2, hint="h"),
    errors.CommandNotFound("run x", "execve", 2, message="m", hint="h"),
    errors.CommandNotExecutable("run x", "execve", 13, message="m", hint="h"),
    errors.NoSuchUser("find user x", "find user", 2, message="m", hint="h"),
    errors.StoreError("/p", "m", hint="h"),
    errors.SystemFailure("o", 28, "m", hint="h"),
    errors.DeadlineExceeded("o", 1.5),
]


def test_there_is_an_example_of_every_error() -> None:
    assert sorted(type(error).__name__ for error in EXAMPLES) == errors.__all__


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_cross_process_borders_with_their_fields(error: errors.PypodError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301
        assert type(again) is type(error)
        assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
    assert error.message
    assert str(error) == (f"{error.message}: {error.hint}" if error.hint else error.message)


def test_errors_are_what_python_calls_them() -> None:
    kinds = {
        errors.InvalidSpec: ValueError,
        errors.NotFound: LookupError,
        errors.AmbiguousName: LookupError,
        errors.PermissionDenied: PermissionError,
        errors.DeadlineExceeded: TimeoutError,
    }
    for ours, builtin in kinds.items():
        assert issubclass(ours, builtin)
        assert issubclass(ours, errors.PypodError)


def test_an_error_crosses_a_real_border() -> None:
    code = (
        "import multiprocessing as m\n"
        "from pypod import CommandNotFound\n"
        "def fail(_):\n"
        "    raise CommandNotFound('run x', 'execve', 2, message='not there', hint='h')\n"
        "if __name__ == '__main__':\n"
        "    with m.get_context('fork').Pool(1) as pool:\n"
        "        try:\n"
        "            pool.map(fail, [0])\n"
        "        except CommandNotFound as error:\n"
        "            print(error.call, error.errno, error.exit_code, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "execve 2 127 not there: h\n"
