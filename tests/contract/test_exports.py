"""What pypod promises: __all__ is sorted, complete and importable; every error is exported and survives pickling."""

from __future__ import annotations

import pickle

import pypod
import pypod.errors


def test_all_names_exist_and_are_of_pypod() -> None:
    names = [name for name in pypod.__all__ if name != "__version__"]
    assert names == sorted(names)
    assert {getattr(pypod, name).__module__ for name in names} == {"pypod"}


def test_every_error_class_is_exported() -> None:
    classes = {
        name
        for name, value in vars(pypod.errors).items()
        if isinstance(value, type) and issubclass(value, pypod.errors.PypodError)
    }
    assert classes == set(pypod.errors.__all__)
    assert classes <= set(pypod.__all__)


def test_errors_keep_their_fields_across_processes() -> None:
    error = pypod.LaunchFailed("mount proc", "fsmount", 1, hint="be root")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(back), str(back), back.operation, back.call, back.errno, back.hint) == (
        pypod.LaunchFailed,
        "mount proc: fsmount: Operation not permitted: be root",
        "mount proc",
        "fsmount",
        1,
        "be root",
    )


def test_errors_are_also_the_builtin_ones_a_caller_expects() -> None:
    assert issubclass(pypod.InvalidSpec, ValueError)
    assert issubclass(pypod.NoSuchPod, LookupError)
    assert issubclass(pypod.PermissionDenied, PermissionError)
    assert issubclass(pypod.DeadlineExceeded, TimeoutError)
