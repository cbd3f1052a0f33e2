"""The documentation's commands run, and produce the output it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.shown import Reader, blocks, commands, matches, promised
from tests.users import User, missing

ROOT = Path(__file__).parents[2]
RUN = [
    ROOT / "README.md",
    ROOT / "docs" / "index.md",
    *sorted(path for part in ("tutorial", "how-to", "explanation") for path in (ROOT / "docs" / part).glob("*.md")),
]
PAGES = [path for path in RUN if any(block.language in ("console", "python") for block in blocks(path.read_text()))]


@pytest.fixture
def reader(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Reader:
    """Return a reader; an ordinary user is created if a page needs one."""
    directory = tmp_path_factory.mktemp("reader")
    directory.chmod(0o755)

    def user() -> User:
        if reason := missing():
            pytest.skip(reason)
        return request.getfixturevalue("user")

    return Reader(directory, user)


@pytest.mark.root
@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page_is_true(path: Path, reader: Reader) -> None:
    """The page also removes what it creates: the leak check sees to that."""
    assert reader.read(path.read_text()) > 0
    for listing in (("ps", "-aq"), ("pod", "ps", "-q")):
        left = subprocess.run(["pypod", *listing], env=reader.environment, capture_output=True, text=True, check=True)
        assert left.stdout == ""


def test_the_pages_that_teach_are_among_them() -> None:
    names = {str(path.relative_to(ROOT)) for path in PAGES}
    guides = {f"docs/how-to/{path.name}" for path in (ROOT / "docs" / "how-to").glob("*.md")} - {"docs/how-to/index.md"}
    assert names >= guides | {"README.md", "docs/tutorial/first-pod.md"}
    assert len(guides) >= 7


@pytest.mark.root
@pytest.mark.usefixtures("own_network")
def test_the_readme_s_example_says_what_it_should(reader: Reader) -> None:
    """``sh examples/first_pod`` installs pypod and runs this program."""
    text = (ROOT / "README.md").read_text()
    scripts = [line.split()[1] for block in blocks(text) if block.language == "sh" for line in block.lines]
    assert scripts == ["examples/first_pod", "tests/run"]
    assert all((ROOT / script).is_file() for script in scripts)
    assert (ROOT / scripts[0]).read_text().rstrip().endswith("python examples/first_pod.py")
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "first_pod.py"],
        env=reader.environment, capture_output=True, timeout=60, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "mipod got 'mipod' from its sibling\n" in done.stdout


def test_what_the_readme_names_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"\b(?:docs|pypod|pause|examples|tests|benchmarks)/[\w./-]*\w", text))
    assert "docs/design.md" in named
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("```console\n# echo a\nb\n```", id="other-output"),
        pytest.param("```console\n# echo a; echo b\na\n```", id="more-output"),
        pytest.param("```console\n# true\na\n```", id="no-output"),
        pytest.param("```console\n# false\n```", id="exit-code"),
        pytest.param("```console\n# true  # exits with 1\n```", id="no-exit-code"),
        pytest.param("```console\n# echo a; \\\n    exit 3\na\n```", id="second-line"),
        pytest.param("```python\nprint(1)  # 2\n```", id="other-value"),
        pytest.param("```python\n1 / 0\n```", id="exception"),
        pytest.param("```python\nprint(1)\n```\n\n```text\n2\n```", id="other-text"),
        pytest.param("```console\n# env -i -it sh -c 'echo x'\nbox$ exit\n```", id="no-prompt"),
        pytest.param("```console\noutput\n```", id="no-command"),
        pytest.param("```console\n# true", id="no-end"),
    ],
)
def test_a_false_page_is_found_out(page: str, reader: Reader) -> None:
    reader.patience_s = 0.5
    with pytest.raises(AssertionError):
        reader.read(page)


@pytest.mark.parametrize(
    ("shown", "output", "expected"),
    [
        (["..."], [], True),
        (["a", "...", "d"], ["a", "b", "c", "d"], True),
        (["a", "...", "d"], ["a", "b", "c"], False),
        (["a ... c"], ["a b c"], True),
        (["a ... c"], ["a c"], False),
        (["0123456789ab  x"], ["ffffffffffff x"], True),
        (["0123456789ab"], ["0123456789a"], False),
        (["1 second ago"], ["Less than a second ago"], True),
        (["4026531840"], ["4026532999"], True),
        (["a.c"], ["abc"], False),
    ],
)
def test_matches(shown: list[str], output: list[str], expected: bool) -> None:
    assert matches(shown, output) is expected


def test_what_is_read_from_a_page() -> None:
    text = "```{toctree}\nx\n```\n```sh\ny\n```\n```console\n# a \\\n    b\n$ c  # d\ne\n```\n"
    language, console = list(blocks(text))
    assert (language.language, console.language, console.number) == ("sh", "console", 8)
    found = [(one.prompt, one.line, one.shown) for one in commands(console)]
    assert found == [("#", "a \\\n    b", []), ("$", "c  # d", ["e"])]
    assert list(promised(["print(x)  # b'1'", "print(y)  # a word", "z  # 3"])) == ["b'1'"]
