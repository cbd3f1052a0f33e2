"""The default environment variables of a container, and the options that change them."""

from __future__ import annotations

import os

from pypod.engine.specs.process import check_environment
from pypod.errors import InvalidSpec
from pypod.model.container import DEFAULT_ENVIRONMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypod.model.container import ContainerSpec
    from pypod.model.options.container import ContainerOptions

_PROXIES = tuple(
    word for name in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy") for word in (name, name.upper())
)


def with_variables(options: ContainerOptions, image: Iterable[tuple[str, str]] = ()) -> ContainerOptions:
    """Return the options with the variables of the configuration and of an image as defaults for the requested ones.

    podman's order: ``env_merge`` changes the defaults, then ``unsetenv`` removes some of them, or ``unsetenv_all`` all.
    Raises InvalidSpec.
    """
    defaults = dict(image)
    if options.env_merge:
        defaults = _merged(options.env_merge, {**dict(DEFAULT_ENVIRONMENT), **defaults})
    unset = defaults.keys() if options.unsetenv_all else set(options.unsetenv)
    kept = {name: value for name, value in defaults.items() if name not in unset}
    return options.replace(environment={**kept, **_of_host(options), **options.environment})


def _of_host(options: ContainerOptions) -> dict[str, str]:
    """Return those of our own variables that the container gets."""
    if options.host_environment:
        return dict(os.environ)
    return {name: os.environ[name] for name in _PROXIES if name in os.environ} if options.http_proxy else {}


def unset_environment(options: ContainerOptions) -> tuple[str, ...]:
    """Return those of podman's default variables that are to be unset."""
    return tuple(name for name, _ in DEFAULT_ENVIRONMENT if options.unsetenv_all or name in options.unsetenv)


def with_changed_variables(spec: ContainerSpec, given: Mapping[str, str], unset: Iterable[str]) -> ContainerSpec:
    """Return a container's specification with some variables set, and then some unset. Raises InvalidSpec."""
    removed = set(unset)
    values = {**dict(spec.environment), **dict(check_environment(given))}
    without = removed.union(spec.unset_environment)
    return spec.replace(
        environment=tuple((name, value) for name, value in values.items() if name not in removed),
        unset_environment=tuple(name for name, _ in DEFAULT_ENVIRONMENT if name in without),
    )


def _merged(words: Iterable[str], defaults: dict[str, str]) -> dict[str, str]:
    from pypod.model.words import expand

    for word in words:
        try:
            name, separator, value = expand(word, defaults).partition("=")
        except ValueError as error:
            raise InvalidSpec("--env-merge", f"unable to process variables for --env-merge {word}: {error}") from None
        if not separator:
            raise InvalidSpec("--env-merge", f"unable to process variables for --env-merge {word}: no NAME=VALUE")
        if name in defaults:
            defaults[name] = value
    return defaults
