"""images, history, inspect, tree, tag, untag, rmi, prune, mount and diff as a user sees them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod import Engine, Image
from tests.cli.program import Program
from tests.images.tiny import Tiny

pytestmark = pytest.mark.root

BASE = {".": None, "etc": None, "etc/a": b"a\n" * 1000}
TOP = {".": None, "etc": None, "etc/b": b"b\n", "etc/.wh.a": b""}
BASE_NAME, CHILD_NAME, OTHER_NAME = (
    "docker.io/library/tiny:base",
    "docker.io/library/tiny:child",
    "quay.io/x/other:v1",
)
HOSTILE = "RUN <x>\t\x1b[31mred"
LONG = "/bin/sh -c #(nop) ADD a layer with a command line that is longer than forty-five"


class Store:
    """A storage with three images: child is based on base's layer, other is older than both."""

    def __init__(self, directory: Path) -> None:
        self.base = Tiny(BASE, name=BASE_NAME)
        self.child = Tiny(
            BASE,
            TOP,
            name=CHILD_NAME,
            created="2024-06-06T07:08:09.123456789Z",
            config={
                "Env": ["A=b"],
                "Cmd": ["sh"],
                "Labels": {"l": "1", "esc": "\x1b[31mred"},
                "ExposedPorts": {"80/tcp": {}},
                "Volumes": {"/v": {}},
            },
            history=[
                {"created": "2024-05-06T07:08:09Z", "created_by": LONG, "comment": "first"},
                {"created": "2024-05-06T07:08:10Z", "created_by": "ENV A=b", "empty_layer": True},
                {"created": "2024-06-06T07:08:09Z", "created_by": HOSTILE},
            ],
        )
        self.other = Tiny({"x": b"x"}, name=OTHER_NAME, created="2020-01-01T00:00:00Z", config={"Labels": {"l": "2"}})
        self.root = directory / "storage"
        self.pypod = Program(str(self.root))
        for number, image in enumerate((self.base, self.child, self.other)):
            image.save(directory / f"{number}.tar")
            assert self.pypod.ok("pull", "-q", f"oci-archive:{directory}/{number}.tar") == f"{image.id}\n"

    def names(self, *words: str) -> list[str]:
        return self.pypod.ok("images", *words, "--format", "{{.Repository}}:{{.Tag}}").split()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store for tests that change nothing."""
    return Store(tmp_path_factory.mktemp("images"))


@pytest.fixture
def changing(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def used(changing: Store) -> Iterator[str]:
    """Return the ID of a container created from child."""
    with Engine(str(changing.root)) as engine:
        yield engine.containers.create(CHILD_NAME, ["/etc/b"], name="user").id
        for container in engine.containers.list(all=True):
            container.remove(force=True)


def cells(text: str) -> list[list[str]]:
    return [re.split(r"  +", line.rstrip()) for line in text.splitlines()]


def test_the_newest_first_with_its_columns(store: Store) -> None:
    heading, *rows = cells(store.pypod.ok("images"))
    assert heading == ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    assert [row[:3] for row in rows] == [
        ["docker.io/library/tiny", "child", store.child.id[:12]],
        ["docker.io/library/tiny", "base", store.base.id[:12]],
        ["quay.io/x/other", "v1", store.other.id[:12]],
    ]
    assert rows[0][3].endswith(" ago")
    assert rows[2][4] == "10.2 kB"  # the single record of a tar archive


def test_the_history_of_names_has_the_newest_first_and_past_ones(changing: Store) -> None:
    changing.pypod.ok("tag", "tiny:base", "one:1", "two:2")
    changing.pypod.ok("untag", "tiny:base", "localhost/one:1")
    history = changing.pypod.ok("images", "--format", "{{.History}}", "tiny:base")
    assert history == f"localhost/two:2, {BASE_NAME}, localhost/one:1\n" * 2
    (shown,) = json.loads(changing.pypod.ok("image", "inspect", "tiny:base"))
    assert shown["NamesHistory"] == ["localhost/two:2", BASE_NAME, "localhost/one:1"]
    changing.pypod.ok("tag", "tiny:child", "localhost/two:2")
    assert changing.pypod.ok("images", "--format", "{{.History}}", "two:2").endswith(f"{CHILD_NAME}\n")
    (base,) = json.loads(changing.pypod.ok("image", "inspect", "tiny:base"))
    assert base["NamesHistory"][0] == BASE_NAME
    assert sorted(base["NamesHistory"]) == sorted([BASE_NAME, "localhost/one:1", "localhost/two:2"])


def test_other_columns_and_forms(store: Store) -> None:
    assert cells(store.pypod.ok("images", "--digests", "tiny:base"))[1][2] == store.base.digest
    assert cells(store.pypod.ok("images", "--history", "tiny:base"))[1][-1] == BASE_NAME
    assert store.pypod.ok("images", "-n", "-q", "tiny:base") == f"{store.base.id[:12]}\n"
    assert store.pypod.ok("images", "-q", "--no-trunc", "tiny:base") == f"sha256:{store.base.id}\n"
    assert store.pypod.ok("images", "--noheading", "nosuch") == ""
    assert store.pypod.ok("images", "--format", "{{.Id}}", "tiny:base") == f"{store.base.id}\n"
    shown = json.loads(store.pypod.ok("image", "ls", "--format", "json", "tiny:child"))
    assert len(shown) == 1
    assert shown[0]["Labels"] == {"l": "1", "esc": "\x1b[31mred"}
    assert shown[0]["RepoDigests"] == [f"docker.io/library/tiny@{store.child.digest}"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("before=tiny:child",), [BASE_NAME, OTHER_NAME]),
        (("since=tiny:base",), [CHILD_NAME]),
        (("label=l",), [CHILD_NAME, OTHER_NAME]),
        (("label=l=2",), [OTHER_NAME]),
        (("label!=l",), [BASE_NAME]),
        (("label=l=2", "label=l=1"), [CHILD_NAME, OTHER_NAME]),
        (("label=l", "before=tiny:child"), [OTHER_NAME]),
        (("reference=tiny",), [CHILD_NAME, BASE_NAME]),
        (("reference=*t?er*",), [OTHER_NAME]),
        (("reference=*other",), [OTHER_NAME]),
        (("reference=quay.io/*",), []),  # * does not match slashes
        (("reference=quay.io/*/*",), [OTHER_NAME]),
        (("dangling=true",), []),
        (("dangling=false", "until=20000h"), [CHILD_NAME, BASE_NAME, OTHER_NAME]),
        (("readonly=true",), []),
        (("containers=true",), []),
        (("containers=false",), [CHILD_NAME, BASE_NAME, OTHER_NAME]),
    ],
    ids=str,
)
def test_filters(store: Store, filters: tuple[str, ...], expected: list[str]) -> None:
    assert store.names(*(word for one in filters for word in ("--filter", one))) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--filter", "nope=1"), 'unsupported image filter "nope"'),
        (("--filter", "id"), 'invalid image filter "id": must be in the format "filter=value or filter!=value"'),
        (("--sort", "x"), '"x" is not a valid field for sorting. Choose from: created, id, repository, size, tag'),
        (("tiny", "--filter", "label=l"), "cannot specify an image and a filter(s)"),
    ],
    ids=str,
)
def test_mistakes(store: Store, words: tuple[str, ...], message: str) -> None:
    done = store.pypod("images", *words)
    assert (done.returncode, done.stderr) == (125, f"Error: {message}\n")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("size", [BASE_NAME, OTHER_NAME, CHILD_NAME]),
        ("tag", [BASE_NAME, CHILD_NAME, OTHER_NAME]),
        ("repository", [CHILD_NAME, BASE_NAME, OTHER_NAME]),
    ],
)
def test_sorting(store: Store, key: str, expected: list[str]) -> None:
    assert store.names("--sort", key) == expected


def test_history_tells_steps_and_the_images_that_end_there(store: Store) -> None:
    heading, *rows = cells(store.pypod.ok("history", "tiny:child"))
    assert heading == ["ID", "CREATED", "CREATED BY", "SIZE", "COMMENT"]
    assert [row[0] for row in rows] == [store.child.id[:12], store.base.id[:12], "<missing>"]
    assert [row[3] for row in rows] == ["10.2 kB", "0 B", "10.2 kB"]
    assert rows[2][2] == f"{LONG[:42]}..."
    assert rows[2][4] == "first"
    whole = store.pypod.ok("history", "--no-trunc", "-H=false", "tiny:child")
    assert LONG in whole
    assert "2024-05-06T07:08:10Z" in whole
    assert store.pypod.ok("image", "history", "-q", "tiny:child").splitlines()[2] == "<missing>"


def test_what_an_image_says_reaches_the_terminal_in_characters_that_can_be_seen(store: Store) -> None:
    for words in (("images",), ("history", "tiny:child"), ("history", "--no-trunc", "tiny:child")):
        assert "\x1b" not in store.pypod.ok(*words)
    assert r"RUN <x>\x09\x1b[31mred" in store.pypod.ok("history", "tiny:child")
    assert json.loads(store.pypod.ok("history", "--format", "json", "tiny:child"))[0]["CreatedBy"] == HOSTILE


def test_inspect(store: Store) -> None:
    (found,) = json.loads(store.pypod.ok("image", "inspect", "tiny:child"))
    assert (found["Id"], found["Digest"], found["RepoTags"]) == (store.child.id, store.child.digest, [CHILD_NAME])
    assert found["Created"] == "2024-06-06T07:08:09.123456789Z"
    assert found["Config"] == {
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["A=b"],
        "Cmd": ["sh"],
        "Volumes": {"/v": {}},
        "Labels": {"l": "1", "esc": "\x1b[31mred"},
    }
    assert found["RootFS"]["Layers"] == store.child.diff_ids
    assert found["History"][1] == {"created": "2024-05-06T07:08:10Z", "created_by": "ENV A=b", "empty_layer": True}
    assert (Path(found["GraphDriver"]["Data"]["UpperDir"]) / "etc/b").read_text() == "b\n"
    assert json.loads(store.pypod.ok("inspect", "tiny:child")) == [found]
    assert json.loads(store.pypod.ok("inspect", "--type", "image", store.child.id[:12])) == [found]
    assert store.pypod.ok("inspect", "-f", "{{.Size}} {{.Config.Volumes}}", "tiny:child") == "20480 map[/v:{}]\n"
    for text, shown in (("{{json .Config}}", found["Config"]), ("{{json .History}}", found["History"])):
        assert json.loads(store.pypod.ok("inspect", "-f", text, "tiny:child")) == shown
    done = store.pypod("image", "inspect", "nosuch")
    assert (done.returncode, done.stderr) == (125, "Error: inspecting object: nosuch: image not known\n")


def test_exists(store: Store) -> None:
    assert [store.pypod("image", "exists", one).returncode for one in ("tiny:base", "nosuch", "sha256:zz")] == [0, 1, 1]


def test_tree(store: Store) -> None:
    own = store.pypod.ok("image", "tree", "tiny:child").splitlines()
    assert own[:2] == [f"Image ID: {store.child.id[:12]}", f"Tags:     [{CHILD_NAME}]"]
    assert [line.partition("Top")[2] for line in own[4:6]] == [
        f" Layer of: [{BASE_NAME}]",
        f" Layer of: [{CHILD_NAME}]",
    ]
    below = store.pypod.ok("image", "tree", "--whatrequires", "tiny:base").splitlines()
    assert below[4:6] == own[4:6]
    assert OTHER_NAME not in "".join(below)


def test_names_come_and_go(changing: Store) -> None:
    pypod = changing.pypod
    assert pypod.ok("tag", "tiny:base", "one", "quay.io/a/b:c", OTHER_NAME) == ""  # other loses its name
    assert changing.names("--filter", f"id={changing.base.id}") == [
        BASE_NAME, "localhost/one:latest", "quay.io/a/b:c", OTHER_NAME,
    ]  # fmt: skip
    assert pypod.ok("images", "-q", "-f", "dangling=true") == f"{changing.other.id[:12]}\n"
    assert changing.names("-f", "dangling=true") == ["<none>:<none>"]
    done = pypod("untag", "one", "two")
    assert (done.returncode, done.stderr) == (125, "Error: localhost/two:latest: tag not known\n")
    assert pypod.ok("untag", "one", "quay.io/a/b:c") == ""
    assert changing.names("tiny:base") == [BASE_NAME, "localhost/one:latest", OTHER_NAME]
    assert pypod.ok("tag", "tiny:base", BASE_NAME) == ""  # a name that it already has: its place is kept
    assert changing.names("tiny:base") == [BASE_NAME, "localhost/one:latest", OTHER_NAME]
    again = Tiny(BASE, name="quay.io/pulled:x")
    assert again.id == changing.base.id
    pypod.ok("load", "-q", "-i", str(again.save(changing.root / "again.tar")))
    assert changing.names("tiny:base") == ["quay.io/pulled:x", BASE_NAME, "localhost/one:latest", OTHER_NAME]
    assert pypod.ok("untag", "one") == ""
    assert pypod("image", "exists", "tiny:base").returncode == 1
    for words in (("tag", "tiny:child", "Upper"), ("tag", "tiny:child", f"x@{changing.base.digest}")):
        assert pypod(*words).returncode == 125


def test_rmi_untags_while_there_are_names(changing: Store) -> None:
    pypod, base = changing.pypod, changing.base.id
    pypod.ok("tag", "tiny:base", "one", "two")
    done = pypod("rmi", base)
    assert done.returncode == 125
    assert f'unable to delete image "{base}" by ID with more than one tag' in done.stderr
    assert pypod.ok("rmi", "one") == "Untagged: localhost/one:latest\n"
    assert pypod.ok("rmi", "two", "tiny:base") == (
        f"Untagged: localhost/two:latest\nUntagged: {BASE_NAME}\nDeleted: {base}\n"
    )
    layers = changing.root / "images/layers"
    assert len(list(layers.iterdir())) == 3  # child needs base's layer
    pypod.ok("tag", "tiny:child", "three")
    assert pypod.ok("image", "rm", "-f", changing.child.id[:12]).splitlines()[-1] == f"Deleted: {changing.child.id}"
    assert len(list(layers.iterdir())) == 1
    assert pypod.ok("rmi", "--all") == f"Untagged: {OTHER_NAME}\nDeleted: {changing.other.id}\n"
    assert list(layers.iterdir()) == list((changing.root / "images/blobs/sha256").iterdir()) == []


def test_commit_refuses_what_it_cannot_read_in_podmans_words(changing: Store) -> None:
    changing.pypod.ok("create", "--name", "box", "tiny:base", "x")
    done = changing.pypod("commit", "--config", "/no/such", "box")
    assert (done.returncode, done.stderr) == (125, "Error: --config: open /no/such: no such file or directory\n")
    assert "/etc/passwd: it is not JSON" in changing.pypod("commit", "--config", "/etc/passwd", "box").stderr
    done = changing.pypod("commit", "--change", "BOGUS x", "box")
    assert done.returncode == 125
    assert done.stderr.startswith('Error: invalid change "BOGUS x" - invalid instruction BOGUS')


def test_rmi_of_what_others_were_made_of(changing: Store) -> None:
    """As in podman: while a child image exists, rmi removes only the name; the child stays complete."""
    pypod, root = changing.pypod, changing.root
    pypod.ok("create", "--name", "box", "tiny:base", "x")
    child = pypod.ok("commit", "-q", "--change", "ENV A=a", "box", "localhost/child:1").strip()
    pypod.ok("rm", "box")
    pypod.ok("create", "--name", "box", "localhost/child:1", "x")
    grandchild = pypod.ok("commit", "-q", "--change", "ENV B=b", "box", "localhost/grandchild:1").strip()
    pypod.ok("rm", "box")
    assert pypod.ok("rmi", "tiny:base") == f"Untagged: {BASE_NAME}\n"
    assert pypod("image", "exists", "tiny:base").returncode == 1
    assert pypod("rmi", changing.base.id[:12]).returncode == 1
    with Engine(str(root)) as engine:
        for name in ("child:1", "grandchild:1"):
            directory = Path(engine.images.get(name).mount())
            assert (directory / "etc/a").read_bytes() == BASE["etc/a"]
            assert engine.images.get(name).unmount()
    assert pypod.ok("rmi", "-f", "child:1") == "Untagged: localhost/child:1\n"
    assert pypod.ok("rmi", "grandchild:1") == f"Untagged: localhost/grandchild:1\nDeleted: {grandchild}\n"
    assert child not in pypod.ok("images", "-a", "-q", "--no-trunc")


@pytest.fixture
def generations(tmp_path: Path) -> tuple[Program, list[Tiny]]:
    """Return three images, each built from the previous one in one step; only the last has a name."""
    pypod = Program(str(tmp_path / "storage"))
    layers = [{"a": b"a"}, {"b": b"b"}, {"c": b"c"}]
    made = [Tiny(*layers[:count], name=f"localhost/step{count}:1") for count in (1, 2, 3)]
    for image in made:
        pypod.ok("load", "-q", "-i", str(image.save(tmp_path / "image.tar")))
    pypod.ok("untag", "step1:1")
    pypod.ok("untag", "step2:1")
    return pypod, made


def test_a_step_on_the_way_to_another_image(generations: tuple[Program, list[Tiny]]) -> None:
    """It is hidden, not dangling, and removed with the last image that needs it (podman-images(1), podman-rmi(1))."""
    pypod, made = generations
    first, second, last = (image.id for image in made)

    def ids(*words: str) -> set[str]:
        return set(pypod.ok("images", "-q", "--no-trunc", *words).replace("sha256:", "").split())

    assert ids() == {last}
    assert ids("-a", "--filter", "intermediate=true") == {first, second}
    assert ids("-a", "--filter", "dangling=true") == set()
    assert pypod.ok("image", "prune", "-f") == ""
    assert ids("-a") == {first, second, last}
    done = pypod("images", "--filter", "intermediate=true")
    assert (done.returncode, done.stderr) == (
        125,
        'Error: specifying "intermediate" filter more than once with different values is not supported\n',
    )
    assert pypod.ok("rmi", "step3:1") == "".join(
        ["Untagged: localhost/step3:1\n", *(f"Deleted: {one}\n" for one in (last, second, first))]
    )
    assert ids("-a") == set()


def test_steps_stay_when_that_is_asked_and_are_pruned_one_after_the_other(
    generations: tuple[Program, list[Tiny]],
) -> None:
    pypod, made = generations
    first, second, last = (image.id for image in made)
    assert pypod.ok("rmi", "--no-prune", "step3:1") == f"Untagged: localhost/step3:1\nDeleted: {last}\n"
    assert pypod.ok("image", "prune", "-f") == f"{second}\n{first}\n"


def test_names_with_a_digest(changing: Store) -> None:
    pypod, name = changing.pypod, f"docker.io/library/tiny@{changing.base.digest}"
    assert pypod.ok("inspect", "-f", "{{.Id}} {{.RepoDigests}}", name) == f"{changing.base.id} [{name}]\n"
    assert [pypod("image", "exists", f"{one}@{changing.base.digest}").returncode for one in ("tiny", "other")] == [0, 1]
    pypod.ok("tag", "tiny:base", "one")
    done = pypod("rmi", name)
    assert (done.returncode, done.stderr) == (125, f"Error: {name}: untag by digest not supported\n")
    refused = pypod("tag", "tiny:base", f"x@{changing.base.digest}")
    assert (refused.returncode, refused.stderr.startswith(f"Error: x@{changing.base.digest}: tag by digest not")) == (
        125,
        True,
    )
    pypod.ok("untag", "tiny:base", "one")
    assert pypod.ok("rmi", name) == f"Untagged: {BASE_NAME}\nDeleted: {changing.base.id}\n"


def test_rmi_tries_all_and_says_what_is_wrong(changing: Store, used: str) -> None:
    pypod = changing.pypod
    done = pypod("rmi", "nosuch")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Error: nosuch: image not known\n")
    done = pypod("rmi", "nosuch", "tiny:child", OTHER_NAME)
    assert (done.returncode, done.stdout) == (2, f"Untagged: {OTHER_NAME}\nDeleted: {changing.other.id}\n")
    assert "2 errors occurred:\n\t* nosuch: image not known\n\t* image used by " + used in done.stderr
    assert pypod.ok("rmi", "--ignore", "nosuch") == pypod.ok("rmi", "--force", "nosuch") == ""
    assert changing.names("--filter", "containers=true") == [CHILD_NAME]
    assert pypod.ok("image", "prune", "-f", "-a") == f"{changing.base.id}\n"
    assert pypod.ok("rmi", "-f", "tiny:child") == f"Untagged: {CHILD_NAME}\nDeleted: {changing.child.id}\n"
    assert pypod.ok("ps", "-aq") == ""


def test_prune_asks(changing: Store) -> None:
    pypod = changing.pypod
    pypod.ok("untag", OTHER_NAME)
    asked = "WARNING! This command removes all dangling images.\nAre you sure you want to continue? [y/N] "
    assert pypod.ok("image", "prune", stdin=b"n\n") == asked
    done = pypod("image", "prune", stdin=b"")
    assert (done.returncode, done.stderr) == (125, "Error: EOF\n")
    assert pypod.ok("image", "prune", "--filter", "label=l=3", "-f") == ""
    assert pypod.ok("image", "prune", stdin=b"y\n") == f"{asked}{changing.other.id}\n"
    assert pypod.ok("image", "prune", "-a", "-f", "--filter", "until=1h").split() == [
        changing.child.id,
        changing.base.id,
    ]


def test_mount(changing: Store) -> None:
    pypod = changing.pypod
    path = pypod.ok("image", "mount", "tiny:child").strip()
    try:
        assert sorted(entry.name for entry in Path(path, "etc").iterdir()) == ["b"]
        with pytest.raises(OSError, match="Read-only"):
            Path(path, "x").touch()
        assert pypod.ok("image", "mount", "tiny:child") == f"{path}\n"  # mounted only once
        assert pypod.ok("image", "mount") == f"{CHILD_NAME}  {path}\n"
        (found,) = json.loads(pypod.ok("image", "mount", "--format", "json"))
        assert (found["id"], found["mountpoint"], found["Repositories"]) == (changing.child.id, path, [CHILD_NAME])
        assert pypod.ok("image", "umount", "tiny:child", "tiny:base") == f"{changing.child.id}\n"
        assert not os.path.ismount(path)
        assert len(pypod.ok("image", "mount", "--all").splitlines()) == 3
        # removal of the image also removes its mount
        pypod.ok("rmi", "tiny:child")
        assert not os.path.exists(path)
        assert len(pypod.ok("image", "unmount", "--all").split()) == 2
        assert pypod.ok("image", "mount") == ""
    finally:
        pypod("image", "umount", "-a")


def test_mount_of_many_layers_and_of_none(changing: Store, tmp_path: Path) -> None:
    many = Tiny(*({f"f{number}": b"x"} for number in range(120)), name="localhost/many:x")
    for image in (many, Tiny(name="localhost/none:x")):
        changing.pypod.ok("load", "-q", "-i", str(image.save(tmp_path / "image.tar")))
    try:
        assert len(os.listdir(changing.pypod.ok("image", "mount", "many:x").strip())) == 120
        assert os.listdir(changing.pypod.ok("image", "mount", "none:x").strip()) == []
    finally:
        changing.pypod.ok("image", "umount", "-a")


def test_diff(store: Store) -> None:
    assert store.pypod.ok("diff", "tiny:child") == "C /etc\nD /etc/a\nA /etc/b\n"
    assert json.loads(store.pypod.ok("image", "diff", "--format", "json", "tiny:child")) == {
        "changed": ["/etc"],
        "added": ["/etc/b"],
        "deleted": ["/etc/a"],
    }
    assert store.pypod.ok("image", "diff", "tiny:base", "tiny:child") == "C /etc\nA /etc/a\nD /etc/b\n"
    assert store.pypod.ok("diff", "tiny:base", "tiny:base") == ""
    assert store.pypod.ok("diff", "tiny:base") == "A /etc\nA /etc/a\n"
    for words, reason in (
        (("diff", "nosuch"), "layer not known"),
        (("image", "diff", "nosuch"), "nosuch: image not known"),
        (("container", "diff", "nosuch"), "container not known"),
    ):
        done = store.pypod(*words)
        assert (done.returncode, done.stderr) == (125, f"Error: nosuch not found: {reason}\n")


def test_diff_of_a_container(changing: Store, busybox: str) -> None:
    pypod = changing.pypod
    pypod.ok("create", "--name", "user", "tiny:child", "/etc/b")
    assert pypod.ok("diff", "user") == ""  # it never ran
    assert pypod.ok("diff", "user", "tiny:base") == "C /etc\nD /etc/a\nA /etc/b\n"
    pypod.ok("rm", "user")
    script = "echo > /new; rm /bin/true; mkdir /tmp/d"
    assert pypod("run", "--name", "writer", "--rootfs", f"{busybox}:O", "sh", "-c", script).returncode == 0
    try:
        assert {"A /new", "D /bin/true", "A /tmp/d"} <= set(pypod.ok("container", "diff", "-l").splitlines())
        assert (
            pypod("run", "--name", "changer", "--rootfs", f"{busybox}:O", "chmod", "600", "/etc/group").returncode == 0
        )
        assert pypod.ok("diff", "changer") == "C /etc\nC /etc/group\n"  # the directory itself is as it was
    finally:
        pypod.ok("rm", "-f", "writer", "changer")


def test_a_notebook_shows_what_it_is_and_how_it_was_made(store: Store) -> None:
    with Engine(str(store.root)) as engine:
        html = engine.images.get("tiny:child")._repr_html_()
        gone = Image(engine, "0" * 64)._repr_html_()
    assert CHILD_NAME in html
    assert "RUN &lt;x&gt;\\x09\\x1b[31mred" in html
    assert "\x1b" not in html
    assert gone.startswith("<p>000")


def test_ps_tells_the_image(changing: Store, used: str) -> None:
    ps = ("ps", "-a", "--no-trunc", "--format", "{{.Image}} {{.ImageID}}")
    assert changing.pypod.ok(*ps) == f"{CHILD_NAME} {changing.child.id}\n"
    for ancestor, expected in ((changing.child.id, used), (CHILD_NAME, used), ("x", "")):
        found = changing.pypod.ok("ps", "-aq", "--no-trunc", "--filter", f"ancestor={ancestor}")
        assert found.strip() == expected
