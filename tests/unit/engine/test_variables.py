"""Words with variables, and the default environment, compared with the results of podman 4.3.1."""

from __future__ import annotations

import re

import pytest

from pypod.engine.specs.variables import unset_environment, with_variables
from pypod.errors import InvalidSpec
from pypod.model.options.container import ContainerOptions
from pypod.model.words import expand

VARIABLES = {"hello": "world", "B": "b", "PATH": "/bin"}
IMAGE = (("hello", "world"), ("A", "a"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", ""),
        ("x=${hello}-some", "x=world-some"),
        ("$hello$B-c", "worldb-c"),
        ("${hello:-z}${nix:-z}${B:+y}${nix:+y}$nix${nix}", "worldzy"),
        ("${nix:-${B}x}", "bx"),
        ('"q"\\\\x\\$B', "q\\x$B"),
        ('"${B}x $B\\$B\\"\\n"', 'bx b$B"\\n'),
        ("'$B\"\\'", '$B"\\'),
        ("$B$$", "b$$"),
        ("$", "$"),
        ("$1x", "x"),
        ("a b\\", "a b"),
    ],
)
def test_words(word: str, expected: str) -> None:
    assert expand(word, VARIABLES) == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("${B:?no}", "Unsupported modifier (?) in substitution: ${B:?no}"),
        ("${B-c}", "Missing ':' in substitution: ${B-c}"),
        ("${", "Missing ':' in substitution: ${"),
        ("${B:-x", "unexpected end of statement while looking for matching }"),
        ("'x", "unexpected end of statement while looking for matching single-quote"),
        ('"x', "unexpected end of statement while looking for matching double-quote"),
    ],
)
def test_words_that_are_none(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        expand(word, VARIABLES)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"hello": "world", "A": "a"}),
        ({"unsetenv": ["hello", "nix"]}, {"A": "a"}),
        ({"unsetenv_all": True}, {}),
        ({"unsetenv_all": True, "environment": {"X": "1"}}, {"X": "1"}),
        ({"unsetenv": ["A"], "environment": {"A": "mine"}}, {"hello": "world", "A": "mine"}),
        ({"env_merge": ["A=${hello}=x"], "unsetenv": ["hello", "PATH", "TERM", "container"]}, {"A": "world=x"}),
        (
            {"env_merge": ["A=x"], "environment": {"A": "y"}, "unsetenv": ["PATH", "TERM", "container", "hello"]},
            {"A": "y"},
        ),
        ({"env_merge": ["new=x"], "unsetenv_all": True}, {}),
    ],
)
def test_what_nobody_asked_for(options, expected: dict[str, str]) -> None:
    assert with_variables(ContainerOptions(**options), IMAGE).environment == expected


def test_podman_s_own_can_be_changed_and_unset() -> None:
    found = with_variables(ContainerOptions(env_merge=["PATH=${PATH}:/opt", "TERM=$A"]), IMAGE).environment
    assert (found["PATH"].rpartition("/bin")[2], found["TERM"]) == (":/opt", "a")
    assert unset_environment(ContainerOptions(unsetenv=["PATH", "A"])) == ("PATH",)
    assert unset_environment(ContainerOptions(unsetenv_all=True)) == ("PATH", "TERM", "container")


@pytest.mark.parametrize("word", ["A=${", "hello"])
def test_what_cannot_be_merged(word: str) -> None:
    with pytest.raises(InvalidSpec, match="unable to process variables for --env-merge") as caught:
        with_variables(ContainerOptions(env_merge=[word]), IMAGE)
    assert caught.value.argument == "--env-merge"
