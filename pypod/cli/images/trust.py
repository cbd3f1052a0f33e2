"""image trust show and set, and image sign."""

from __future__ import annotations

import sys

from pypod.cli.flags.nested import refuse_group
from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.images.trust import Trust
    from pypod.cli.flags.parser import Parsed
    from pypod.cli.go.values import Struct

_POLICY_PATH = Flag(name="policypath", hidden=True, help="Path of the policy file")
IMAGE_TRUST = Command(
    path="pypod image trust",
    summary="Manage container image trust policy",
    description="Manages which registries you trust as a source of container images based on their location.",
    commands=(
        ("set", "Set default trust policy or a new trust policy for a registry"),
        ("show", "Display trust policy for the system"),
    ),
)
TRUST_SHOW = Command(
    path="pypod image trust show",
    summary="Display trust policy for the system",
    description="Display trust policy for the system",
    synopsis="[options] [REGISTRY]",
    flags=(
        Flag(name="json", short="j", kind="bool", help="Output as json"),
        Flag(name="noheading", short="n", kind="bool", help="Do not print column headings"),
        Flag(name="raw", kind="bool", help="Output raw policy file"),
        _POLICY_PATH,
    ),
    max_args=1,
)
TRUST_SET = Command(
    path="pypod image trust set",
    summary="Set default trust policy or a new trust policy for a registry",
    description="Set default trust policy or add a new trust policy for a registry",
    synopsis="[options] REGISTRY",
    flags=(
        Flag(
            name="pubkeysfile",
            short="f",
            kind="strings",
            help="Path of installed public key(s) to trust for TARGET.\n"
            "Absolute path to keys is added to policy.json. May\n"
            "used multiple times to define multiple public keys.\n"
            "File(s) must exist before using this command",
        ),
        Flag(
            name="type",
            short="t",
            default="signedBy",
            help="Trust type, accept values: signedBy(default), accept, reject",
        ),
        _POLICY_PATH,
    ),
    min_args=1,
    max_args=1,
)
IMAGE_SIGN = Command(
    path="pypod image sign",
    summary="Sign an image",
    description="Create a signature file that can be used later to verify the image.",
    synopsis="[options] IMAGE [IMAGE...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Sign all the manifests of the multi-architecture image"),
        Flag(name="authfile", help="Accepted for compatibility with podman: nothing is read from a registry"),
        Flag(name="cert-dir", help="Accepted for compatibility with podman: nothing is read from a registry"),
        Flag(name="directory", short="d", help="Define an alternate directory to store signatures"),
        Flag(name="sign-by", help="Name of the signing key"),
    ),
    examples=("pypod image sign --sign-by mykey --directory ./mykeydir docker://registry.example.com/image",),
    min_args=1,
)


def run_image_trust(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod image trust`` without a command of its own."""
    refuse_group(options)


def run_trust_show(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image trust show``."""
    from pypod.api.images import trust
    from pypod.cli.render.output import Column, write_table

    del root
    if options["raw"]:
        sys.stdout.write(trust.text(options["policypath"]) + "\n")
        return 0
    rows = trust.rows(options["policypath"])
    if options["json"]:
        from pypod.cli.go.json import encode

        sys.stdout.write(encode([_struct(row) for row in rows], indent="  ", escape_html=True) + "\n")
        return 0
    columns = (
        Column(key="transport", title="TRANSPORT", getter=lambda row: row.transport),
        Column(key="scope", title="NAME", getter=lambda row: "default" if row.transport == "all" else row.scope),
        Column(key="type", title="TYPE", getter=lambda row: row.type),
        Column(key="keys", title="ID", getter=lambda row: row.keys),
        Column(key="store", title="STORE", getter=lambda row: row.store),
    )
    write_table(rows, columns, stream=sys.stdout, noheading=options["noheading"])
    return 0


def _struct(row: Trust) -> Struct:
    from pypod.cli.go.values import Struct

    repository = "default" if row.transport == "all" else row.scope
    pairs = (
        ("transport", row.transport),
        ("name", row.scope),
        ("repo_name", repository),
        ("sigstore", row.store),
        ("type", row.type),
        ("gpg_id", row.keys),
    )
    return Struct((key, value) for key, value in pairs if value or key == "type")


def run_trust_set(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image trust set``."""
    from pypod.api.images import trust

    del root
    trust.change(options.positionals[0], options["type"], options["pubkeysfile"], options["policypath"])
    return 0


def run_image_sign(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image sign``."""
    from pypod.api.engine import Engine
    from pypod.api.images import trust

    if not options["sign-by"]:
        raise InvalidSpec("--sign-by", "please provide an identity")
    with Engine(root) as engine:
        for name in options.positionals:
            trust.sign(engine, name, options["sign-by"], options["directory"], all=options["all"])
    return 0
