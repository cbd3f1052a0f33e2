"""Values: frozen, checked, compared by content; names, modes, and the derivation of a pod's status."""

from __future__ import annotations

import copy
import pickle

import pytest

from pypod.errors import InvalidSpec
from pypod.model import ids
from pypod.model.container import ContainerSpec, ContainerState, Ulimit
from pypod.model.mount import Mount
from pypod.model.namespace import DEFAULT_SHARE, HOST, POD, PRIVATE, SHAREABLE, Mode, parse_mode, parse_share
from pypod.model.pod import PodSpec, pod_status
from pypod.model.value import Value


class Point(Value):
    """A value with a rule."""

    x: int
    y: int = 0

    def check(self) -> None:
        if self.x < 0:
            raise InvalidSpec("x", "x must not be negative")


class Named(Point):
    """A value with an additional field."""

    name: str = "origin"


class TestValue:
    def test_fields_and_defaults(self) -> None:
        point = Point(x=1)
        assert (point.x, point.y, list(point.items())) == (1, 0, [("x", 1), ("y", 0)])
        assert repr(point) == "Point(x=1, y=0)"
        assert list(Named(x=1).items()) == [("x", 1), ("y", 0), ("name", "origin")]

    @pytest.mark.parametrize(
        ("given", "message"), [({}, "'x' is missing"), ({"x": 1, "z": 2}, "no field 'z'"), ({"z": 2}, "no field 'z'")]
    )
    def test_wrong_fields(self, given: dict[str, int], message: str) -> None:
        with pytest.raises(TypeError, match=message):
            Point(**given)

    def test_is_frozen(self) -> None:
        point = Point(x=1)
        with pytest.raises(AttributeError, match=r"use replace\(x=\.\.\.\)"):
            point.x = 2
        with pytest.raises(AttributeError):
            del point.x
        with pytest.raises(AttributeError):
            point.z = 3
        assert point.x == 1

    def test_replace_checks(self) -> None:
        point = Point(x=1, y=2)
        assert point.replace(x=3) == Point(x=3, y=2)
        assert point == Point(x=1, y=2)
        with pytest.raises(InvalidSpec):
            point.replace(x=-1)
        with pytest.raises(TypeError):
            point.replace(z=1)

    def test_is_compared_by_type_and_content(self) -> None:
        assert Point(x=1) == Point(x=1, y=0)
        assert len({Point(x=1), Point(x=1, y=0), Point(x=2)}) == 2
        assert Point(x=1) != Named(x=1)
        assert Point(x=1) != (1, 0)

    @pytest.mark.parametrize("value", [Point(x=1, y=2), ContainerSpec(name="a", rootfs="/", command=("b",))])
    def test_survives_copies_and_pickles(self, value: Value) -> None:
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301
        assert copy.copy(value) == copy.deepcopy(value) == value


class TestIds:
    def test_are_fresh(self) -> None:
        made = {ids.new_id() for _ in range(100)}
        assert len(made) == 100
        assert {len(one) for one in made} == {64}
        assert all(ids.is_id(one) and ids.is_id(one[:1]) for one in made)
        assert ids.short("0123456789abcdef") == "0123456789ab"

    @pytest.mark.parametrize("text", ["", "g", "A", "0" * 65, "12 ", "é", "0x12"])
    def test_what_is_none(self, text: str) -> None:
        assert not ids.is_id(text)

    def test_names_of_our_own_are_valid(self) -> None:
        for name in {ids.new_name() for _ in range(200)}:
            assert ids.check_name(name) == name
            assert name.count("_") == 1

    @pytest.mark.parametrize("name", ["a", "A", "0", "a_b.c-d", "a" * 300, "0-", "Z_"])
    def test_good_names(self, name: str) -> None:
        assert ids.check_name(name) == name

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "-a", "_a", ".a", "a/b", "a b", "a\n", "a\0", "ä", "aé", "a:b", "İ"]
    )
    def test_bad_names(self, name: str) -> None:
        with pytest.raises(InvalidSpec, match="names must match") as caught:
            ids.check_name(name, "--infra-name")
        assert caught.value.argument == "--infra-name"

    @pytest.mark.parametrize("hostname", ["a", "a.b", "a" * 64, "ä" * 32, "-"])
    def test_good_hostnames(self, hostname: str) -> None:
        assert ids.check_hostname(hostname) == hostname

    @pytest.mark.parametrize("hostname", ["", "a" * 65, "ä" * 33, "a b", "a\n", "a\0", "\x1b[1m", "a\u2003b"])
    def test_bad_hostnames(self, hostname: str) -> None:
        with pytest.raises(InvalidSpec) as caught:
            ids.check_hostname(hostname)
        assert caught.value.argument == "--hostname"


GOOD_MODES = [
    ("ipc", "shareable", PRIVATE),
    ("ipc", "none", PRIVATE),
    ("ipc", "ns:/run/ipc", Mode(mode="ns", target="/run/ipc")),
    ("pid", "host", HOST),
    ("pid", "container:web", Mode(mode="container", target="web")),
    ("uts", "private", PRIVATE),
    ("cgroup", "host", HOST),
    ("user", "pod", POD),
]
BAD_MODES = [
    ("pid", "--pid", ["none", "container", "private:x"]),
    ("ipc", "--ipc", ["shared"]),
    ("uts", "--uts", ["none"]),
    ("cgroup", "--cgroupns", ["none", "ns:"]),
    ("user", "--userns", ["none", "container", "private:x"]),
]


class TestModes:
    @pytest.mark.parametrize(("kind", "text", "expected"), GOOD_MODES)
    def test_good_ones(self, kind: str, text: str, expected: Mode) -> None:
        assert parse_mode(kind, text) == expected

    @pytest.mark.parametrize(("kind", "argument", "texts"), BAD_MODES)
    def test_bad_ones_name_their_flag(self, kind: str, argument: str, texts: list[str]) -> None:
        for text in texts:
            with pytest.raises(InvalidSpec) as caught:
                parse_mode(kind, text)
            assert caught.value.argument == argument

    def test_as_text(self) -> None:
        assert [str(mode) for mode in (HOST, Mode(mode="container", target="x"))] == ["host", "container:x"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ()),
            ("none", ()),
            ("net", ("net",)),
            ("uts, net", ("net", "uts")),
            ("net,net", ("net",)),
            ("+pid", (*DEFAULT_SHARE, "pid")),
            ("+pid,+net", (*DEFAULT_SHARE, "pid")),
            ("ipc,net,uts,pid,user,cgroup", SHAREABLE),
        ],
    )
    def test_share(self, text: str, expected: tuple[str, ...]) -> None:
        assert parse_share(text) == tuple(kind for kind in SHAREABLE if kind in expected)

    @pytest.mark.parametrize("text", ["mnt", "net,nonsense", "+nonsense", "net,none", "time"])
    def test_share_of_what_cannot_be(self, text: str) -> None:
        with pytest.raises(InvalidSpec) as caught:
            parse_share(text)
        assert caught.value.argument == "--share"


SPEC = ContainerSpec(name="a", rootfs="/", command=("b",))


class TestContainerSpec:
    @pytest.mark.parametrize(
        ("changes", "argument"),
        [
            ({"name": "-"}, "--name"),
            ({"rootfs": "relative"}, "--rootfs"),
            ({"command": ()}, "command"),
            ({"command": ("a\0",)}, "command"),
            ({"entrypoint": ("a\0",)}, "command"),
            ({"working_directory": "relative"}, "--workdir"),
            ({"working_directory": ""}, "--workdir"),
            ({"hostname": "a b"}, "--hostname"),
            ({"hostname": "a", "uts": POD}, "--hostname"),
            ({"hostname": "a", "uts": HOST}, "--hostname"),
            ({"hostname": "a", "uts": Mode(mode="container", target="x")}, "--hostname"),
            ({"stop_timeout_s": -1}, "--stop-timeout"),
            ({"stop_timeout_s": 2**31 + 1}, "--stop-timeout"),
            ({"shm_size_bytes": -1}, "--shm-size"),
        ],
    )
    def test_what_is_wrong(self, changes: dict[str, object], argument: str) -> None:
        with pytest.raises(InvalidSpec) as caught:
            SPEC.replace(**changes)
        assert caught.value.argument == argument

    def test_arguments(self) -> None:
        assert SPEC.replace(entrypoint=("e",)).arguments == ("e", "b")
        assert SPEC.replace(entrypoint=("e",), command=()).arguments == ("e",)

    def test_namespaces(self) -> None:
        spec = SPEC.replace(net=HOST, user_namespace=POD)
        assert [spec.namespace(kind) for kind in ("net", "user", "mnt", "pid")] == [HOST, POD, PRIVATE, PRIVATE]

    def test_is_a_key(self) -> None:
        spec = SPEC.replace(
            mounts=(Mount(type="tmpfs", target="/t"),), ulimits=(Ulimit(name="RLIMIT_NOFILE", soft=1, hard=2),)
        )
        assert {spec: 1}[spec.replace()] == 1


class TestContainerState:
    @pytest.mark.parametrize(
        ("status", "code", "running", "known"),
        [
            ("created", None, False, True),
            ("running", None, True, True),
            ("paused", None, True, True),
            ("exited", 0, False, True),
            ("exited", None, False, False),
        ],
    )
    def test_what_it_says(self, status: str, code: int | None, running: bool, known: bool) -> None:
        state = ContainerState(status=status, exit_code=code)
        assert (state.running, state.exit_code_known) == (running, known)


C, R, X, P = (
    ContainerState(status="created"),
    ContainerState(status="running"),
    ContainerState(status="exited", exit_code=0),
    ContainerState(status="paused"),
)
LOST = ContainerState(status="exited")
STATUSES = [
    # infra, members, status
    (None, [], "Created"),
    (None, [C, C], "Created"),
    (None, [R, R], "Running"),
    (None, [R, X], "Degraded"),
    (None, [X, X], "Exited"),
    (None, [X, C], "Stopped"),
    (C, [], "Created"),
    (C, [C], "Created"),
    (R, [], "Running"),
    (R, [C], "Degraded"),
    (R, [R, R], "Running"),
    (R, [R, P], "Degraded"),
    (P, [P, P], "Paused"),
    (P, [P, X], "Stopped"),
    (P, [P, C], "Created"),
    (X, [P], "Broken"),
    (R, [R, C], "Degraded"),
    (R, [R, X], "Degraded"),
    (R, [X], "Degraded"),
    (R, [LOST], "Degraded"),
    (X, [], "Exited"),
    (X, [X, X], "Exited"),
    (X, [C], "Stopped"),
    (LOST, [X], "Exited"),
    (X, [R], "Broken"),
    (LOST, [R, X], "Broken"),
    (LOST, [P], "Broken"),
    (C, [R], "Broken"),
]


class TestPod:
    @pytest.mark.parametrize(("infra", "members", "expected"), STATUSES)
    def test_status(self, infra, members, expected: str) -> None:
        assert pod_status(infra, members) == expected
        assert pod_status(infra, iter(reversed(members))) == expected

    @pytest.mark.parametrize(
        ("changes", "argument"),
        [
            ({"name": ""}, "--name"),
            ({"name": "a/b"}, "--name"),
            ({"infra_name": "-"}, "--infra-name"),
            ({"hostname": "a b"}, "--hostname"),
            ({"infra": False, "infra_name": "x"}, "--infra-name"),
            ({"infra": False, "infra_command": ("x",)}, "--infra-command"),
            ({"infra": False, "hostname": "x"}, "--hostname"),
        ],
    )
    def test_what_is_wrong(self, changes: dict[str, object], argument: str) -> None:
        with pytest.raises(InvalidSpec) as caught:
            PodSpec(name="a").replace(**changes)
        assert caught.value.argument == argument
