"""manifest create, add, annotate and remove: create and modify manifest lists."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.registry import ACCESS_FLAGS, access
from pypod.errors import InvalidSpec, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod import Access
    from pypod.cli.flags.parser import Parsed

_ALL = Flag(name="all", kind="bool", help="Add all of the list's images if the image is a list")
INSECURE = Flag(name="insecure", kind="bool", hidden=True, help="Do not require HTTPS and verified certificates")
_ENTRY_FLAGS: tuple[Flag, ...] = (
    Flag(name="annotation", kind="stringArray", help="Set an annotation (KEY=VALUE) for the specified image"),
    Flag(name="arch", help="Override the architecture of the specified image"),
    Flag(name="features", kind="strings", help="Override the features of the specified image"),
    Flag(name="os", help="Override the OS of the specified image"),
    Flag(name="os-features", kind="strings", help="Override the OS features of the specified image"),
    Flag(name="os-version", help="Override the OS version of the specified image"),
    Flag(name="variant", help="Override the variant of the specified image"),
)
MANIFEST_CREATE = Command(
    path="pypod manifest create",
    summary="Create manifest list or image index",
    description="Creates a manifest list, optionally with images from local storage or from a registry.",
    synopsis="[options] LIST [IMAGE...]",
    flags=(
        _ALL,
        Flag(name="amend", short="a", kind="bool", help="Modify an existing list if one with the desired name exists"),
        Flag(name="annotation", kind="stringArray", help="Set an annotation (KEY=VALUE) on the list"),
        INSECURE,
        *ACCESS_FLAGS,
    ),
    examples=(
        "pypod manifest create mylist:v1.11",
        "pypod manifest create mylist:v1.11 arch-specific-image-to-add",
        "pypod manifest create --all mylist:v1.11 docker://transport-specific-image",
    ),
    min_args=1,
)
MANIFEST_ADD = Command(
    path="pypod manifest add",
    summary="Add images to a manifest list or image index",
    description="Adds an image from local storage, a registry or a file (oci-archive:FILE) to a manifest list.",
    synopsis="[options] LIST IMAGE [IMAGE...]",
    flags=(_ALL, *_ENTRY_FLAGS, INSECURE, *ACCESS_FLAGS),
    examples=(
        "pypod manifest add mylist:v1.11 image:v1.11-amd64",
        "pypod manifest add --arch arm64 --variant v8 mylist:v1.11 docker://quay.io/me/image:v1.11-arm64",
    ),
    min_args=2,
)
MANIFEST_ANNOTATE = Command(
    path="pypod manifest annotate",
    summary="Add or update information about an entry in a manifest list or image index",
    description="Adds or updates information about an image in a manifest list.",
    synopsis="[options] LIST IMAGE",
    flags=(
        *_ENTRY_FLAGS,
        Flag(name="index", kind="bool", help="Apply --annotation to the list itself, not to an image in it"),
        Flag(name="subject", help="Have the list refer to an IMAGE that it is about; implies --index"),
    ),
    examples=(
        "pypod manifest annotate --annotation left=right mylist:v1.11 sha256:15352d97...",
        "pypod manifest annotate --index --annotation left=right mylist:v1.11",
    ),
    min_args=1,
    max_args=2,
)
MANIFEST_REMOVE = Command(
    path="pypod manifest remove",
    summary="Remove an entry from a manifest list or image index",
    description="Removes an image, given by its digest, from a manifest list.",
    synopsis="LIST IMAGE",
    examples=("pypod manifest remove mylist:v1.11 sha256:15352d97...",),
    min_args=2,
    max_args=2,
)


def run_manifest_create(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod manifest create``."""
    from pypod.api.engine import Engine

    name, *members = options.positionals
    annotations = _annotations(options)
    with Engine(root) as engine:
        made = engine.manifests.create(
            name,
            members,
            all=options["all"],
            amend=options["amend"],
            access=reach(options),
            annotations=annotations,
        )
        print(made.id)
    return 0


def run_manifest_add(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod manifest add``."""
    from pypod.api.engine import Engine

    name, *members = options.positionals
    said = _said(options)
    with Engine(root) as engine:
        found = engine.manifests.get(name)
        for member in members:
            found.add(member, all=options["all"], access=reach(options), **said)
        print(found.id)
    return 0


def run_manifest_annotate(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod manifest annotate``."""
    from pypod.api.engine import Engine

    name, digest = (*options.positionals, "")[:2]
    said = _said(options)
    of_index = options["index"] or options["subject"]
    if of_index:
        _require_of_index(digest, said)
    elif not digest:
        raise InvalidSpec("IMAGE", "the image in the list must be named, unless --index or --subject is given")
    with Engine(root) as engine:
        found = engine.manifests.get(name)
        if of_index:
            found.annotate_index(annotations=dict(said["annotations"]), subject=options["subject"])
        else:
            found.annotate(digest, **said)
        print(found.id)
    return 0


def _require_of_index(digest: str, said: dict[str, Any]) -> None:
    """Raise InvalidSpec for what only an image in a list has."""
    more = [name for name, value in said.items() if value and name != "annotations"]
    if digest or more:
        message = "--index and --subject are about the list: neither an image in it nor its platform can be given"
        raise InvalidSpec("--index", message, hint="annotate the image with a command of its own")


def run_manifest_remove(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod manifest remove``."""
    from pypod.api.engine import Engine

    name, digest = options.positionals
    with Engine(root) as engine:
        try:
            found = engine.manifests.get(name)
            found.remove(digest)
        except PypodError as error:
            error.message = f"removing from manifest list {name}: {error.message}"
            raise
        print(found.id)
    return 0


def reach(options: Parsed) -> Access:
    """Return the registry access options of the flags."""
    found = access(options)
    return found.replace(tls_verify=False) if options["insecure"] else found


def _annotations(options: Parsed) -> dict[str, str]:
    found = {}
    for text in options["annotation"]:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise InvalidSpec("--annotation", f"no value given for annotation {key!r}", hint="write KEY=VALUE")
        found[key] = value
    return found


def _said(options: Parsed) -> dict[str, Any]:
    """Return the flags that describe an image, as fields of EntryChange."""
    return {
        "os": options["os"],
        "architecture": options["arch"],
        "variant": options["variant"],
        "os_version": options["os-version"],
        "os_features": tuple(options["os-features"]),
        "features": tuple(options["features"]),
        "annotations": tuple(_annotations(options).items()),
    }
