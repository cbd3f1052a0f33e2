"""Valid values of options, and the errors for others: the argument, what it must be, and its spelling."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import attrs
import pytest

from pypod.api.options.alone import AloneOptions
from pypod.api.options.create import CreateOptions
from pypod.api.options.explain import ExplainOptions
from pypod.api.options.pod import CreatePodOptions, NewPodOptions
from pypod.errors import InvalidSpec, UnknownOption
from pypod.model.health import Healthcheck
from pypod.model.limits import Limits
from pypod.model.mount import Mount
from pypod.model.options.container import ContainerOptions
from pypod.model.options.fields import Options, options_of
from pypod.model.options.limits import LimitOptions
from pypod.model.options.network import NetworkOptions
from pypod.model.options.pod import PodOptions
from pypod.model.port import Port

OF_ALL = (ContainerOptions, PodOptions, LimitOptions)
EVERY_CLASS = (*OF_ALL, NetworkOptions, AloneOptions, CreateOptions, CreatePodOptions, ExplainOptions, NewPodOptions)


def of_type(*kinds: str) -> list[tuple[type[Options], str]]:
    """Return the options of containers, of pods, and of updates that have one of these types."""
    return [(cls, name) for cls in OF_ALL for name, (field, _) in options_of(cls).items() if field.type in kinds]


def refused(cls: type[Options], **given: Any) -> InvalidSpec:
    with pytest.raises(InvalidSpec) as caught:
        cls(**given)
    return caught.value


@pytest.mark.parametrize("cls", EVERY_CLASS)
def test_nothing_given_is_every_default(cls: type[Options]) -> None:
    made = cls()
    assert {field.name: getattr(made, field.name) for field in attrs.fields(cls)} == {
        field.name: field.default for field in attrs.fields(cls)
    }
    assert made.given() == {}
    assert not any(made.asked(field.name) for field in attrs.fields(cls))


@pytest.mark.parametrize("cls", EVERY_CLASS)
def test_defaults_are_of_their_type(cls: type[Options]) -> None:
    for field in attrs.fields(cls):
        cls.read(field.name, field.default)


class TestWordsOfPodman:
    @pytest.mark.parametrize("cls", OF_ALL)
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"memory": "64m"}, {"memory": 64 << 20}),
            ({"memory": "1.5g", "memory_reservation": "100 kb"}, {"memory": 3 << 29, "memory_reservation": 100 << 10}),
            ({"memory_swap": "-1"}, {"memory_swap": -1}),
            ({"cpus": "0.5"}, {"cpus": 0.5}),
            ({"cpus": 2}, {"cpus": 2.0}),
            ({"device_read_bps": {"/dev/sda": "1mb"}}, {"device_read_bps": {"/dev/sda": 1 << 20}}),
            ({"device_write_iops": {Path("/dev/sda"): 5}}, {"device_write_iops": {"/dev/sda": 5}}),
        ],
    )
    def test_of_limits(self, cls: type[Options], given: dict[str, Any], expected: dict[str, Any]) -> None:
        assert cls(**given).given() == expected

    @pytest.mark.parametrize("cls", [ContainerOptions, PodOptions])
    @pytest.mark.parametrize(("size", "expected"), [("64m", 64 << 20), ("65536k", 64 << 20), ("7", 7), (7, 7), (0, 0)])
    def test_of_shm_size(self, cls: type[Options], size: object, expected: int) -> None:
        assert cls(shm_size=size).given() == {"shm_size": expected}

    def test_of_umask(self) -> None:
        assert ContainerOptions(umask="077").umask == ContainerOptions(umask=0o77).umask == 0o77

    @pytest.mark.parametrize(
        ("given", "argument", "words"),
        [
            ({"memory": "x"}, "--memory", "invalid value for memory: invalid size: 'x'"),
            ({"memory": ""}, "--memory", "invalid value for memory: invalid size: ''"),
            ({"memory_swap": "1x"}, "--memory-swap", "invalid size: '1x'"),
            ({"shm_size": "x"}, "--shm-size", "invalid size: 'x'"),
            ({"shm_size": "9e99g"}, "--shm-size", "invalid size"),
            ({"umask": "8"}, "--umask", "invalid umask string 8"),
            ({"umask": 0o10000}, "--umask", "invalid umask string 4096"),
            ({"ports": ["x"]}, "--publish", "invalid port number"),
        ],
    )
    def test_what_is_none_of_them(self, given: dict[str, Any], argument: str, words: str) -> None:
        error = refused(ContainerOptions, **given)
        assert error.argument == argument
        assert words in error.message


class TestOtherTypesThatSayTheSame:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"user": 1000}, {"user": "1000"}),
            ({"groups": [44, "audio"]}, {"groups": ("44", "audio")}),
            ({"rootfs": Path("/srv")}, {"rootfs": "/srv"}),
            ({"working_directory": Path("/srv")}, {"working_directory": "/srv"}),
            ({"volumes": [Path("/a:/b"), "/c:/d"]}, {"volumes": ("/a:/b", "/c:/d")}),
            ({"ports": {8080: 80}}, {"ports": (Port(container_port=80, host_port=8080),)}),
            ({"entrypoint": []}, {"entrypoint": ()}),
            ({"stop_signal": "TERM"}, {"stop_signal": "TERM"}),
            ({"network": ["a", "b"]}, {"network": ("a", "b")}),
            ({"cap_add": (name for name in ("KILL",))}, {"cap_add": ("KILL",)}),
            ({"mounts": [Mount(type="tmpfs", target="/m")]}, {"mounts": (Mount(type="tmpfs", target="/m"),)}),
        ],
    )
    def test_containers(self, given: dict[str, Any], expected: dict[str, Any]) -> None:
        assert ContainerOptions(**given).given() == expected

    def test_a_command_may_have_paths(self) -> None:
        assert CreateOptions("a", [Path("/bin/ls"), "-l"]).command == ("/bin/ls", "-l")
        assert CreateOptions([Path("/bin/ls")], rootfs="/").image == ("/bin/ls",)

    def test_what_was_read_reads_as_the_same(self) -> None:
        given = {"memory": "64m", "user": 5, "ports": [80], "environment": {"A": "b"}, "umask": "077", "shm_size": "1m"}
        once = ContainerOptions(**given).given()
        assert ContainerOptions(**once).given() == once


class TestWrongTypes:
    @pytest.mark.parametrize(("cls", "name"), of_type("Sequence[str]", "Sequence[str] | None"))
    @pytest.mark.parametrize("value", ["ab", b"ab", {"a": "b"}, 1, [1.5]])
    def test_no_list_of_texts(self, cls: type[Options], name: str, value: object) -> None:
        error = refused(cls, **{name: value})
        assert error.argument == name
        assert error.message.startswith(f"{name} must be a list of strings")
        assert error.message.endswith(f"not {value!r}")
        assert error.hint == ("write ['ab']" if value == "ab" else "")

    @pytest.mark.parametrize(("cls", "name"), of_type("Mapping[str, str]", "Mapping[str, str] | None"))
    def test_no_mapping_of_texts(self, cls: type[Options], name: str) -> None:
        for value in (["a=b"], "a=b", 1, {1: "a"}):
            assert refused(cls, **{name: value}).argument == name
        error = refused(cls, **{name: {"A": 1}})
        assert (error.argument, error.hint) == (name, "write 'A': '1'")
        assert error.message == f"{name} must be a mapping of strings, not {{'A': 1}}"

    @pytest.mark.parametrize(("cls", "name"), of_type("Mapping[str, int]"))
    def test_no_rates(self, cls: type[Options], name: str) -> None:
        for value in (["/dev/sda:1"], {"/dev/sda": 1.5}, {"/dev/sda": "x"}, {1: 1}):
            assert refused(cls, **{name: value}).argument == name

    @pytest.mark.parametrize(("cls", "name"), of_type("bool", "bool | None"))
    def test_neither_true_nor_false(self, cls: type[Options], name: str) -> None:
        for value in ("no", 1, []):
            error = refused(cls, **{name: value})
            assert (error.argument, error.message) == (name, f"{name} must be True or False, not {value!r}")

    @pytest.mark.parametrize(("cls", "name"), of_type("int", "int | None"))
    def test_no_whole_number(self, cls: type[Options], name: str) -> None:
        for value in (1.5, True, [], b"1"):
            assert refused(cls, **{name: value}).argument == name

    @pytest.mark.parametrize(("cls", "name"), of_type("str", "str | int | None", "str | Sequence[str]"))
    def test_no_text(self, cls: type[Options], name: str) -> None:
        for value in (b"a", 1.5, [1]):
            assert refused(cls, **{name: value}).argument == name

    @pytest.mark.parametrize("value", ["a", float("nan"), float("inf"), "inf", True, None])
    def test_no_number(self, value: object) -> None:
        assert refused(PodOptions, cpus=value).argument == "cpus"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("mounts", ["/a:/b"]),
            ("mounts", {}),
            ("healthcheck", ["CMD"]),
            ("ports", "80"),
            ("ports", 80),
            ("user", 1.5),
        ],
    )
    def test_what_has_types_of_its_own(self, name: str, value: object) -> None:
        assert refused(ContainerOptions, **{name: value}).argument == name

    @pytest.mark.parametrize("cls", [CreateOptions, AloneOptions, NewPodOptions, CreatePodOptions])
    @pytest.mark.parametrize("name", ["image", "command", "pod", "engine", "infra_image", "name", "pull", "ephemeral"])
    def test_arguments_beside_them(self, cls: type[Options], name: str) -> None:
        if name in attrs.fields_dict(cls):
            assert refused(cls, **{name: 1.5}).argument == name

    def test_every_option_is_read(self) -> None:
        """No option takes a complex number."""
        for cls in EVERY_CLASS:
            for field in attrs.fields(cls):
                assert refused(cls, **{field.name: 1.5j}).argument == field.name


class TestUnknownOptions:
    @pytest.mark.parametrize("cls", EVERY_CLASS)
    def test_is_an_invalid_spec_and_a_type_error(self, cls: type[Options]) -> None:
        for kind in (UnknownOption, InvalidSpec, TypeError, ValueError):
            with pytest.raises(kind):
                cls(colour="red")

    @pytest.mark.parametrize(
        ("cls", "given", "nearest"),
        [
            (ContainerOptions, "env", "environment"),
            (ContainerOptions, "environmnet", "environment"),
            (ContainerOptions, "volume", "volumes"),
            (ContainerOptions, "working_dir", "working_directory"),
            (PodOptions, "memroy", "memory"),
            (LimitOptions, "cpu", "cpus"),
            (LimitOptions, "user", ""),
            (ContainerOptions, "colour", ""),
        ],
    )
    def test_the_nearest_is_named(self, cls: type[Options], given: str, nearest: str) -> None:
        error = refused(cls, **{given: 1})
        assert isinstance(error, UnknownOption)
        assert (error.argument, error.nearest) == (given, nearest)
        assert str(error) == f"{given!r} is not an option" + (f": did you mean {nearest!r}?" if nearest else "")
        assert vars(pickle.loads(pickle.dumps(error))) == vars(error)  # noqa: S301

    def test_places_are_counted(self) -> None:
        with pytest.raises(TypeError, match="takes at most 2 positional arguments, but 3 were given"):
            CreateOptions("a", "b", "c")
        with pytest.raises(TypeError, match="image is given twice"):
            CreateOptions("a", image="b")
        with pytest.raises(TypeError, match="at most 0"):
            ContainerOptions("a")


def test_a_changed_copy_leaves_the_first_as_it_was() -> None:
    first = ContainerOptions(user="a", ip="10.0.0.1")
    changed = first.replace(user="b").without(["ip"])
    assert (first.given(), changed.given()) == ({"user": "a", "ip": "10.0.0.1"}, {"user": "b"})
    assert repr(changed) == "ContainerOptions(user='b')"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.user = "c"


def test_limits_have_a_field_for_each_option() -> None:
    """Each option sets a different limit."""
    values = {"cpuset_cpus": "0", "cpuset_mems": "0", "memory_swap": 128 << 20, "memory": 64 << 20}
    seen = set()
    for name, (field, _) in options_of(LimitOptions).items():
        value = values.get(
            name, {"/dev/sda": 10} if "Mapping" in str(field.type) else True if field.type == "bool" else 2000
        )
        if name in ("memory_swappiness", "blkio_weight"):
            value = 50
        beside = {"memory": 64 << 20} if name == "memory_swap" else {}
        limits = LimitOptions(**{name: value, **beside}).limits()
        assert limits not in (None, *seen)
        seen.add(limits)
    assert LimitOptions().limits() is None
    assert LimitOptions(memory_swappiness=0).limits() == Limits(memory_swappiness=0)
    assert LimitOptions(pids_limit=0).limits() == Limits(pids=0)


def test_a_health_check_of_none_is_taken() -> None:
    assert ContainerOptions(healthcheck=None).given() == {}
    assert ContainerOptions(healthcheck=Healthcheck()).given() == {"healthcheck": Healthcheck()}
