"""containers.conf(5): which files count, how they are merged, and podman's words for what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.engine.configuration.files import locate, mention, read, stamp
from pypod.errors import InvalidSpec


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("usr/share/containers", "etc/containers/containers.conf.d", "home/.config/containers"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def located(root: Path, *, rootless: bool = False, **environment: str) -> list[str]:
    own = {"HOME": str(root / "home"), **environment}
    return [path.removeprefix(f"{root}/") for _, path in locate(own, str(root), rootless=rootless)]


class TestFiles:
    def test_without_any(self, root) -> None:
        assert located(root) == []
        assert read([]).values == {}

    def test_order(self, root) -> None:
        for name in (
            "usr/share/containers/containers.conf",
            "etc/containers/containers.conf",
            "etc/containers/containers.conf.d/b.conf",
            "etc/containers/containers.conf.d/a.conf",
            "etc/containers/containers.conf.d/a.txt",
            "home/.config/containers/containers.conf",
            "home/.config/containers/containers.conf.d/c.conf",
        ):
            write(root / name, "")
        (root / "etc/containers/containers.conf.d/d.conf").mkdir()
        of_system = [
            "usr/share/containers/containers.conf",
            "etc/containers/containers.conf",
            "etc/containers/containers.conf.d/a.conf",
            "etc/containers/containers.conf.d/b.conf",
        ]
        of_user = ["home/.config/containers/containers.conf", "home/.config/containers/containers.conf.d/c.conf"]
        assert located(root) == of_system
        assert located(root, rootless=True) == [*of_system, *of_user]
        write(root / "xdg/containers/containers.conf", "")
        own = located(root, rootless=True, XDG_CONFIG_HOME=str(root / "xdg"))
        assert own == [*of_system, "xdg/containers/containers.conf"]

    def test_from_the_environment(self, root) -> None:
        write(root / "etc/containers/containers.conf", "")
        only, last = write(root / "only.conf", ""), write(root / "last.conf", "")
        assert located(root, CONTAINERS_CONF=only) == ["only.conf"]
        assert located(root, CONTAINERS_CONF=only, CONTAINERS_CONF_OVERRIDE=last) == ["only.conf", "last.conf"]
        assert located(root, CONTAINERS_CONF_OVERRIDE=last) == ["etc/containers/containers.conf", "last.conf"]
        for name in ("CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE"):
            with pytest.raises(InvalidSpec, match=f"on system: {name} file: stat /no/such: no such file"):
                located(root, **{name: "/no/such"})

    def test_modules(self, root) -> None:
        write(root / "etc/containers/containers.conf.modules/a.conf", "")
        write(root / "usr/share/containers/containers.conf.modules/a.conf", "")
        write(root / "usr/share/containers/containers.conf.modules/sub/b.conf", "")
        own = write(root / "home/.config/containers/containers.conf.modules/a.conf", "")
        assert located(root, PYPOD_MODULES="a.conf\nsub/b.conf") == [
            "etc/containers/containers.conf.modules/a.conf",
            "usr/share/containers/containers.conf.modules/sub/b.conf",
        ]
        assert located(root, rootless=True, PYPOD_MODULES="a.conf") == [own.removeprefix(f"{root}/")]
        assert located(root, PYPOD_MODULES=own) == [own.removeprefix(f"{root}/")]
        with pytest.raises(InvalidSpec, match=r'could not resolve module "c\.conf"'):
            located(root, PYPOD_MODULES="c.conf")

    def test_a_changed_file(self, root) -> None:
        path = write(root / "a.conf", "")
        before = stamp([("system", path)])
        assert stamp([("system", path)]) == before
        write(root / "a.conf", "[engine]\n")
        assert stamp([("system", path)]) != before


def merged(root: Path, *texts: str):
    return read([("system", write(root / f"{number}.conf", text)) for number, text in enumerate(texts)])


class TestMerging:
    def test_later_files_override_keys(self, root) -> None:
        found = merged(
            root,
            '[containers]\npids_limit = 5\numask = "0022"\nenv = ["A=1"]\n[engine]\nstop_timeout = 3',
            '[containers]\nno_hosts = true\nenv = ["B=2"]\npids_limit = 6',
        )
        assert found.values == {
            ("containers", "pids_limit"): 6,
            ("containers", "umask"): "0022",
            ("containers", "env"): ("B=2",),
            ("containers", "no_hosts"): True,
            ("engine", "stop_timeout"): 3,
        }
        assert found.origins["containers", "umask"].endswith("/0.conf")

    def test_arrays_that_add(self, root) -> None:
        found = merged(
            root,
            '[containers]\nenv = ["A=1"]',
            '[containers]\nenv = ["B=2", {append=true}]',
            '[containers]\nenv = ["C=3"]',
            '[containers]\nenv = ["D=4", {append=false}]',
            '[containers]\nenv = ["E=5", {append=true}]',
        )
        assert found.get("containers", "env") == ("D=4", "E=5")
        first = merged(root, '[containers]\nenv = ["A=1", {append=true}]', '[containers]\nenv = ["B=2"]')
        assert first.get("containers", "env") == ("A=1", "B=2")

    def test_unknown_keys_are_told_and_ignored(self, root) -> None:
        found = merged(root, "[containers]\nfoo = 1\n[nope]\na = 1\n[machine]\ncpus = 3\nodd = 4\n[engine]\nzzz = 1")
        assert found.values == {}
        assert list(found.unknown.values()) == [["containers.foo", "nope", "nope.a", "engine.zzz"]]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (
                'pids_limit = "a"',
                '"containers.pids_limit"): incompatible types: TOML value has type string; destination',
            ),
            (
                'env = "a"',
                '"containers.env"): incompatible types: TOML value has type string; destination has type slice',
            ),
            (
                "env = [1]",
                '"containers.env"): incompatible types: TOML value has type int64; destination has type string',
            ),
            ('no_hosts = "a"', "TOML value has type string; destination has type boolean"),
            ("pids_limit = true", "TOML value has type boolean; destination has type integer"),
            ("umask = 22", "TOML value has type int64; destination has type string"),
            ("env = [{add=true}]", "TOML value has type table; destination has type string"),
            ("umask = ", "toml: "),
        ],
    )
    def test_wrong_types(self, root, text, problem) -> None:
        with pytest.raises(InvalidSpec) as caught:
            merged(root, f"[containers]\n{text}")
        message = str(caught.value)
        assert message.startswith(f'reading system config "{root}/0.conf": decode configuration {root}/0.conf: toml: ')
        assert problem in message

    def test_what_cannot_be_read(self, root) -> None:
        with pytest.raises(InvalidSpec, match=r"decode configuration .*: read .*: is a directory"):
            read([("system", str(root))])
        assert read([("system", str(root / "gone.conf"))]).files == []


class TestValues:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('[engine]\nevents_logger = "bogus"', "unknown event logger type: BOGUS"),
            (
                '[containers]\nlog_driver = "bogus"',
                "running container create option: invalid log driver: invalid argument",
            ),
            ('[engine]\nlock_type = "bogus"', "unknown lock type bogus: invalid argument"),
            ('[engine]\npod_exit_policy = "x"', 'running pod create option: invalid pod exit policy: "x"'),
            (
                '[network]\nnetwork_backend = "x"',
                'unsupported network backend "x", check network_backend in containers.conf',
            ),
            (
                "[containers]\nlog_size_max = 100",
                "validating containers config: log size max should be negative or >= 8192",
            ),
        ],
    )
    def test_those_that_do_not_exist_are_refused_in_podmans_words(self, root, text, words) -> None:
        path = write(root / "conf", f"{text}\n")
        with pytest.raises(InvalidSpec) as caught:
            read([("system", path)])
        assert caught.value.message == words
        assert path in caught.value.hint

    @pytest.mark.parametrize("name", ["file", "FILE", "journald", "none", ""])
    def test_loggers(self, root, name) -> None:
        read([("system", write(root / "conf", f'[engine]\nevents_logger = "{name}"\n'))])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("events_logger = 1", True),
        ("engine = { events_logger = 1 }", True),
        ("\t events_logger=1 # x", True),
        ('#events_logger = "none"', False),
        ("", False),
    ],
)
def test_a_key_is_looked_for_without_reading_the_file(root, text, expected) -> None:
    assert mention([("system", write(root / "conf", f"a = 1\n{text}\n"))], "events_logger") == expected
