"""registries.conf: the search registries for short names, the actual location of a registry, and its mirrors.

Sources: containers-registries.conf(5) and containers-registries.conf.d(5); where they are silent, the behaviour of
podman 4.3.1. Messages are podman's.
"""

from __future__ import annotations

from _collections_abc import Callable, Sequence

from pypod.errors import InvalidSpec, RegistryError
from pypod.model.images.reference import DOCKER_IO, Reference, is_short, parse
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pypod.images.config.registries_rules import Rule

Choose = Callable[[Sequence[Reference]], Reference]

__all__ = ["Choose", "Endpoint", "Registries", "Resolved", "load", "remember"]

# The registry of docker.io has a different host name than its images.
_HOSTS = {DOCKER_IO: "registry-1.docker.io"}


class Endpoint(Value):
    """A place to get an image from: ``reference`` is its name there, which differs after a rewrite or at a mirror."""

    reference: Reference
    insecure: bool = False
    is_mirror: bool = False

    @property
    def host(self) -> str:
        """Host and port of URLs."""
        return _HOSTS.get(self.reference.domain, self.reference.domain)

    @property
    def repository(self) -> str:
        """Path of the repository in URLs."""
        return self.reference.path


class Resolved(Value):
    """The candidates for a name: full names in the order to try, each with a tag or a digest.

    ``told`` is podman's message about the resolution. ``chosen_for`` is the short name for which the user was prompted:
    the choice is to be remembered once it has proved right.
    """

    candidates: tuple[Reference, ...]
    told: str = ""
    chosen_for: str = ""


class Registries(Value):
    """The merged configuration files. The default is podman's behaviour without any.

    ``path`` is the main file, for messages; an alias is a short name, its target, and the file that defines it.
    """

    rules: tuple[Rule, ...] = ()
    search: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str, str], ...] = ()
    mode: str = "permissive"
    path: str = "/etc/containers/registries.conf"

    def resolve(self, text: str, choose: Choose | None = None) -> Resolved:
        """Return the candidates for a name.

        A short name is looked up in the aliases, then combined with each search registry; ``choose`` picks one of
        several, unless the mode is disabled. With ``docker://`` it is docker.io's. Raises InvalidSpec.
        """
        bare = text.removeprefix("docker://")
        reference = parse(bare)
        if bare != text or not is_short(text):
            return Resolved(candidates=(reference.tagged(),))
        name = text.partition("@")[0].partition(":")[0]
        for short, alias, path in self.aliases:
            if short == name:
                found = parse(alias).replace(tag=reference.tag, digest=reference.digest).tagged()
                return Resolved(candidates=(found,), told=f'Resolved "{name}" as an alias ({path})')
        if not self.search:
            without_tag = f"{name}@{reference.digest}" if reference.digest else name + text[len(name) :]
            raise InvalidSpec(
                "image",
                f'short-name "{without_tag}" did not resolve to an alias and no unqualified-search registries '
                f'are defined in "{self.path}"',
                hint=f"write the full name, such as {reference.name}",
            )
        candidates = tuple(parse(f"{domain}/{text}").tagged() for domain in self.search)
        if len(candidates) > 1 and choose is not None and self.mode != "disabled":
            return Resolved(candidates=(choose(candidates),), chosen_for=name)
        if len(candidates) > 1 and self.mode == "enforcing":
            raise InvalidSpec(
                "image",
                "short-name resolution enforced but cannot prompt without a TTY",
                hint=f"write the full name, such as {self.search[0]}/{name}",
            )
        return Resolved(
            candidates=candidates, told=f'Resolving "{name}" using unqualified-search registries ({self.path})'
        )

    def candidates(self, text: str) -> list[Reference]:
        """Return the candidates for a name when nobody can be prompted. Raises InvalidSpec."""
        return list(self.resolve(text).candidates)

    def endpoints(self, reference: Reference) -> list[Endpoint]:
        """Return the places to read an image from, in the order to try: the mirrors, then the registry itself.

        Raises RegistryError when the configuration blocks it.
        """
        rule = self._rule(reference)
        if rule is None:
            return [Endpoint(reference=reference)]
        by_digest = bool(reference.digest)
        mirrors = [
            Endpoint(reference=_rewritten(reference, rule, mirror.location), insecure=mirror.insecure, is_mirror=True)
            for mirror in rule.mirrors
            if mirror.serves(by_digest=by_digest)
        ]
        return [*mirrors, Endpoint(reference=_rewritten(reference, rule, rule.location), insecure=rule.insecure)]

    def destination(self, reference: Reference) -> Endpoint:
        """Return where to write an image: neither rewritten nor to a mirror (containers-registries.conf(5), Note)."""
        rule = self._rule(reference)
        return Endpoint(reference=reference, insecure=rule is not None and rule.insecure)

    def registry(self, domain: str) -> Endpoint:
        """Return a registry as a whole, for login and search: its reference has no path."""
        return self.destination(Reference(domain=domain, path=""))

    def _rule(self, reference: Reference) -> Rule | None:
        text = str(reference) if reference.path else reference.domain
        rule = max(self.rules, key=lambda rule: rule.rank(text), default=None)
        if rule is None or not rule.rank(text)[0]:
            return None
        if rule.blocked:
            raise RegistryError(str(reference), f"registry {rule.prefix} is blocked in {self.path}")
        return rule


def _rewritten(reference: Reference, rule: Rule, location: str) -> Reference:
    if not location:  # a wildcard without one
        return reference
    text = str(reference)
    return parse(location + text[rule.rank(text)[0] :])


def load(environment: Mapping[str, str] | None = None, *, root: str = "") -> Registries:
    """Read the files that podman reads for this user. Missing files are skipped; ``root`` is for tests.

    Raises InvalidSpec, with the file's name, when one of them is invalid.
    """
    import os

    from pypod.images.config.registries_files import alias_path, locate, read, remembered

    found = os.environ if environment is None else environment
    main, directories = locate(found, root)
    merged = read(main, directories)
    aliases = {**merged.aliases, **remembered(alias_path(found, root))}
    return Registries(
        rules=tuple(merged.rules.values()),
        search=tuple(merged.search or ()),
        aliases=tuple((name, *target) for name, target in aliases.items() if target[0]),
        mode=merged.mode or "permissive",
        path=main,
    )


def remember(name: str, reference: Reference) -> None:
    """Remember the choice for a short name, as podman does after a prompt: there is no prompt the next time.

    Where the file cannot be written, nothing is remembered, and the next pull prompts again.
    """
    import os
    from contextlib import suppress

    from pypod.images.config import registries_files

    with suppress(OSError, InvalidSpec):
        registries_files.remember(registries_files.alias_path(os.environ), name, reference.name)
