"""The site is built without a warning, and documents every command, flag and name."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

import pypod
from pypod.cli.flags.values import TYPE_NAMES
from pypod.cli.verbs import GROUPS, VERBS, load

ROOT = Path(__file__).parents[2]
COMMANDS = {
    f"{path} {verb}".strip(): row
    for path, verbs in [("pypod", VERBS), *((f"pypod {group}", verbs) for group, (_, verbs) in GROUPS.items())]
    for verb, row in verbs.items()
}
# Internal members of handles; users have other names for their purpose.
NOT_FOR_USERS = {
    "Container": {"record"},
    "Pod": {"record"},
    "Volume": {"record"},
    "Port": {"meets"},
    "Engine": {
        "cgroups",
        "container_spec",
        "default_filter",
        "firewall",
        "inside",
        "owner",
        "pod_spec",
        "remember_pod",
        "remember",
        "use_cgroups",
    },
    "Access": {"check", "items", "replace"},
    "Healthcheck": {"items", "replace"},
    "Image": {"loaded_names", "named"},
    "Progress": {"check", "items", "replace"},
    "Mount": {"check", "items", "replace"},
    "NamespaceFacts": {"check", "items", "replace"},
    "ExecResult": {"check", "items", "replace"},
}
PRIVATE = re.compile(r"pypod\.(engine|model|store|kernel|runtime|cli)\b|Unpack\[|<object|\bspecs\.|:exc:|``")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site with the command from docs/contributing.md."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        ["sh", ROOT / "docs" / "build", out],
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    return out


def read(path: Path) -> str:
    """Return the content of a page, without the lists of pages around it."""
    text = path.read_text()
    return text[text.index("<article") : text.index("</article>")]


def visible(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"(?=</(dt|td|th|p)>)", "\n", text)))


@pytest.fixture(scope="module")
def sections(site: Path) -> list[str]:
    """Return the sections of the command line's pages."""
    return [part for path in (site / "reference" / "cli").glob("*.html") for part in read(path).split("<section ")]


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert len(pages) > 20
    assert sorted(str(page) for page in pages if not (site / page).exists()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_documented_with_every_flag(name: str, sections: list[str]) -> None:
    command, _ = load(COMMANDS[name])
    mark = f'id="{name.replace(" ", "-")}"'
    (section,) = [part for part in sections if mark in part]
    text = visible(section)
    own = command.path.replace(" ", "-")
    assert command.summary in text
    assert f"{command.path} {command.synopsis}".strip() in text
    assert name == command.path or name in text
    for flag in command.flags:
        assert re.search(rf"(^|\W)--{flag.name}\b", text), flag.name
        if flag.short:
            assert re.search(rf"(^|\W)-{flag.short}\b", text), flag.short
        if not flag.hidden:
            item = section[section.index(f'id="{own}--{flag.name}"') :].partition("</dd>")[0]
            words = visible(item).split()
            assert " ".join(flag.help.replace("`", "").split()).rstrip(".") in " ".join(words)
            assert any((flag.metavar or TYPE_NAMES[flag.kind]) in word for word in words)
            if flag.default not in (None, False):
                assert "(default" in words, flag.name


def test_every_exit_code_of_an_error_is_documented(site: Path) -> None:
    text = visible(read(site / "reference" / "cli" / "index.html"))
    codes = {str(getattr(getattr(pypod, name), "exit_code", 125)) for name in pypod.errors.__all__}
    assert codes == {"125", "126", "127"}
    for name in pypod.errors.__all__:
        assert name in text
    assert all(re.search(rf"^{code}$", text, re.MULTILINE) for code in codes)


def documented_members(name: str) -> Iterator[str]:
    value = getattr(pypod, name)
    if not isinstance(value, type) or issubclass(value, BaseException):
        return
    for member in {*vars(value), *getattr(value, "_fields", ())}:
        if not member.startswith("_") and member not in NOT_FOR_USERS.get(name, ()):
            yield member


@pytest.mark.parametrize("name", pypod.__all__)
def test_name_is_in_the_api_with_its_members(name: str, site: Path) -> None:
    page = read(site / "reference" / "api.html")
    assert f'id="pypod.{name}"' in page
    instance_fields = {"id", "name"}  # of handles: slots have no docstrings
    for member in documented_members(name):
        shown = f'id="pypod.{name}.{member}"' in page
        assert shown or member in instance_fields or (name in ("Mount", "Port") and f">{member}<" in page), member


def test_the_api_shows_no_private_names(site: Path) -> None:
    text = visible(read(site / "reference" / "api.html"))
    assert [text[found.start() - 40 : found.end() + 20] for found in PRIVATE.finditer(text)] == []
    assert "class Pod" in text


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    broken, seen = [], 0
    ids = {path: set(re.findall(r'\bid="([^"]+)"', path.read_text())) for path in site.rglob("*.html")}
    for path in ids:
        for target in re.findall(r'href="([^"]+)"', path.read_text()):
            if re.match(r"[a-z]+:", target):
                continue
            seen += 1
            name, _, fragment = html.unescape(unquote(target)).partition("#")
            file = (path.parent / name.partition("?")[0]).resolve() if name else path
            if not file.exists() or (fragment and file in ids and fragment not in ids[file]):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert broken == []
    assert seen > 500


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_relative_link_of_a_page_leads_to_a_file(path: Path) -> None:
    """As they are read in the checkout, without the site."""
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL))
    files = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:", target)]
    assert [file for file in files if file and not (path.parent / file).exists()] == []
