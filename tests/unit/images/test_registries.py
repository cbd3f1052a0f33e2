"""registries.conf and its directory: the merged configuration, and the destinations it leads to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, RegistryError
from pypod.images.config import registries_files
from pypod.images.config.registries import Registries, load
from pypod.model.images.reference import Reference, parse

SHA = "sha256:" + "0" * 64


class Files:
    """A root directory and a home directory in which configuration is written."""

    def __init__(self, directory: Path) -> None:
        self.root, self.home = directory / "root", directory / "home"
        self.environment = {"HOME": str(self.home), "CONTAINERS_SHORT_NAME_ALIASES_CONF": str(directory / "aliases")}
        self.aliases = directory / "aliases"

    def system(self, text: str, name: str = "registries.conf") -> None:
        self._write(self.root / "etc/containers" / name, text)

    def user(self, text: str, name: str = "registries.conf") -> None:
        self._write(self.home / ".config/containers" / name, text)

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def load(self, **environment: str) -> Registries:
        return load({**self.environment, **environment}, root=str(self.root))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def names(registries: Registries, text: str) -> list[str]:
    return [str(one) for one in registries.candidates(text)]


def places(registries: Registries, text: str) -> list[str]:
    return [
        f"{one.host}/{one.repository}{' insecure' * one.insecure}{' mirror' * one.is_mirror}"
        for one in registries.endpoints(parse(text))
    ]


def test_without_files_a_short_name_is_an_error_that_says_what_to_write(files: Files) -> None:
    registries = files.load()
    with pytest.raises(InvalidSpec) as caught:
        registries.candidates(f"foo:1@{SHA}")
    path = files.root / "etc/containers/registries.conf"
    assert caught.value.message == (
        f'short-name "foo@{SHA}" did not resolve to an alias and no unqualified-search registries '
        f'are defined in "{path}"'
    )
    assert "docker.io/library/foo" in caught.value.hint
    assert names(registries, "quay.io/foo") == ["quay.io/foo:latest"]
    assert places(registries, "docker.io/foo") == ["registry-1.docker.io/library/foo"]


def test_aliases_then_search_registries(files: Files) -> None:
    files.system('unqualified-search-registries = ["a.io", "localhost:5000", "docker.io"]\n[aliases]\nweb="q.io/t/web"')
    registries = files.load()
    assert names(registries, "web:v1") == ["q.io/t/web:v1"]
    assert names(registries, f"web:v1@{SHA}") == [f"q.io/t/web:v1@{SHA}"]
    assert names(registries, "other/x") == [
        "a.io/other/x:latest",
        "localhost:5000/other/x:latest",
        "docker.io/other/x:latest",
    ]
    assert names(registries, "x")[2] == "docker.io/library/x:latest"


def test_enforcing_is_for_one_registry_only(files: Files) -> None:
    files.system('unqualified-search-registries = ["a.io", "b.io"]\nshort-name-mode = "enforcing"')
    with pytest.raises(InvalidSpec, match="short-name resolution enforced but cannot prompt without a TTY"):
        files.load().candidates("x")
    files.system('unqualified-search-registries = ["a.io"]', "registries.conf.d/1.conf")
    assert names(files.load(), "x") == ["a.io/x:latest"]


def test_docker_in_front_is_no_short_name(files: Files) -> None:
    files.system('unqualified-search-registries = ["a.io"]\n[aliases]\nweb="q.io/t/web"')
    registries = files.load()
    assert names(registries, "docker://web") == ["docker.io/library/web:latest"]
    assert names(registries, "docker://x/y:1") == ["docker.io/x/y:1"]
    assert names(registries, "docker://a.io/x") == ["a.io/x:latest"]


def test_what_is_told_of_a_short_name(files: Files) -> None:
    files.system('unqualified-search-registries = ["a.io", "b.io"]')
    files.system('[aliases]\nweb="q.io/t/web"', "registries.conf.d/1.conf")
    registries = files.load()
    directory = files.root / "etc/containers"
    assert registries.resolve("web:1").told == f'Resolved "web" as an alias ({directory}/registries.conf.d/1.conf)'
    assert registries.resolve("x:1").told == (
        f'Resolving "x" using unqualified-search registries ({directory}/registries.conf)'
    )
    assert registries.resolve("a.io/x").told == registries.resolve("docker://web").told == ""


@pytest.mark.parametrize(("mode", "is_asked"), [("permissive", True), ("enforcing", True), ("disabled", False)])
def test_somebody_is_asked_which_of_several_and_the_answer_holds(files: Files, mode: str, is_asked: bool) -> None:
    files.system(f'unqualified-search-registries = ["a.io", "b.io"]\nshort-name-mode = "{mode}"')
    files.aliases.write_text('[aliases]\n"other" = "y.io/other"\n')
    asked = []

    def choose(names: Sequence[Reference]) -> Reference:
        asked.append([str(one) for one in names])
        return names[1]

    found = files.load().resolve("x:1", choose)
    if not is_asked:
        assert ([str(one) for one in found.candidates], asked) == (["a.io/x:1", "b.io/x:1"], [])
        return
    assert ([str(one) for one in found.candidates], asked) == (["b.io/x:1"], [["a.io/x:1", "b.io/x:1"]])
    registries_files.remember(str(files.aliases), found.chosen_for, found.candidates[0].name)
    assert [names(files.load(), one) for one in ("x:2", "other")] == [["b.io/x:2"], ["y.io/other:latest"]]
    assert len(files.load().resolve("y", lambda names: names[0]).candidates) == 1


def test_later_files_replace_what_they_name(files: Files) -> None:
    files.system(
        'unqualified-search-registries = ["main.io"]\n[aliases]\na="x.io/main"\nb="x.io/main"\n'
        '[[registry]]\nlocation="r.io"\ninsecure=true\n[[registry]]\nlocation="kept.io"\nblocked=true'
    )
    files.system(
        '[aliases]\na="x.io/two"\nb=""\n[[registry]]\nprefix="r.io"\nlocation="two.io"', "registries.conf.d/2.conf"
    )
    files.system('[aliases]\na="x.io/one"\nc="x.io/one"', "registries.conf.d/1.conf")
    files.system("this is not TOML", "registries.conf.d/3.conf.old")
    files.user('[aliases]\nc="x.io/user"', "registries.conf.d/0.conf")
    registries = files.load()
    assert names(registries, "a") == ["x.io/two:latest"]
    assert names(registries, "b") == ["main.io/b:latest"]
    assert names(registries, "c") == ["x.io/user:latest"]
    assert places(registries, "r.io/x") == ["two.io/x"]
    with pytest.raises(RegistryError, match=r"registry kept\.io is blocked in"):
        registries.endpoints(parse("kept.io/x"))


def test_a_users_main_file_replaces_all_of_the_systems(files: Files) -> None:
    files.system('unqualified-search-registries = ["main.io"]\n[aliases]\na="x.io/main"')
    files.system('[aliases]\nb="x.io/main"', "registries.conf.d/1.conf")
    files.user('unqualified-search-registries = ["user.io"]')
    assert names(files.load(), "a") == ["user.io/a:latest"]
    assert names(files.load(), "b") == ["user.io/b:latest"]


def test_a_file_named_by_the_environment_replaces_the_main_file_only(files: Files, tmp_path: Path) -> None:
    files.system('[aliases]\na="x.io/main"\n')
    files.system('[aliases]\nb="x.io/dropin"\n', "registries.conf.d/1.conf")
    files.user('[aliases]\na="x.io/user"')
    (tmp_path / "own").write_text('unqualified-search-registries = ["own.io"]')
    registries = files.load(CONTAINERS_REGISTRIES_CONF=str(tmp_path / "own"))
    assert (names(registries, "a"), names(registries, "b")) == (["own.io/a:latest"], ["x.io/dropin:latest"])


def test_aliases_that_podman_recorded_go_first(files: Files) -> None:
    files.system('[aliases]\na="x.io/main"')
    files.aliases.write_text('[aliases]\n  "a" = "y.io/recorded"\n')
    assert names(files.load(), "a") == ["y.io/recorded:latest"]


PREFIXES = """
[[registry]]
prefix = "r.io/team"
location = "127.0.0.1:5000/mirror-of/team"
insecure = true
[[registry]]
prefix = "r.io/team/app"
location = "app.io"
[[registry]]
prefix = "*.wild.io"
location = "one.io/wild"
[[registry]]
prefix = "*.deep.wild.io"
insecure = true
[[registry]]
prefix = "exact.wild.io"
location = "exact.io"
[[registry]]
location = "r.io"
[[registry]]
prefix = "docker.io"
location = "hub.io"
"""


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("r.io/other", "r.io/other"),
        ("r.io/team/x", "127.0.0.1:5000/mirror-of/team/x insecure"),
        ("r.io/teams/x", "r.io/teams/x"),
        ("r.io/team/app/web", "app.io/web"),
        ("r.io:5000/team/x", "r.io:5000/team/x"),
        ("a.wild.io/x", "one.io/wild/x"),
        ("wild.io/x", "wild.io/x"),
        ("notwild.io/x", "notwild.io/x"),
        ("a.deep.wild.io/x", "a.deep.wild.io/x insecure"),
        ("exact.wild.io/x", "exact.io/x"),
        ("docker.io/busybox", "hub.io/library/busybox"),
    ],
)
def test_the_longest_prefix_says_where_an_image_is(files: Files, text: str, place: str) -> None:
    files.system(PREFIXES)
    assert places(files.load(), text) == [place]
    assert str(files.load().destination(parse(text)).reference) == str(parse(text))  # the name itself is not rewritten


def test_mirrors_come_first_and_may_be_for_digests_or_tags(files: Files) -> None:
    files.system(
        '[[registry]]\nlocation="r.io"\n[[registry.mirror]]\nlocation="all.io/m"\ninsecure=true\n'
        '[[registry.mirror]]\nlocation="digest.io"\npull-from-mirror="digest-only"\n'
        '[[registry.mirror]]\nlocation="tag.io"\npull-from-mirror="tag-only"\n'
        '[[registry]]\nlocation="d.io"\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation="m.io"'
    )
    registries = files.load()
    assert places(registries, "r.io/x") == ["all.io/m/x insecure mirror", "tag.io/x mirror", "r.io/x"]
    assert places(registries, f"r.io/x@{SHA}") == ["all.io/m/x insecure mirror", "digest.io/x mirror", "r.io/x"]
    assert places(registries, "d.io/x") == ["d.io/x"]
    assert places(registries, f"d.io/x@{SHA}") == ["m.io/x mirror", "d.io/x"]


def test_the_first_version_of_the_format(files: Files) -> None:
    files.system(
        "[registries.search]\nregistries=['a.io']\n[registries.insecure]\nregistries=['i.io']\n"
        "[registries.block]\nregistries=['b.io']"
    )
    registries = files.load()
    assert names(registries, "x") == ["a.io/x:latest"]
    assert places(registries, "i.io/x") == ["i.io/x insecure"]
    with pytest.raises(RegistryError, match="blocked"):
        registries.destination(parse("b.io/x"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[registry]]", "invalid condition: both location and prefix are unset"),
        ('[[registry]]\nprefix="a.io"', "location is unset and prefix is not in the format: *.example.com"),
        ('[[registry]]\nlocation="http://a/"', "invalid location 'http://a/': URI schemes are not supported"),
        ('[[registry]]\nprefix="*.a/b"\nlocation="x"', 'Current prefix "*.a/b" is incorrectly formatted'),
        (
            '[[registry]]\nprefix="a.io"\nlocation="x"\ninsecure=true\n[[registry]]\nlocation="x"',
            "registry 'x' is defined multiple times with conflicting 'insecure' setting",
        ),
        (
            '[[registry]]\nlocation="x"\n[[registry]]\nprefix="a.io"\nlocation="x"\nblocked=true',
            "registry 'x' is defined multiple times with conflicting 'blocked' setting",
        ),
        ('short-name-mode="x"', 'invalid short-name mode: "x"'),
        ('[aliases]\nfoo="q.io/foo:tag"', 'invalid alias "q.io/foo:tag": must not contain tag'),
        ('[aliases]\nfoo="q.io/-foo"', 'invalid alias "q.io/-foo"'),
        ('[aliases]\n"foo-"="q.io/foo"', 'invalid short name "foo-"'),
        ('[aliases]\n"localhost/foo"="q.io/foo"', "must not contain registry"),
        ('[aliases]\nfoo="x/foo"', 'invalid alias "x/foo": must contain registry and repository'),
        ('[aliases]\n"q.io/foo"="q.io/foo"', "must not contain registry"),
        ('[aliases]\nfoo="UPPER!"', "invalid reference format"),
        ("[aliases]\nfoo=3", "expected a string"),
        ("unqualified-search-registries=3", "expected an array of strings"),
        ('unqualified-search-registries=["a.io/b"]', 'Invalid unqualified-search-registries entry "a.io/b"'),
        ('unqualified-search-registries=["a b"]', 'Invalid unqualified-search-registries entry "a b"'),
        ("registry=3", "expected an array of tables"),
        ("a = = b", "toml: "),
        (
            '[[registry]]\nlocation="a.io"\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation="b.io"\n'
            'pull-from-mirror="all"',
            "cannot set mirror usage",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_named(files: Files, text: str, message: str) -> None:
    files.system(text)
    with pytest.raises(InvalidSpec) as caught:
        files.load()
    assert message in caught.value.message
    assert caught.value.message.startswith(f'loading registries configuration "{files.root}/etc/containers/')
