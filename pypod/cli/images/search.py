"""search: list the repositories of a registry, or the tags of a repository."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.flags.registry import ACCESS_FLAGS, access
from pypod.cli.go.values import Struct
from pypod.cli.render.plain_text import tell
from pypod.errors import InvalidSpec, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod import Registries
    from pypod.api.images.registries import FoundRepository
    from pypod.cli.flags.parser import Parsed

_DEFAULT_LIMIT = 25
_DESCRIPTION_LENGTH = 44

SEARCH = Command(
    path="pypod search",
    summary="Search registry for image",
    description="Search registries for a given image. Can search all the default registries or a specific registry.\n\n"
    "\tUsers can limit the number of results.",
    synopsis="[options] TERM",
    flags=(
        *ACCESS_FLAGS,
        Flag(name="compatible", kind="bool", help="List stars, official and automated columns (Docker compatibility)"),
        Flag(
            name="filter", short="f", kind="strings", help="Filter output: stars=N, is-official, is-automated[=false]"
        ),
        Flag(name="format", help="Change the output format to JSON or a Go template"),
        Flag(name="limit", kind="int", help="Limit the number of results"),
        Flag(name="list-tags", kind="bool", help="List the tags of the input registry"),
        Flag(name="no-trunc", kind="bool", help="Do not truncate the output"),
    ),
    examples=("pypod search quay.io/podman", "pypod search --limit 3 --list-tags quay.io/podman/stable"),
    min_args=1,
    max_args=1,
)


def run_search(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod search``."""
    from pypod import Registries

    registries = Registries(access(options).replace(retries=0))
    registries.require_authfile()
    if options["limit"] < 0:
        raise UsageError("pypod search", f"limit {options['limit']} is negative")
    if options["list-tags"] and options["filter"]:
        raise InvalidSpec("--filter", "filters are not applicable to list tags result")
    filters = [_filter(text) for text in options["filter"]]
    rows = (_tag_rows if options["list-tags"] else _rows)(options, registries)
    _write(options, [row for row in rows if all(matches(row) for matches in filters)])
    return 0


def _rows(options: Parsed, registries: Registries) -> list[Struct]:
    domain, term = _split(options.positionals[0])
    limit = options["limit"] or _DEFAULT_LIMIT
    domains = [domain] if domain else list(registries.unqualified)
    if not domains:
        raise InvalidSpec(
            "registry",
            f'no registry to search: no unqualified-search registries are defined in "{registries.path}"',
            hint=f"name one: docker.io/{term}",
        )
    rows: list[Struct] = []
    failures: list[str] = []
    for one in domains:
        try:
            found = registries.search(one, term, limit=limit)
        except PypodError as error:
            failures.append(f'couldn\'t search registry "{one}": {error}')
        else:
            rows += [_row(each, no_trunc=options["no-trunc"]) for each in found]
    if failures and not rows:
        raise InvalidSpec("registry", "\n".join(failures))
    for failure in failures:
        tell(f"Warning: {failure}")
    return rows


def _tag_rows(options: Parsed, registries: Registries) -> list[Struct]:
    from pypod.model.images.reference import parse

    rows: list[Struct] = []
    failures: list[PypodError] = []
    for name in registries.candidates(options.positionals[0]):
        try:
            found = registries.tags(name)[: options["limit"] or None]
        except PypodError as error:
            failures.append(error)
        else:
            rows += [_Report(Name=parse(name).name, Tag=_safe(tag)) for tag in found]
    if failures and not rows:
        raise failures[0]
    for failure in failures:
        tell(f"Warning: {failure}")
    return rows


class _Report(Struct):
    type_name = "entities.ImageSearchReport"


def _filter(text: str) -> Callable[[Struct], bool]:
    """Return the test of a filter for a row (podman-search(1), --filter)."""
    name, equals, value = text.partition("=")
    if name in ("is-official", "is-automated"):
        key, wanted = name.removeprefix("is-").title(), value != "false"
        return lambda row: bool(row[key]) == wanted
    if name != "stars":
        raise InvalidSpec("--filter", f'invalid filter type "{text}"')
    if not equals:
        raise InvalidSpec("--filter", f'invalid filter "{text}", should be stars=<value>')
    if not (value.isascii() and value.isdigit()):
        raise InvalidSpec(
            "--filter", f'incorrect value type for stars filter: strconv.Atoi: parsing "{value}": invalid syntax'
        )
    return lambda row: bool(row["Stars"] >= int(value))


def _row(found: FoundRepository, *, no_trunc: bool) -> Struct:
    description = _safe(found.description).replace("\t", " ")
    if not no_trunc and len(description) > _DESCRIPTION_LENGTH:
        description = f"{description[:_DESCRIPTION_LENGTH]}..."
    return _Report(
        Index=found.registry,
        Name=_safe(found.name),
        Description=description,
        Stars=found.stars,
        Official="[OK]" if found.official else "",
        Automated="[OK]" if found.automated else "",
        Tag="",
    )


def _write(options: Parsed, rows: list[Struct]) -> None:
    from pypod.cli.render.output import Column, is_json, write_format, write_table

    text = options["format"]
    by_tag = options["list-tags"]
    if is_json(text):
        from pypod.cli.go.json import encode

        listed: list[Struct] = rows
        if by_tag:
            names = dict.fromkeys(row["Name"] for row in rows)
            listed = [Struct(Name=name, Tags=[row["Tag"] for row in rows if row["Name"] == name]) for name in names]
        sys.stdout.write(encode(listed, indent="    ", escape_html=True) + "\n")
        return
    keys = ["Name", "Tag"] if by_tag else ["Name", "Description"]
    keys += ["Stars", "Official", "Automated"] if options["compatible"] and not by_tag else []
    if text:
        fields = ("Index", "Name", "Description", "Stars", "Official", "Automated", "Tag")
        headers = {key: key.upper() for key in fields}
        write_format(text, rows, name="search", headers=headers, stream=sys.stdout)
    elif rows:  # podman writes no heading for an empty table
        write_table(rows, [Column(key=key, title=key.upper()) for key in keys], stream=sys.stdout)


def _split(term: str) -> tuple[str, str]:
    """Split a search term into the registry that it begins with, or an empty string, and the rest."""
    from pypod.model.images.reference import check_domain

    first, slash, rest = term.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        return "", term
    return check_domain(first), rest


def _safe(text: str) -> str:
    """Escape the characters in a registry's text that could control a terminal."""
    return "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in text)
