"""secret create, inspect, rm and exists."""

from __future__ import annotations

import os
import stat
import sys

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import AlreadyExists, InvalidSpec, NoSuchSecret, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.api.secrets.secret import Secret
    from pypod.cli.flags.parser import Parsed
    from pypod.cli.go.values import Struct

SECRET_CREATE = Command(
    path="pypod secret create",
    summary="Create a new secret",
    description='Create a secret. Input can be a path to a file or "-" (read from stdin). '
    "Default driver is file (unencrypted).",
    synopsis="[options] NAME FILE|-",
    flags=(
        Flag(name="driver", short="d", default="file", help="Specify secret driver"),
        Flag(name="driver-opts", kind="stringToString", help="Specify driver specific options"),
        Flag(name="env", kind="bool", help="Read secret data from environment variable"),
        Flag(name="ignore", kind="bool", help="If a secret with the same name exists, print its ID and change nothing"),
        Flag(name="label", short="l", kind="stringArray", help="Specify labels on the secret"),
        Flag(name="replace", kind="bool", help="If a secret with the same name exists, replace it"),
    ),
    examples=(
        "pypod secret create mysecret /path/to/secret",
        'printf "secretdata" | pypod secret create mysecret -',
    ),
    min_args=2,
    max_args=2,
)
SECRET_INSPECT = Command(
    path="pypod secret inspect",
    summary="Inspect a secret",
    description="Display detail information on one or more secrets",
    synopsis="[options] SECRET [SECRET...]",
    flags=(
        Flag(name="format", short="f", help="Format inspect output using Go template"),
        Flag(name="pretty", kind="bool", help="Print inspect output in human-readable format"),
        Flag(name="showsecret", kind="bool", help="Display the secret"),
    ),
    examples=("pypod secret inspect MYSECRET",),
    min_args=1,
)
SECRET_RM = Command(
    path="pypod secret rm",
    summary="Remove one or more secrets",
    description="Containers that were created with a secret keep its content.",
    synopsis="[options] SECRET [SECRET...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Remove all secrets"),
        Flag(name="ignore", short="i", kind="bool", help="Ignore errors when a specified secret is missing"),
    ),
    examples=("pypod secret rm mysecret1 mysecret2",),
)
SECRET_EXISTS = Command(
    path="pypod secret exists",
    summary="Check if a secret exists in local storage",
    description="The exit code is 0 if the named secret exists, otherwise 1.",
    synopsis="SECRET",
    examples=("pypod secret exists mysecret || pypod secret create mysecret /path/to/secret",),
    min_args=1,
    max_args=1,
)
_READ_LIMIT = 512_000  # as much as is too much
_FAILED = 125
_INDENT = "    "


def run_secret_create(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod secret create``."""
    from pypod.api.configuration import secret_driver
    from pypod.api.engine import Engine
    from pypod.cli.flags.text_files import labels
    from pypod.model.secret import check_name

    name, source = options.positionals
    content = _variable(source) if options["env"] else _content(source)
    check_name(name)
    pairs = dict(one.partition("=")[::2] for one in options["driver-opts"])
    if options["ignore"] and options["replace"]:
        raise InvalidSpec("--ignore", "--ignore and --replace cannot be used together")
    with Engine(root) as engine:
        driver, own = secret_driver(engine)
        try:
            secret = engine.secrets.create(
                name,
                content,
                driver=options["driver"] if options.changed("driver") else driver,
                options=pairs or own,
                labels=labels(options["label"]),
                replace=options["replace"],
            )
        except AlreadyExists as error:
            if not options["ignore"]:
                raise
            print(error.holder_id)
            return 0
        print(secret.id)
    return 0


def _variable(name: str) -> bytes:
    value = os.environb.get(os.fsencode(name), b"")
    if not value:
        raise InvalidSpec("--env", f"cannot create store secret data: environment variable {name} is not set")
    return value


def _content(path: str) -> bytes:
    if path in ("-", "/dev/stdin"):
        if stat.S_ISCHR(os.fstat(0).st_mode):  # a terminal, /dev/null
            raise InvalidSpec("FILE", "if `-` is used, data must be passed into stdin")
        return _read(0)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidSpec("FILE", f"open {path}: {(error.strerror or '').lower()}") from error
    try:
        return _read(fd)
    except IsADirectoryError:
        return b""
    finally:
        os.close(fd)


def _read(fd: int) -> bytes:
    found = b""
    while len(found) < _READ_LIMIT and (piece := os.read(fd, _READ_LIMIT - len(found))):
        found += piece
    return found


def run_secret_inspect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod secret inspect``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import tell

    rows: list[Struct] = []
    problems: list[PypodError] = []
    with Engine(root) as engine:
        for name in options.positionals:
            try:
                rows.append(_struct(engine.secrets.get(name), shown=options["showsecret"]))
            except PypodError as error:
                problems.append(error)
    _write(options, rows)
    sys.stdout.flush()
    for problem in problems[1:]:
        tell(f"error inspecting secret: {problem}")
    if problems:
        tell(f"Error: inspecting secret: {problems[0]}")
    return _FAILED if problems else 0


def _struct(secret: Secret, *, shown: bool) -> Struct:
    from pypod.cli.go.values import Moment, Struct

    found = secret.inspect()
    spec = found["Spec"]
    struct = Struct(
        ID=found["ID"],
        CreatedAt=Moment(found["CreatedAt"].ns, found["CreatedAt"]),
        UpdatedAt=Moment(found["UpdatedAt"].ns, found["UpdatedAt"]),
        Spec=Struct(Name=spec["Name"], Driver=Struct(spec["Driver"]), Labels=spec["Labels"]),
    )
    if shown:
        struct["SecretData"] = secret.content().decode("utf-8", "replace")
    struct.type_name = "*entities.SecretInfoReport"
    return struct


def _write(options: Parsed, rows: list[Struct]) -> None:
    if options["pretty"]:
        sys.stdout.write("".join([_pretty(row) for row in rows]))
        return
    if not options["format"]:
        from pypod.cli.go.json import encode, plain

        sys.stdout.write(encode(plain(rows), indent=_INDENT, escape_html=True) + "\n")
        return
    from pypod.cli.render.output import write_format

    text = options["format"].removeprefix("table ")
    write_format(text, rows, name="inspect", headers={}, stream=sys.stdout, noheading=True, functions=_json())


def _json() -> dict[str, Any]:
    from pypod.cli.go.json import json_text

    return {"json": json_text}


def _pretty(row: Struct) -> str:
    spec = row["Spec"]
    labels = [f" - {name}{'=' + value if value else ''}\n" for name, value in sorted(spec["Labels"].items())]
    lines = [
        f"ID:              {row['ID']}\n",
        f"Name:              {spec['Name']}\n",
        *(["Labels:\n", *labels] if labels else []),
        f"Driver:            {spec['Driver']['Name']}\n",
        f"Created at:        {row['CreatedAt']}\n",
        f"Updated at:        {row['UpdatedAt']}\n",
        *([f"Secret:            {row['SecretData']}\n"] if "SecretData" in row else []),
    ]
    return "".join(lines)


def run_secret_rm(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod secret rm``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import tell

    names = options.positionals
    if bool(names) == options["all"]:
        raise UsageError("", f"`{options.command.path}` requires one argument, or the --all flag")
    problems: list[PypodError] = []
    with Engine(root) as engine:
        for name in names or [secret.id for secret in engine.secrets.list()]:
            try:
                secret = engine.secrets.get(name)
                secret.remove()
                print(secret.id, flush=True)
            except NoSuchSecret as error:
                if not options["ignore"]:
                    problems.append(error)
            except PypodError as error:
                problems.append(error)
    for problem in problems:
        tell(f"Error: {problem}")
    return _FAILED if problems else 0


def run_secret_exists(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod secret exists``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        return 0 if engine.secrets.exists(options.positionals[0]) else 1
