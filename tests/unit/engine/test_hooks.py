"""Which OCI hooks are for a container, and what a file of hooks may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pypod import InvalidSpec, Unsupported
from pypod.engine.configuration import hooks
from pypod.model.container import ContainerSpec
from pypod.model.mount import Mount

SPEC = ContainerSpec(
    name="c",
    rootfs="/",
    entrypoint=("/bin/true",),
    command=("x",),
    annotations=(("a", "bc"), ("d", "e")),
    mounts=(Mount(type="bind", source="/usr", target="/usr"),),
)
WHOLE: dict[str, Any] = {
    "version": "1.0.0",
    "hook": {"path": "/bin/true"},
    "when": {"always": True},
    "stages": ["prestart"],
}


def written(directory: Path, content: object, name: str = "a.json") -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(content if isinstance(content, str) else json.dumps(content))


def stages(*directories: Path, spec: ContainerSpec = SPEC) -> list[str]:
    return [one.stage for one in hooks.of_container(map(str, directories), spec)]


@pytest.mark.parametrize(
    ("when", "is_for"),
    [
        ({"always": True}, True),
        ({"always": False}, False),
        ({}, False),
        ({"commands": ["^/bin/tr"]}, True),
        ({"commands": ["^/usr", "true$"]}, True),
        ({"commands": ["^/usr"]}, False),
        ({"annotations": {"^a$": "^b"}}, True),
        ({"annotations": {"^a$": "^c"}}, False),
        ({"annotations": {"^a$": "^b", "^d$": "^x"}}, False),
        ({"hasBindMounts": True}, True),
        ({"hasBindMounts": True, "commands": ["^/usr"]}, False),
        ({"always": True, "commands": ["^/usr"]}, False),
    ],
)
def test_all_conditions_must_be_met(tmp_path: Path, when: dict[str, Any], is_for: bool) -> None:
    written(tmp_path, {**WHOLE, "when": when})
    assert stages(tmp_path) == (["prestart"] if is_for else [])


def test_without_a_bind_the_condition_of_binds_is_not_met(tmp_path: Path) -> None:
    written(tmp_path, {**WHOLE, "when": {"hasBindMounts": True}})
    assert stages(tmp_path, spec=SPEC.replace(mounts=())) == []


def test_a_hook_has_everything_that_the_file_says(tmp_path: Path) -> None:
    hook = {"path": "/bin/true", "args": ["t", "one"], "env": ["A=b"], "timeout": 7}
    written(tmp_path, {**WHOLE, "hook": hook, "stages": ["poststop", "prestart"]})
    first, second = hooks.of_container([str(tmp_path)], SPEC)
    assert (first.stage, second.stage) == ("prestart", "poststop")
    assert (first.path, first.arguments, first.variables, first.timeout_s) == ("/bin/true", ("t", "one"), ("A=b",), 7)


def test_without_arguments_it_has_its_own_name(tmp_path: Path) -> None:
    written(tmp_path, WHOLE)
    assert hooks.of_container([str(tmp_path)], SPEC)[0].arguments == ("/bin/true",)


def test_a_later_directory_replaces_and_names_give_the_order(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    written(one, {**WHOLE, "stages": ["poststop"]}, "b.json")
    written(one, WHOLE, "c.json")
    written(two, {**WHOLE, "stages": ["createRuntime"]}, "b.json")
    written(two, "not one", "README")
    assert stages(one, tmp_path / "none", two) == ["createRuntime", "prestart"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting"),
        ("[]", "attribute"),
        ({**WHOLE, "version": "0.1.0"}, "unrecognized hook version: '0.1.0'"),
        ({**WHOLE, "hook": {"path": "bin/true"}}, "not absolute"),
        ({**WHOLE, "hook": {"path": "/no/such"}}, "No such file"),
        ({**WHOLE, "hook": {}}, "'path' is missing"),
        ({**WHOLE, "hook": {"path": "/bin/true", "timeout": -1}}, "timeout"),
        ({**WHOLE, "hook": {"path": "/bin/true", "args": ["\0"]}}, "NUL"),
        ({**WHOLE, "stages": []}, "stages must be among"),
        ({**WHOLE, "stages": ["start"]}, "stages must be among"),
        ({**WHOLE, "when": {"commands": ["("]}}, "unterminated"),
        ({key: value for key, value in WHOLE.items() if key != "when"}, "'when' is missing"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: object, message: str) -> None:
    written(tmp_path, content)
    with pytest.raises(InvalidSpec, match=message) as caught:
        stages(tmp_path)
    assert f'parsing hook "{tmp_path}/a.json"' in str(caught.value)


def test_one_that_would_change_the_configuration_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {**WHOLE, "stages": ["precreate"]})
    with pytest.raises(Unsupported, match=f"precreate are not available: {tmp_path}/a.json"):
        stages(tmp_path)
