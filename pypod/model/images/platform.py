"""Choose the image of an index for a platform."""

from __future__ import annotations

import os

from pypod.errors import InvalidImage
from pypod.model.images.image import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.model.images.image import Descriptor, Index

# machine of uname(2): Go's architecture and variant (go/build, containerd/platforms)
_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "riscv64": ("riscv64", ""),
    "s390x": ("s390x", ""),
    "loongarch64": ("loong64", ""),
}
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}
# The variants that an image without one is for (containerd/platforms, normalizeArch)
_USUAL = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
# Variants that a machine can run besides its own, the best first: an arm of version 7 runs programs for 6 and 5.
_ALSO = {("arm", "v8"): ("v7", "v6", "v5"), ("arm", "v7"): ("v6", "v5"), ("arm", "v6"): ("v5",)}


def host() -> Platform:
    """Return the platform of this machine.

    >>> host().os
    'linux'
    """
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, ""))
    return Platform(architecture=architecture, variant=variant)


def parse(text: str) -> Platform:
    """Parse ``[OS/]ARCHITECTURE[/VARIANT]``.

    >>> str(parse("linux/arm/v7")), str(parse("aarch64"))
    ('linux/arm/v7', 'linux/arm64')
    """
    parts = text.split("/")
    system = parts.pop(0) if len(parts) > 1 or text in ("linux", "windows", "freebsd") else "linux"
    architecture = parts.pop(0) if parts else host().architecture
    return Platform(
        os=system, architecture=_ALIASES.get(architecture, architecture), variant=parts.pop(0) if parts else ""
    )


def is_for(found: Platform, wanted: Platform) -> bool:
    """Return whether an image for one platform is one for another, of any variant unless that names one.

    >>> is_for(parse("arm64"), parse("linux/arm64/v8")), is_for(parse("linux/arm/v6"), parse("linux/arm/v7"))
    (True, False)
    """
    if (found.os, found.architecture) != (wanted.os, wanted.architecture):
        return False
    return not wanted.variant or (found.variant or _USUAL.get(found.architecture, "")) == wanted.variant


def choose(index: Index, wanted: Platform, what: str) -> Descriptor:
    """Return the entry of an index that matches best. Raises InvalidImage when none matches."""
    fitting = [
        entry
        for entry in index.manifests
        if entry.platform and (entry.platform.os, entry.platform.architecture) == (wanted.os, wanted.architecture)
    ]
    by_variant = {entry.platform.variant: entry for entry in reversed(fitting) if entry.platform}
    for variant in (wanted.variant, *_ALSO.get((wanted.architecture, wanted.variant), ()), ""):
        if variant in by_variant:
            return by_variant[variant]
    # without a requested variant any variant is accepted; arm64 has only one, which is often omitted
    if fitting and (not wanted.variant or wanted.architecture == "arm64"):
        return fitting[0]
    if len(index.manifests) == 1 and index.manifests[0].platform is None:
        return index.manifests[0]
    raise InvalidImage(
        what,
        f'no image found in manifest list for architecture {wanted.architecture}, variant "{wanted.variant}", '
        f"OS {wanted.os}",
        hint="it has " + ", ".join(sorted({str(entry.platform) for entry in index.manifests if entry.platform})[:20]),
    )
