"""Our config.json is valid by the specification's JSON schema, made strict about unknown keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from pypod.kernel.capabilities import CAPABILITIES, DEFAULT_CAPABILITIES
from pypod.runtime.seccomp.config import seccomp_of, written
from pypod.runtime.seccomp.filter import compile_profile, filter_for
from pypod.runtime.seccomp.profile import Target, read_profile
from tests.unit import plan_cases

SCHEMA = Path(__file__).parents[2] / "data" / "runtime-spec"
Config = dict[str, Any]


def closed(schema: Any) -> Any:
    """Return a schema that rejects unknown keys: the published one accepts any key."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        found.setdefault("additionalProperties", False)
    return found


@pytest.fixture(scope="module")
def validator() -> Draft4Validator:
    schemas = {path.name: closed(json.loads(path.read_text())) for path in SCHEMA.glob("*.json")}
    registry: Registry[Any] = Registry().with_resources(
        [(name, DRAFT4.create_resource(schema)) for name, schema in schemas.items()]
    )
    return Draft4Validator({"$ref": "config-schema.json"}, registry=registry)


def problems(validator: Draft4Validator, config: Config) -> list[str]:
    """Return the schema errors of a configuration, in the form it has in a file."""
    content = json.loads(json.dumps(config))
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(content)]


@pytest.fixture(scope="module")
def configs() -> Iterator[list[Config]]:
    """The configurations of all recorded plans (plan_cases.py)."""
    found: list[Config] = []
    given = plan_cases.runtime_spec

    def noted(*arguments: Any) -> Config:
        found.append(given(*arguments))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_cases, "runtime_spec", noted)
        plan_cases.plans()
    return found


def test_every_configuration_is_valid(validator: Draft4Validator, configs: list[Config]) -> None:
    assert len(configs) > 80
    wrong = {f"{config['process']['args']} {problem}" for config in configs for problem in problems(validator, config)}
    assert sorted(wrong) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("process", "user", "uid"), -1),
        (("process", "user", "name"), "alice"),
        (("process", "rlimits"), [{"type": "RLIMIT_CORE", "soft": -1, "hard": -1}]),
        (("process", "cwd"), None),
        (("linux", "rootfsPropagation"), "rslave"),
        (("linux", "namespaces"), [{"type": "net"}]),
        (("linux", "seccomp"), {"syscalls": []}),
        (("linux", "resource"), {}),
        (("annotations", "a"), 1),
        (("mounts",), [{"source": "/a"}]),
    ],
)
def test_what_is_wrong_is_found(
    validator: Draft4Validator, configs: list[Config], path: tuple[str, ...], value: Any
) -> None:
    config = json.loads(json.dumps(configs[0]))
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert problems(validator, config)


SETS = [DEFAULT_CAPABILITIES, CAPABILITIES, (), ("CAP_SYS_ADMIN", "CAP_BPF"), ("CAP_SYS_PTRACE",)]


class TestSeccomp:
    @pytest.mark.parametrize("capabilities", SETS, ids=len)
    def test_it_is_valid(
        self, validator: Draft4Validator, configs: list[Config], capabilities: tuple[str, ...]
    ) -> None:
        seccomp = seccomp_of(None, frozenset(capabilities))
        config = {**configs[0], "linux": {**configs[0]["linux"], "seccomp": seccomp}}
        assert problems(validator, config) == []
        assert seccomp["defaultAction"] == "SCMP_ACT_ERRNO"
        assert len(seccomp["syscalls"]) > 10

    @pytest.mark.parametrize("capabilities", SETS, ids=len)
    def test_it_comes_to_the_filter_that_containers_have(self, tmp_path: Path, capabilities: tuple[str, ...]) -> None:
        seccomp = tmp_path / "seccomp.json"
        seccomp.write_text(json.dumps(seccomp_of(None, frozenset(capabilities))))
        nothing: frozenset[str] = frozenset()  # conditions on capabilities are already resolved
        assert filter_for(str(seccomp), nothing, str(tmp_path)) == filter_for(
            None, frozenset(capabilities), str(tmp_path)
        )

    @pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
    def test_of_a_users_profile(self, machine: str) -> None:
        arguments = [
            {"index": 0, "value": 1, "op": "SCMP_CMP_GE"},
            {"index": 0, "value": 2**64 - 1, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"},
        ]
        asked = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_NATIVE"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [
                {"name": "read", "action": "SCMP_ACT_ERRNO", "errno": "ENOSYS", "args": arguments},
                {"names": ["write"], "action": "SCMP_ACT_KILL_PROCESS"},
                {"names": ["bpf"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["CAP_BPF"]}},
                {"names": ["openat"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
            ],
        }
        target = Target(architecture=machine, capabilities=frozenset(), kernel=(6, 1))
        profile = read_profile(asked, target, "")
        found = written(profile, machine)
        assert found["flags"] == ["SECCOMP_FILTER_FLAG_LOG"]
        assert "defaultErrnoRet" not in found
        assert [one["names"] for one in found["syscalls"]] == [["read"], ["read"], ["write"], ["openat"]]
        assert [one.get("errnoRet") for one in found["syscalls"]] == [38, 38, None, 7]
        assert compile_profile(found, frozenset(), machine) == compile_profile(asked, frozenset(), machine)
