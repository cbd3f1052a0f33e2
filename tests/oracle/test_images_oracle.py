"""The image verbs against podman's own, with the same archives loaded into both."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.images.tiny import Tiny, save
from tests.oracle.podman import only_4, words_of_4

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]

BASE = {".": None, "etc": None, "etc/a": b"a\n" * 1000}


def images() -> list[Tiny]:
    history = [
        {"created": "2024-05-06T07:08:09Z", "created_by": "/bin/sh -c #(nop) ADD " + "x" * 60, "comment": "first"},
        {"created": "2024-05-06T07:08:10Z", "created_by": "ENV A=<b>", "empty_layer": True},
        {"created": "2024-06-06T07:08:09.5Z", "created_by": "RUN x", "author": "me"},
    ]
    config = {
        "Env": ["PATH=/bin", "A=b"],
        "Cmd": ["sh", "-c", "x <y>"],
        "Entrypoint": ["/bin/e"],
        "Labels": {"l": "1", "m": "<&>"},
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/v": {}},
        "WorkingDir": "/w",
        "User": "33",
        "StopSignal": "SIGINT",
    }
    return [
        Tiny(BASE, name="docker.io/library/tiny:base"),
        Tiny(
            BASE,
            {".": None, "etc": None, "etc/b": b"b", "etc/.wh.a": b"", "n": None, "n/f": b"f"},
            name="docker.io/library/tiny:child",
            created="2024-06-06T07:08:09.123456789Z",
            config=config,
            history=history,
            author="me",
        ),
        Tiny({"x": b"x"}, name="quay.io/x/other:v1", created="2020-01-02T03:04:05Z", config={"Labels": {"l": "2"}}),
    ]


class Both:
    """podman and pypod, each with its own storage and the same images in it."""

    def __init__(self, directory: Path) -> None:
        run = Path("/run") / f"o-{directory.name[-20:]}"  # podman's sockets need a short path
        self.ours = Program(str(directory / "ours"))
        self.theirs = [
            "podman", "--log-level=error", "--storage-driver", "vfs", "--root", str(directory / "theirs"),
            "--runroot", str(run), "--runtime", "runc",
        ]  # fmt: skip
        self.run = run
        archive = directory / "images.tar"
        for image in images():
            save(archive, image)
            done = self.podman("load", "-q", "-i", str(archive))
            if done.returncode:
                pytest.skip(f"podman cannot keep images here: {done.stderr}")
            self.ours.ok("load", "-q", "-i", str(archive))

    def podman(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.theirs, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def differences(self, lines: list[str]) -> list[str]:
        """Return the command lines whose results differ; an underscore stands for a space within a word."""
        found = []
        for line in lines:
            try:
                self.same(*(word.replace("_", " ") for word in line.split()))
            except AssertionError as error:
                found.append(f"{line}: {error}")
        return found

    def same(self, *words: str) -> str:
        """Run a command line in both; fail unless output, messages and exit code are the same."""
        expected, found = self.podman(*words), self.ours(*words, stdin=b"")
        shown = [(done.returncode, done.stdout, _message(done.stderr)) for done in (expected, found)]
        assert shown[1] == shown[0]
        return found.stdout


def _message(text: str) -> str:
    """Return a message without the program's name, choices sorted: podman lists them in a Go map's random order."""
    head, found, choices = text.replace("podman", "pypod").partition("Choose from: ")
    return head + found + ", ".join(sorted(choices.strip().split(", ")))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    directory = tmp_path_factory.mktemp("images")
    found = Both(directory)
    try:
        yield found
    finally:
        found.podman("rmi", "-af")
        shutil.rmtree(found.run, ignore_errors=True)


# podman's image sizes include the manifest and the configuration, so no test compares them
LOOKING = [
    "images -q",
    "images -q --no-trunc --digests",
    "images --format {{.ID}}_{{.Repository}}_{{.Tag}}_{{.Digest}}_{{.CreatedAt}}_{{.CreatedSince}}_{{.History}}",
    "images --format table_{{.ID}}_{{.Names}}_{{.Labels}}_{{.ReadOnly}}_{{.Containers}}_{{.Dangling}}_{{.RepoTags}}",
    "images --format {{.Nope}}",
    "images -q --sort tag",
    "images -q --sort nope",
    "images -q tiny",
    "images -q tiny:base",
    "images nosuch",
    "images a b",
    *(
        f"images -q --filter {one}"
        for one in (
            *(
                "nope=1",
                "nope",
                "dangling=maybe",
                "dangling=true",
                "before=tiny:child",
                "since=tiny:base",
                "before=zzz",
            ),
            *("label=l", "label=l=2", "label!=l", "reference=tiny", "reference=*tiny*", "reference=docker.io/*/*"),
            *("reference=tiny:base", "reference=library/tiny", "reference!=tiny", "id=173", "containers=true"),
            *("containers=false", "containers=1", "readonly=true", "until=1h", "until=x", "manifest=false"),
        )
    ),
    "history tiny:child",
    "history --no-trunc tiny:child",
    "history -q tiny:child",
    "history --format json tiny:child",
    "history --format {{.ID}}_{{.Created}}_{{.CreatedBy}}_{{.Size}}_{{.Comment}}_{{.CreatedAt}} tiny:child",
    "history nosuch",
    "history",
    "image exists tiny:base",
    "image exists nosuch",
    "image inspect nosuch",
    "image inspect",
    "inspect --type image nosuch",
    "inspect -f {{.Id}}_{{.Created}}_{{.Config}}_{{.History}}_{{.RootFS}}_{{.Labels}}_{{.Annotations}} tiny:child",
    "diff --format x tiny:child",
    "image diff tiny:base tiny:base",
    "image diff nosuch",
    "diff",
    "image mount",
    "image mount nosuch",
    "image mount --format x",
    "image umount",
    "image umount -a x",
    "save",
    "save -o x --format bad tiny:base",
    "save -o x nosuch",
    "save --compress -o x tiny:base",
    "push nosuch",
    "push",
    "pull Bad",
    "load -i nosuch",
    "tag nosuch x",
    "tag tiny:base",
    "untag tiny:base nosuch",
    "rmi",
    "rmi -a x",
    "rmi nosuch",
    "rmi nosuch nosuch2",
    "rmi -i nosuch",
    "image prune --filter nope=1 -f",
    "image prune -f",
    "image prune",
    "image prune -a",
]


@words_of_4
def test_looking_and_mistakes(both: Both) -> None:
    assert both.differences(LOOKING) == []


@pytest.mark.parametrize("name", ["tiny:base", "tiny:child", "quay.io/x/other:v1"])
def test_inspect(both: Both, name: str) -> None:
    theirs, ours = json.loads(both.podman("inspect", name).stdout), json.loads(both.ours.ok("inspect", name))
    for found in (theirs[0], ours[0]):
        for field in ("Size", "VirtualSize", "GraphDriver"):
            assert found.pop(field)
    assert json.dumps(ours) == json.dumps(theirs)  # the order of the fields, too


def test_diff(both: Both) -> None:
    """Compared in path order: podman's order depends on the storage driver."""
    theirs = both.podman("diff", "tiny:child").stdout.splitlines()
    assert both.ours.ok("diff", "tiny:child").splitlines() == sorted(theirs, key=lambda line: line[2:])
    theirs, ours = (
        done.stdout for done in (run("diff", "--format", "json", "tiny:child") for run in (both.podman, both.ours))
    )
    assert json.loads(ours) == {kind: sorted(paths) for kind, paths in json.loads(theirs).items()}


@words_of_4
@words_of_4
def test_json_has_an_entry_for_each_name(both: Both) -> None:
    counts = []
    for run in (both.podman, both.ours):
        assert run("tag", "tiny:base", "second:v2").returncode == 0
        entries = json.loads(run("images", "--format", "json", "--filter", "reference=tiny:base").stdout)
        counts.append([len(entries), sorted(entries[0]["Names"])])
        assert run("untag", "tiny:base", "second:v2").returncode == 0
    assert counts[1] == counts[0]


def test_json_of_images(both: Both) -> None:
    theirs = json.loads(both.podman("images", "--format", "json").stdout)
    ours = json.loads(both.ours.ok("images", "--format", "json"))
    for found in (*theirs, *ours):
        assert found.pop("Size") == found.pop("VirtualSize")
    assert json.dumps(ours) == json.dumps(theirs)


@pytest.mark.parametrize(
    ("reader", "form"), [("podman", "docker-archive"), ("podman", "oci-archive"), only_4("ours", "oci-dir")]
)
def test_each_reads_what_the_other_saved(both: Both, tmp_path: Path, reader: str, form: str) -> None:
    path = tmp_path / "saved"
    if reader == "podman":
        both.ours.ok("save", "-q", "--format", form, "-o", str(path), "tiny:child")
        assert both.podman("load", "-q", "-i", str(path)).stdout == "Loaded image: docker.io/library/tiny:child\n"
    else:
        assert both.podman("save", "-q", "--format", form, "-o", str(path), "tiny:child").returncode == 0
        both.same("load", "-q", "-i", str(path))
    both.same("images", "-q", "tiny:child")


@words_of_4
def test_names_and_removal(both: Both) -> None:
    """The last test: it removes all images."""
    lines = [
        *("tag tiny:base one", "images -q", "images --format {{.Tag}}_{{.History}} tiny:base"),
        *("tag tiny:base two", "untag tiny:base localhost/one", "images --format {{.Tag}}_{{.History}} tiny:base"),
        *("tag tiny:base one", "rmi two"),
        *("rmi one tiny:base", "images -q", "untag quay.io/x/other:v1"),
        *("images -q -f dangling=true", "image prune -f", "rmi -f nosuch", "rmi -a", "rmi -a", "images -q"),
    ]
    assert both.differences(lines) == []
