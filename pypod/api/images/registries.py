"""The registries that a user may reach: their credentials and contents."""

from __future__ import annotations

from _collections_abc import Sequence

from pypod.api import types
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.images.config import registries

_SEARCH_LIMIT = 25


class FoundRepository(Value):
    """A repository of a registry; only docker.io reports more than the ``name``.

    The registry's strings are passed on unchanged and may contain control characters, which a terminal would obey.
    """

    registry: str
    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


class Registries:
    """The contents of registries.conf and of the credential files; ``access`` says how to reach a registry.

    No storage is used, so neither an engine nor root is needed.

    >>> registries = pypod.Registries()                                            # doctest: +SKIP
    >>> registries.login("quay.io/team", "me", "secret")                           # doctest: +SKIP
    '/run/containers/0/auth.json'
    >>> registries.tags("quay.io/team/app")                                        # doctest: +SKIP
    ['latest', '1.0']
    """

    __slots__ = ("_access", "_loaded")

    def __init__(self, access: types.Access | None = None) -> None:
        from pypod.images.registry.access import Access

        self._access = access or Access()
        self._loaded: registries.Registries | None = None

    @property
    def _configured(self) -> registries.Registries:
        if self._loaded is None:
            from pypod.images.config.registries import load

            self._loaded = load()
        return self._loaded

    @property
    def unqualified(self) -> tuple[str, ...]:
        """The registries that are searched for short names, in order."""
        return self._configured.search

    @property
    def path(self) -> str:
        """The main configuration file: registries.conf."""
        return self._configured.path

    def candidates(self, name: str) -> Sequence[str]:
        """Return the full names that a name may stand for, in the order they are tried. Raises InvalidSpec."""
        return [str(one) for one in self._configured.candidates(name)]

    def tags(self, name: str) -> Sequence[str]:
        """Return the tags of a repository, in the registry's order. Raises InvalidSpec, RegistryError."""
        from pypod.images.registry.catalogue import tags

        return tags(self._configured.candidates(name)[0], self._access, self._configured)

    def search(self, registry: str, term: str, *, limit: int = _SEARCH_LIMIT) -> Sequence[FoundRepository]:
        """Return at most ``limit`` repositories of a registry with ``term`` in their names. Raises RegistryError."""
        from pypod.images.registry.catalogue import search

        found = search(registry, term, self._access, self._configured, limit=limit)
        return [
            FoundRepository(
                registry=registry,
                name=str(one["name"]),
                description=str(one.get("description") or ""),
                stars=stars if isinstance(stars := one.get("star_count"), int) else 0,
                official=one.get("is_official") is True,
                automated=one.get("is_automated") is True,
            )
            for one in found
        ]

    def login(self, name: str, user: str, password: str) -> str:
        """Store credentials for a registry, or for a namespace of one, if the registry accepts them.

        Returns the file, or the credential helper, that keeps them. Raises Unauthorized, RegistryError, InvalidSpec.
        """
        from pypod.images.config import credentials
        from pypod.model.credentials import Credentials

        self.verify(name, user, password)
        access = self._access
        given = Credentials(user=user, password=password)
        return credentials.login(name, given, access.authfile, docker_form=access.docker_form)

    def verify(self, name: str, user: str, password: str) -> None:
        """Check that a registry accepts these credentials. Raises Unauthorized when it does not, RegistryError."""
        from pypod.images.registry.catalogue import check_login

        check_login(name.partition("/")[0], user, password, self._access, self._configured)

    def logout(self, name: str) -> bool:
        """Delete the credentials stored for exactly this name; return whether there were any."""
        from pypod.images.config.credentials import logout

        return logout(name, self._access.authfile, docker_form=self._access.docker_form)

    def logout_all(self) -> None:
        """Delete everything that ``login`` has stored."""
        from pypod.images.config.credentials import logout_all

        logout_all(self._access.authfile)

    def credentials(self, name: str, *, exact: bool = False) -> types.Credentials | None:
        """Return the credentials stored for a registry or the nearest namespace; with ``exact`` for this name only.

        Raises InvalidSpec for a file that cannot be read.
        """
        from pypod.images.config.credentials import get

        return get(name, self._access.authfile, exact=exact)

    def require_authfile(self) -> None:
        """Raise InvalidSpec when ``Access.authfile``, or $REGISTRY_AUTH_FILE, names a file that does not exist."""
        from pypod.images.config.credentials import check_authfile

        check_authfile(self._access.authfile)
